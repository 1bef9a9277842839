"""Compare AutoFocus with sliced inference by sahi, on one checkpoint.

    python tools/analysis_tools/compare_sahi.py CONFIG CHECKPOINT

sahi (pip install sahi; tested with 0.12.8) runs the bare detector that
AutoFocus wraps: it gets a plain mmdet config through its own class for mmdet,
and the same images in memory. All methods take turns image by image.

- sahi default: the settings of ``sahi predict --model_type mmdet`` without
  further options, read from sahi itself. In 0.12.8 these are: slices of 512
  pixels that overlap by 0.2, and the whole image, each resized as in mmdet's
  configs, Resize(scale=(1333, 800), keep_ratio=True); GREEDYNMM by IOS at 0.5,
  which sahi replaces by NMS by IOU where the confidence threshold is below
  0.1.
- sahi tuned: the settings of the options below. Without --slice, the size of
  the slices is such that --image-size enlarges them by the factor of the
  pyramid's finest level. An image that is smaller than a slice is one slice,
  and is enlarged more.

The confidence threshold of all methods is the detector's score_thr, not the
0.25 of ``sahi predict``: COCO AP counts weak detections too. sahi runs one
slice at a time and keeps all detections of an image; AutoFocus keeps the best
max_per_img.
"""

from sniper_mmdet.apis import comparison, sahi
from sniper_mmdet.engine.build import load_config
from sniper_mmdet.engine.cpu import prepare_cpu
from sniper_mmdet.fitting.splits import splits
from sniper_mmdet.utils import cli

LIMITS = dict.fromkeys(('slice', 'image_size'), (1, 10**5))
LIMITS.update(overlap=(0, 0.9), match_threshold=(0, 1))


def parse_args():
    parser = cli.make_parser(__doc__, cli.add_detector, cli.add_json)
    add = parser.add_argument
    add('--pyramid', action='store_true', help='also run the whole pyramid')
    add('--levels', action='store_true', help='also run each level alone')
    add('--num', type=int, default=0, help='images; 0 for all')
    others = 'use every second test image, those on which tune.py and '
    others += 'add_focus.py do not tune'
    add('--others', action='store_true', help=others)
    add = parser.add_argument_group("sahi tuned: sahi's settings").add_argument
    add('--slice', type=int, help='slice_height, slice_width')
    add('--overlap', type=float, default=0.2, help='overlap_*_ratio')
    add('--image-size', type=int, default=1024, help='image_size')
    kinds = ['NMS', 'NMM', 'GREEDYNMM']
    add('--postprocess', choices=kinds, default='NMS', help='..._type')
    add('--match-metric', choices=['IOU', 'IOS'], default='IOU')
    add('--match-threshold', type=float, default=0.5)
    add('--no-whole', action='store_true', help='no_standard_prediction')
    args = cli.parse(parser)
    for name, (low, high) in LIMITS.items():
        value = getattr(args, name)
        right = value is None or low <= value <= high
        rule = f'{cli.option_of(name)} must be {low} to {high}'
        cli.require(parser, right, rule, value)
    return args


def all_ways(library, cfg, model, args):
    def slice_of(width, height):
        factor = model.pyramid.factors(width, height)[-1]
        return args.slice or max(round(args.image_size / factor), 1)

    default = sahi.default_settings(library)
    tuned = dict(
        default,
        overlap_height_ratio=args.overlap,
        overlap_width_ratio=args.overlap,
        perform_standard_pred=not args.no_whole,
        postprocess_type=args.postprocess,
        postprocess_match_metric=args.match_metric,
        postprocess_match_threshold=args.match_threshold,
        force_postprocess_type=True,
    )
    given = library, sahi.plain_config(cfg, model), args.checkpoint
    usual = sahi.sahi_model(*given)
    large = sahi.sahi_model(*given, args.image_size)
    references = comparison.reference_ways(model)
    pyramid = {'pyramid': references.pop('pyramid')}
    return {
        **(references if args.levels else {}),
        **(pyramid if args.pyramid else {}),
        'autofocus': model.predict,
        'sahi default': sahi.sahi_way(library, usual, default),
        'sahi tuned': sahi.sahi_way(library, large, tuned, slice_of),
    }


def main():
    args = parse_args()
    prepare_cpu()
    with cli.quiet():
        library = sahi.import_sahi()
        cfg = load_config(args.config, args.cfg_options)
        comparison.require_coco(cfg)
        model = comparison.load_autofocus(cfg, args.checkpoint)
        ways = all_ways(library, cfg, model, args)
        images = args.num
        if args.others:
            images = splits(cfg, 'val', args.num)[1][1]
        table = comparison.measure(cfg, ways, images)
    rows = {name: comparison.coco_row(row) for name, row in table.items()}
    if args.json:
        cli.print_json(rows)
        return
    print(comparison.coco_table(rows))


if __name__ == '__main__':
    cli.run(main)
