"""Make an AutoFocus of a trained detector, which stays as it is.

    python tools/misc/add_focus.py CONFIG CHECKPOINT --out-dir DIR

CONFIG is that of any detector of MMDetection, plain or wrapped by a
PyramidDetector, and CHECKPOINT its weights. DIR gets a config that inherits
from CONFIG, and a checkpoint: the detector's weights, bit for bit, and those
of a focus head, which is all that is trained, on the training data of CONFIG.
Both are for tools/test.py and all others. The table compares it with the whole
pyramid and with each level alone, on the test data.
"""

from pathlib import Path

from sniper_mmdet.utils import cli


def parse_args():
    parser = cli.make_parser(__doc__, cli.add_detector, cli.add_json)
    add = parser.add_argument
    add('--out-dir', required=True, metavar='DIR', help='new or empty folder')
    factor = 'of the finest level; default: what suits the detector'
    add('--factor', type=float, help=factor)
    cli.add_options(
        parser,
        iters=(600, 'iterations of two images each'),
        seed=(0, 'of training'),
        num=(0, 'images of the table; 0 for all'),
    )
    args = cli.parse(parser)
    cli.require_at_least(parser, args, iters=50, num=0)
    out = args.out_dir = Path(args.out_dir)
    free = not out.exists() or out.is_dir() and not any(out.iterdir())
    cli.require(parser, free, '--out-dir must be new or empty', out)
    return args


def main():
    args = parse_args()
    with cli.quiet():  # what is imported, and what runs, prints
        from sniper_mmdet.apis import comparison, focus_curve
        from sniper_mmdet.engine.build import build_boxes_dataset, load_config
        from sniper_mmdet.engine.checkpoints import load_weights
        from sniper_mmdet.engine.cpu import prepare_cpu
        from sniper_mmdet.engine.focus_training import train_focus_head
        from sniper_mmdet.sniperize import (
            added_focus,
            base_of,
            probe,
            read_plain,
        )
        from sniper_mmdet.tuning.plan import search_plans
        from sniper_mmdet.utils.files import write_whole

        prepare_cpu()
        cfg = read_plain(args.config)
        if args.cfg_options:
            cfg.merge_from_dict(args.cfg_options)
        built = probe.built(added_focus.bare_model(cfg))
        load_weights(built, args.checkpoint, ('focus_head.',))
        images = build_boxes_dataset(cfg, 'train').images
        _, maps = probe.feature_maps(built)
        strides = [s for _, s in maps if s <= 16]
        plan = search_plans(images, args.factor, strides=strides)[0]
        out = args.out_dir
        out.mkdir(parents=True, exist_ok=True)
        base = base_of(args.config, out)
        checkpoint = str(Path(args.checkpoint).absolute())
        text, notes = added_focus.add_focus(
            cfg, base, plan, built, checkpoint, args.iters, args.seed
        )
        name = f'{Path(base.split("::")[-1]).stem}_autofocus'
        path, weights = out / f'{name}.py', out / f'{name}.pth'
        write_whole(path, lambda part: part.write_text(text))
        cfg = load_config(str(path), dict(work_dir=str(out / 'training')))
        train_focus_head(cfg, weights)
        cfg = load_config(str(path))
        model = comparison.load_autofocus(cfg, str(weights))
        ways = focus_curve.focus_ways(model, [0.1, 0.3, 1, 3, 10], {}, True)
        rows = focus_curve.focus_summary(
            comparison.measure(cfg, ways, args.num)
        )
    cli.print_table(rows)


if __name__ == '__main__':
    cli.run(main)
