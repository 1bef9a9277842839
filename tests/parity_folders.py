"""Where the data sets and the originals' outputs lie that some tests read."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: Holds the folders 'data' and 'parity'.
SHARED = Path(os.environ.get('SNIPER_SHARED', ROOT.parent / 'shared'))


def parity_folder(name: str) -> Path:
    """Outputs of an original; another folder may have others of its kind.

    Weights, sizes and cases may differ there, the names of files do not.
    """
    given = os.environ.get('SNIPER_PARITY_DIR')
    return Path(given or SHARED / 'parity' / name)
