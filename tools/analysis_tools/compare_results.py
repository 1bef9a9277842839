"""Print COCO results of several test runs side by side.

    python tools/analysis_tools/compare_results.py NAME=WORK_DIR ...

WORK_DIR is what tools/test.py or tools/train.py wrote to; the last
evaluation in it counts.
"""

import argparse
import json
from pathlib import Path

KEYS = dict(AP='mAP', AP50='mAP_50', AP75='mAP_75', AP_S='mAP_s',
            AP_M='mAP_m', AP_L='mAP_l')  # yapf: disable


def last_metrics(folder):
    """The last bbox evaluation logged under a work dir, a dict.

    Raises:
        ValueError: There is none.
    """
    found = None
    # One log a run, named by the time at which it began.
    logs = [
        *Path(folder).glob('*/*.json'),
        *Path(folder).glob('*/vis_data/scalars.json'),
    ]
    for path in sorted(logs, key=lambda p: p.relative_to(folder).parts[0]):
        for line in path.read_text().splitlines():
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:
                continue
            if 'coco/bbox_mAP' in entry:
                found = entry
    if found is None:
        raise ValueError(f'no COCO bbox evaluation in {folder}.')
    return found


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('runs', nargs='+', metavar='NAME=WORK_DIR')
    parser.add_argument('--json', action='store_true', help='print JSON only')
    args = parser.parse_args()
    table = {}
    for run in args.runs:
        name, sep, folder = run.partition('=')
        if not sep:
            parser.error(f'each run must be NAME=WORK_DIR. Received: {run}.')
        metrics = last_metrics(folder)
        table[name] = {k: metrics[f'coco/bbox_{v}'] for k, v in KEYS.items()}
    if args.json:
        print(json.dumps(table, indent=2))
        return
    width = max(map(len, table))
    print(f'\n{"":{width}}' + ''.join(f'{key:>8}' for key in KEYS))
    for name, row in table.items():
        print(f'{name:{width}}' + ''.join(f'{row[k]:8.3f}' for k in KEYS))


if __name__ == '__main__':
    try:
        main()
    except (OSError, ValueError) as error:
        raise SystemExit(f'compare_results: {error}') from None
