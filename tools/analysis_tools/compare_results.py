"""Print COCO results of several test runs side by side.

    python tools/analysis_tools/compare_results.py NAME=WORK_DIR ...

WORK_DIR is the work dir of tools/test.py or tools/train.py. The tool reads the
last evaluation in it.
"""

from sniper_mmdet.logs import last_metrics
from sniper_mmdet.utils import cli

KEYS = dict(AP='mAP', AP50='mAP_50', AP75='mAP_75', AP_S='mAP_s',
            AP_M='mAP_m', AP_L='mAP_l')  # fmt: skip


def main():
    parser = cli.make_parser(__doc__, cli.add_json)
    parser.add_argument('runs', nargs='+', metavar='NAME=WORK_DIR')
    args = cli.parse(parser)
    rows = {}
    for name, folder in cli.split_names(parser, args.runs, 'NAME=WORK_DIR'):
        metrics = last_metrics(folder)
        rows[name] = {k: metrics[f'coco/bbox_{v}'] for k, v in KEYS.items()}
    if args.json:
        cli.print_json(rows)
    else:
        print()
        cli.print_table(rows)


if __name__ == '__main__':
    cli.run(main)
