"""List objects of the training images that probably miss their label.

    python tools/analysis_tools/find_missing_labels.py CONFIG CHECKPOINT \
        --out-dir DIR

A detector runs on its training images. Its confident detections that overlap
no annotated box are written to DIR/missing.json, a COCO file that a labelling
tool can import and a person can check. DIR/CLASS holds crops of them, the most
confident first. The table shows their number for each class, also per 100
boxes of the class.
"""

from pathlib import Path

from sniper_mmdet.utils import cli


def parse_args():
    parser = cli.make_parser(__doc__, cli.add_detector, cli.add_json)
    parser.add_argument('--out-dir', required=True, metavar='DIR')
    cli.add_split(parser, 'train')
    cli.add_options(
        parser,
        score_thr=(0.5, 'least score of a confident detection'),
        iou_thr=(0.3, 'IoU with a box of any class that explains a detection'),
        num_pictures=(100, 'crops to draw per class; 0 for none'),
        batch_size=(1, 'images per batch'),
    )
    args = cli.parse(parser)
    cli.require_at_least(parser, args, num_pictures=0, batch_size=1)
    for name in ('score_thr', 'iou_thr'):
        value = getattr(args, name)
        rule = f'{cli.option_of(name)} must be in (0, 1)'
        cli.require(parser, 0 < value < 1, rule, value)
    return args


def main():
    args = parse_args()
    with cli.quiet():  # imports and runs print
        from sniper_mmdet.apis.inference import class_names
        from sniper_mmdet.apis.loading import load_trained
        from sniper_mmdet.apis.missing_labels import MissingLabels
        from sniper_mmdet.apis.unlabelled import image_infos
        from sniper_mmdet.engine.build import load_config
        from sniper_mmdet.engine.cpu import prepare_cpu

        prepare_cpu()
        cfg = load_config(args.config, args.cfg_options)
        model = load_trained(cfg, args.checkpoint)
        infos = image_infos(cfg, args.split)
        how = args.score_thr, args.iou_thr, args.batch_size
        found = MissingLabels(model, infos, class_names(model), *how)
        out = Path(args.out_dir)
        found.write(out / 'missing.json')
        pictures = found.draw(out, args.num_pictures)
    columns = dict(boxes='d', found='d', percent='.1f')
    cli.print_table(found.table(), columns, 'class', args.json)
    if not args.json:
        told = f'{len(found.finds)} finds in {out / "missing.json"}'
        print(f'{told}, {pictures} pictures beside it')


if __name__ == '__main__':
    cli.run(main)
