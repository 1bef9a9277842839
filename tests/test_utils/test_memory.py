import gc

import pytest

from sniper_mmdet.utils.memory import no_garbage


@pytest.mark.parametrize('enabled', [True, False])
def test_garbage_is_collected_afterwards_as_before(enabled):
    was = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        with pytest.raises(ValueError), no_garbage():
            assert not gc.isenabled()
            raise ValueError
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if was else gc.disable)()
