"""Add AutoFocus to a trained detector, which stays as it is.

    python tools/misc/add_focus.py CONFIG CHECKPOINT --out-dir DIR

CONFIG is the config of any MMDetection detector, plain or in a
PyramidDetector, and CHECKPOINT has its weights. The tool trains a focus head,
and nothing else, on whole images of the training data. It writes to DIR a
config that inherits from CONFIG, for tools/train.py, tools/test.py and all
other tools, and a checkpoint with the detector's weights, bit for bit, and
those of the focus head. The table compares AutoFocus with the whole pyramid
and with each level alone, on test data that were not used for tuning; 'ground
truth' is what a perfect focus head would reach.

A detector that was trained on slices needs the whole images:

    --cfg-options train_dataloader.dataset.ann_file=train.json \
        train_dataloader.dataset.data_prefix.img=images/
"""

from pathlib import Path

from sniper_mmdet.utils import cli

# A level of ten times the size of an image has a hundred times its pixels.
LARGEST = 10


def parse_args():
    parser = cli.make_parser(__doc__, cli.add_detector, cli.add_json)
    add = parser.add_argument
    add('--out-dir', required=True, metavar='DIR', help='new or empty folder')
    factor = 'factor of the finest level; default: the best for the detector'
    told = 'images to tune on: every second one of the test data, or the '
    told += 'training data, on which the detector is too good'
    add('--split', choices=['val', 'train'], default='val', help=told)
    add('--factor', type=float, help=factor)
    most = (
        'images to choose levels and to tune on, which takes most of the time'
    )
    cli.add_options(
        parser,
        iters=(800, 'training iterations, of two images each'),
        seed=(0, 'random seed of training'),
        tune_on=(16, f'{most}; 0 for none'),
        num=(10, 'images of the table, other ones; 0 for all'),
    )
    args = cli.parse(parser)
    cli.require_at_least(parser, args, iters=1, tune_on=0, num=0, factor=0.01)
    small = args.factor is None or args.factor <= LARGEST
    rule = f'--factor must be at most {LARGEST}, of the size of an image'
    cli.require(parser, small, rule, args.factor)
    out = args.out_dir = Path(args.out_dir)
    free = not out.exists() or out.is_dir() and not any(out.iterdir())
    cli.require(parser, free, '--out-dir must be new or empty', out)
    return args


def main():
    args = parse_args()
    with cli.quiet():  # imports and runs print
        from sniper_mmdet.apis import comparison, focus_curve
        from sniper_mmdet.engine.build import load_config
        from sniper_mmdet.engine.cpu import prepare_cpu
        from sniper_mmdet.fitting.adding import train_and_tune, write_plan
        from sniper_mmdet.fitting.report import what_it_gains
        from sniper_mmdet.fitting.splits import splits
        from sniper_mmdet.sniperize.added_focus import TrainedDetector
        from sniper_mmdet.utils.progress import announce

        prepare_cpu()
        detector = TrainedDetector(
            args.config, args.checkpoint, args.out_dir, args.cfg_options
        )
        plan, known = write_plan(
            detector,
            args.factor,
            args.tune_on,
            args.iters,
            args.seed,
            args.split,
        )
        levels = ', '.join(f'{factor:g}' for factor in plan.factors)
        told = f'Levels of {levels} times; true FocusPixels lead to '
        told += f'{plan.of_finest:.1%} of the pixels of the finest.'
        print(told, *detector.notes, sep='\n- ')
        path = detector.path
        weights = path.with_suffix('.pth')
        how = args.tune_on, args.split
        train_and_tune(path, weights, *how, known=known)
        cfg = load_config(str(path))
        model = comparison.load_autofocus(cfg, str(weights))
        # A tuned config may have no budget. With one, thresholds alone are no
        # setting of the config.
        share = model.budget.share
        budgets = [share] if share else []
        factors = [] if share else [1]
        ways = focus_curve.focus_ways(model, factors, {}, True, budgets)
        images = args.num
        if args.tune_on:
            images = splits(cfg, args.split, args.num)[1][1]
        announce('[5/5] the table, on other test images')
        table = comparison.measure(cfg, ways, images)
        rows = focus_curve.focus_summary(table)
    if args.json:
        cli.print_json(rows)
        return
    own = f'budget {share:g}' if share else 'thresholds x 1'
    levels = zip(model.pyramid.scales, rows, strict=False)
    names = {name: f'level {factor:g}' for factor, name in levels}
    names |= {'pyramid': 'whole pyramid', own: 'AutoFocus'}
    used = table['pyramid']['images']
    print(f'On {used} test image(s) that were not used to tune:')
    shown = {names.get(name, name): row for name, row in rows.items()}
    print(comparison.coco_table(shown))
    compared = (rows[name] for name in ('pyramid', own, 'ground truth'))
    print(f'\n{what_it_gains(*compared)}')
    both = f'{path} {weights}'
    print(
        f'See what it looks at: python tools/image_demo.py IMAGE {both} '
        '--out-dir DIR --show-focus'
    )
    print(
        'Tune it for a loss of AP or a share of the pixels: '
        f'python tools/analysis_tools/tune.py {both} --loss 0.5 '
        '--config-out tuned.py'
    )


if __name__ == '__main__':
    cli.run(main)
