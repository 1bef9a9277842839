import gc
import os
import warnings
from contextlib import contextmanager
from pathlib import Path

import pytest
from parity_folders import ROOT, SHARED, parity_folder


def has_cuda() -> bool:
    try:
        import torch
    except ImportError:
        return False
    return torch.cuda.is_available()


def has_cpu_fp16() -> bool:
    """Whether torch autocasts to float16 and scales losses on the CPU."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # it says that it does nothing
        with torch.autocast('cpu', torch.float16):
            found = torch.ones(1, 1) @ torch.ones(1, 1)
    return found.dtype == torch.float16 and hasattr(torch.amp, 'GradScaler')


def pytest_addoption(parser):
    parser.addoption(
        '--slow', action='store_true', help='run the tests marked slow too'
    )


def pytest_collection_modifyitems(config, items):
    def skip(marker, reason):
        for item in items:
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))

    if not config.getoption('--slow'):
        skip('slow', 'slow: run with --slow')
    if not ((SHARED / 'data').is_dir() or 'SNIPER_PARITY_DIR' in os.environ):
        skip(
            'real_data',
            f'no data sets in {SHARED / "data"}; '
            'SNIPER_SHARED names another folder',
        )
    # Importing torch takes seconds: only where a test asks for it.
    if (
        any(item.get_closest_marker('gpu') for item in items)
        and not has_cuda()
    ):
        skip('gpu', 'no CUDA device')
    if (
        any(item.get_closest_marker('cpu_fp16') for item in items)
        and not has_cpu_fp16()
    ):
        skip('cpu_fp16', 'torch before 2.3 has no float16 on the CPU')


def pytest_collection_finish():
    # mmengine collects garbage after each data set that it reads, and takes
    # half a second to look at all that torch and mmdet hold anyway.
    gc.freeze()


@pytest.fixture
def full_disk():
    """A context in which a file takes so many bytes, and no more.

    To write more fails as it does on a full disk, in any process that starts.
    """
    resource = pytest.importorskip('resource')

    @contextmanager
    def limit(size: int):
        old = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, old)

    return limit


@pytest.fixture
def shared_data() -> Path:
    """The folder of data sets; for tests marked real_data."""
    folder = SHARED / 'data'
    if not folder.is_dir():
        pytest.skip(f'no data sets in {folder}')
    return folder


@pytest.fixture(
    scope='session',
    params=[
        'cut_down',
        pytest.param('whole', marks=pytest.mark.real_data),
    ],
)
def rfcn3k_folder(request) -> Path:
    """Outputs of the original R-FCN-3000: a few of them, and all."""
    if request.param == 'cut_down':
        return ROOT / 'tests/test_released/rfcn3k'
    folder = parity_folder('rfcn3k')
    if not folder.is_dir():
        pytest.skip(f'no outputs of R-FCN-3000 in {folder}')
    return folder


@pytest.fixture
def log(caplog):
    """What is logged; mmengine's logger passes nothing on to its parents."""
    from mmengine.logging import MMLogger

    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)


@pytest.fixture(scope='session')
def tiny_scenes(tmp_path_factory) -> Path:
    """A folder of tiny sample scenes: train.json, val.json, images."""
    from tiny import make_scenes

    return make_scenes(tmp_path_factory.mktemp('scenes') / 'sample', 6, 2)


@pytest.fixture(scope='session')
def fast_configs():
    """Skip what takes most of a short run: mmengine's handling of configs.

    Each time it reads all of mmdet's metafiles and formats the text anew.
    """
    from functools import cache

    from mmengine.config import utils
    from yapf.yapflib import yapf_api

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            utils, '_get_cfg_metainfo', cache(utils._get_cfg_metainfo)
        )
        patch.setattr(yapf_api, 'FormatCode', lambda text, **_: (text, True))
        yield
