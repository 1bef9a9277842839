"""Measure AP of AutoFocus by the share of pixels and the time it needs.

    python tools/analysis_tools/focus_curve.py CONFIG CHECKPOINT --out FILE.png

Each of --factors, by which the config's thresholds are multiplied, is a point
of the curve; --thresholds adds points. --budgets adds points with the config's
thresholds and a budget; the other points have no budget. The whole pyramid and
each level alone are measured for reference. All settings take turns image by
image. --ground-truth adds a point whose FocusPixels come from the annotations:
the AP that it loses is lost by the method, not by the focus head.
"""

from sniper_mmdet.apis import comparison, focus_curve
from sniper_mmdet.engine.build import load_config
from sniper_mmdet.engine.cpu import prepare_cpu
from sniper_mmdet.utils import cli
from sniper_mmdet.utils.files import write_figure


def parse_args():
    parser = cli.make_parser(__doc__, cli.add_detector, cli.add_json)
    add = parser.add_argument
    add('--out', help='file for a plot of the curve, .png or .pdf')
    factors = [0.05, 0.2, 0.5, 1, 2, 4]
    times = "factors of the config's thresholds"
    add('--factors', type=float, nargs='*', default=factors, help=times)
    more = 'further points: thresholds of all levels but the finest'
    add('--thresholds', nargs='+', default=[], metavar='T,T...', help=more)
    shares = "upper bounds on the share of the pyramid's pixels"
    add('--budgets', type=float, nargs='+', default=[], help=shares)
    truth = 'also measure FocusPixels from annotations'
    add('--ground-truth', action='store_true', help=truth)
    add('--num', type=int, default=0, help='images; 0 for all')
    args = cli.parse(parser)
    cli.require_at_least(parser, args, factors=0)
    given = args.factors, args.thresholds, args.budgets, args.ground_truth
    if not any(given):
        parser.error('--factors, --thresholds or --budgets must give a point.')
    cli.require_picture(parser, args)
    return args


def parse_thresholds(text, num):
    try:
        found = [float(number) for number in text.split(',')]
    except ValueError:
        found = []
    if len(found) != num:
        rule = f'--thresholds must each be {num} numbers with commas between'
        raise ValueError(f'{rule} them. Received: {text}.')
    return found


def main():
    args = parse_args()
    prepare_cpu()
    with cli.quiet():
        cfg = load_config(args.config, args.cfg_options)
        comparison.require_coco(cfg)
        model = comparison.load_autofocus(cfg, args.checkpoint)
        num = len(model.focus)
        points = {t: parse_thresholds(t, num) for t in args.thresholds}
        given = args.factors, points, args.ground_truth, args.budgets
        ways = focus_curve.focus_ways(model, *given)
        table = comparison.measure(cfg, ways, args.num)
        rows = focus_curve.focus_summary(table)
    if args.out:
        write_figure(args.out, focus_curve.draw_focus_curve(rows))
    if args.json:
        cli.print_json(rows)
        return
    print(comparison.coco_table(rows))


if __name__ == '__main__':
    cli.run(main)
