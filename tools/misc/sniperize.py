"""Old path of tools/sniperize.py, which it runs; it will be removed."""

import runpy
import sys
from pathlib import Path

if __name__ == '__main__':
    print(
        'DeprecationWarning: tools/misc/sniperize.py has moved to '
        'tools/sniperize.py; the next version removes this path.',
        file=sys.stderr,
    )
    new = Path(__file__).resolve().parents[1] / 'sniperize.py'
    runpy.run_path(str(new), run_name='__main__')
