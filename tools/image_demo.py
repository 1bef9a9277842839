"""Run a detector on an image, a folder of images or a video.

    python tools/image_demo.py INPUT CONFIG CHECKPOINT --out-dir DIR

The tool draws the detections on each image and writes it to DIR/vis, and
writes all detections to DIR/predictions.json, a list with one entry per image:
file, bboxes, labels, scores, and names, those of the labels.
A drawn image keeps its file name; .jpg is appended to a name that has no
suffix of an image, and a number is added to a name that is taken. Images that
cannot be drawn are logged. A folder's videos are included; a frame is called
VIDEO/NUMBER.jpg. --show-focus also writes to DIR/focus which parts an
AutoFocus detector looked at, one panel per level. --out-json also writes COCO
results, --out-geojson polygons on a map.
"""

from pathlib import Path

import mmcv
import torch
from mmdet.visualization import DetLocalVisualizer

from sniper_mmdet.apis import MapResults, detect
from sniper_mmdet.apis.box_heads import decoupled_head
from sniper_mmdet.apis.inference import class_names
from sniper_mmdet.apis.inputs import find_inputs, image_name, is_video
from sniper_mmdet.apis.loading import load_trained
from sniper_mmdet.engine.cpu import prepare_cpu
from sniper_mmdet.utils import cli
from sniper_mmdet.utils.files import write_json
from sniper_mmdet.utils.pictures import PictureNames, drawing
from sniper_mmdet.visualization import (
    MAX_PIXELS,
    at_most,
    draw_focus,
    with_palette,
)


def parse_args():
    parser = cli.make_parser(__doc__)
    add = parser.add_argument
    add('input', help='an image, a folder of images, or a video')
    add('config', help='test config file path, or mmdet::FOLDER/FILE.py')
    add('checkpoint', help='checkpoint file')
    add('--out-dir', required=True)
    add(
        '--score-thr',
        type=float,
        default=0.3,
        help='least score of drawn detections (default: %(default)s)',
    )
    add(
        '--max-pixels',
        type=int,
        default=MAX_PIXELS,
        help='pixels of a drawn image; larger images are shrunk '
        '(default: %(default)s)',
    )
    add(
        '--show-focus',
        action='store_true',
        help='draw FocusPixels, FocusChips and detections of each level',
    )
    add('--out-json', help='file for all detections as COCO results')
    add(
        '--ann',
        help='COCO file with the ids of images and categories for --out-json; '
        'without it ids count from 1',
    )
    add(
        '--out-geojson',
        metavar='FILE_OR_FOLDER',
        help='.geojson or .gpkg file for all detections of a GeoTIFF as '
        'polygons on the map; for several images a folder, which gets '
        'NAME.geojson for each',
    )
    add(
        '--crs',
        choices=['wgs84', 'own', 'pixels'],
        default='wgs84',
        help='coordinates of --out-geojson: longitude and latitude, the '
        "image's CRS, or pixels (default: %(default)s)",
    )
    add(
        '--batch-size',
        type=int,
        default=1,
        help='images per batch; images of different sizes are padded to the '
        'largest',
    )
    add(
        '--on-error',
        choices=['raise', 'skip'],
        default='raise',
        help='skip: leave out and count images that cannot be read or that '
        '--ann does not name',
    )
    add(
        '--class-agnostic',
        action='store_true',
        help='find objects of any class; needs a DecoupledBBoxHead',
    )
    add('--device', default='cuda:0' if torch.cuda.is_available() else 'cpu')
    cli.add_cfg_options(parser)
    cli.add_trust(parser)
    args = cli.parse(parser)
    cli.require_at_least(parser, args, max_pixels=1)
    cli.require_shares(parser, args, 'score_thr')
    own = Path(args.out_dir, 'predictions.json').resolve()
    other = not args.out_json or Path(args.out_json).resolve() != own
    rule = '--out-json must be another file than predictions.json of --out-dir'
    cli.require(parser, other, rule, args.out_json)
    return args


def main():
    args = parse_args()
    files = find_inputs(args.input)
    prepare_cpu()
    options = args.device, args.cfg_options
    model = load_trained(args.config, args.checkpoint, *options)
    if args.show_focus and not hasattr(model, 'focus_head'):
        rule = '--show-focus needs a sniper_mmdet.AutoFocus detector'
        raise ValueError(f'{rule}. Received: {type(model).__name__}.')
    if args.class_agnostic:
        decoupled_head(model, args.config).class_agnostic = True
    visualizer = DetLocalVisualizer('image_demo')
    meta = dict(model.dataset_meta, classes=class_names(model))
    maps = None
    if args.out_geojson:
        several = len(files) > 1 or is_video(files[0])
        maps = MapResults(args.out_geojson, meta['classes'], args.crs, several)
    visualizer.dataset_meta = with_palette(meta)
    out_dir, root = Path(args.out_dir), Path(args.input)
    if not root.is_dir():
        root = root.parent
    vis, out = out_dir / 'vis', out_dir / 'predictions.json'
    shown = dict(draw_gt=False, pred_score_thr=args.score_thr)
    predictions, keys, drawn = [], ('bboxes', 'labels', 'scores'), 0
    names = PictureNames()
    settings = dict(batch_size=args.batch_size, on_error=args.on_error)
    coco = dict(out_json=args.out_json, ann_file=args.ann)
    for result in detect(model, files, keep_images=True, **settings, **coco):
        name = Path(image_name(result)).relative_to(root)
        picture, image = names(name), result.pop('image')
        with drawing(name):
            small = at_most(image, result, args.score_thr, args.max_pixels)
            visualizer.add_datasample(
                name.name,
                mmcv.bgr2rgb(small[0]),
                small[1],
                out_file=str(vis / picture),
                **shown,
            )
        if args.show_focus:
            with drawing(f'what was looked at of {name}'):
                panels = draw_focus(image, result, args.score_thr)
                mmcv.imwrite(panels, str(out_dir / 'focus' / picture))
        del image  # frees memory before the next image is read
        if maps:
            maps.add(result, name)
        fields = {key: result.pred_instances[key].tolist() for key in keys}
        fields['names'] = [meta['classes'][k] for k in fields['labels']]
        drawn += sum(score >= args.score_thr for score in fields['scores'])
        predictions.append(dict(file=str(name), **fields))
    write_json(out, predictions)
    print(
        f'{len(predictions)} images: drawn in {vis}, detections in {out}; '
        f'{drawn} have a score of {args.score_thr} or more and are drawn'
    )
    if args.show_focus:
        print(f'what was looked at: {out_dir / "focus"}')


if __name__ == '__main__':
    cli.run(main)
