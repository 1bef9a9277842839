import gc
import platform
import subprocess
import sys

import pytest

from sniper_mmdet.utils import memory
from sniper_mmdet.utils.memory import keep_freed_memory, no_garbage


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


# Prints the pages that the system hands out while arrays of 50 chips come and
# go: 576 for the arrays of one, 28,800 for all.
CHIPS = """
import resource
import numpy as np
from sniper_mmdet.utils.memory import keep_freed_memory
keep_freed_memory()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    arrays = [np.ones((512, 512, 3), np.uint8) for _ in range(3)]
    del arrays
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='needs glibc')
def test_freed_memory_is_used_again():
    command = [sys.executable, '-c', CHIPS]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 5000


def test_without_glibc_nothing_happens(monkeypatch):
    def absent(name):
        raise OSError(name)

    keep_freed_memory.cache_clear()
    monkeypatch.setattr(memory.ctypes, 'CDLL', absent)
    keep_freed_memory()
    keep_freed_memory.cache_clear()
