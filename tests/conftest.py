import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Holds the folder 'data' with the data sets that some tests read.
SHARED = Path(os.environ.get('SNIPER_SHARED', ROOT.parent / 'shared'))


def has_cuda() -> bool:
    try:
        import torch
    except ImportError:
        return False
    return torch.cuda.is_available()


def pytest_addoption(parser):
    parser.addoption('--slow', action='store_true',
                     help='run the tests marked slow too')


def pytest_collection_modifyitems(config, items):
    def skip(marker, reason):
        for item in items:
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))

    if not config.getoption('--slow'):
        skip('slow', 'slow: run with --slow')
    if not (SHARED / 'data').is_dir():
        skip('real_data', f'no data sets in {SHARED / "data"}; '
             'SNIPER_SHARED names another folder')
    # Importing torch takes seconds: only where a test asks for it.
    if any(item.get_closest_marker('gpu') for item in items) \
            and not has_cuda():
        skip('gpu', 'no CUDA device')


@pytest.fixture
def shared_data() -> Path:
    """The folder of data sets; for tests marked real_data."""
    folder = SHARED / 'data'
    if not folder.is_dir():
        pytest.skip(f'no data sets in {folder}')
    return folder
