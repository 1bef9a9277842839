"""Run a detector on one scene of any size: a GeoTIFF, a COG, a slide.

    python tools/detect_scene.py SCENE CONFIG CHECKPOINT --out-dir DIR

The tool processes the scene in parts and reads only the pixels that the
detector needs; memory does not grow with the scene. DIR/parts keeps the
detections of each part: after an interruption the same command continues, and
with --launcher several processes share the parts. DIR/found.geojson has all
detections as polygons on the map. DIR/picture.jpg shows the scene with the
detections whose score is at least --score-thr.
"""

from pathlib import Path

import mmcv
import torch
from mmdet.visualization import DetLocalVisualizer
from mmengine.dist import init_dist, is_distributed

from sniper_mmdet.apis import MapResults, detect_scene
from sniper_mmdet.apis.inference import class_names
from sniper_mmdet.apis.inputs import reading_of
from sniper_mmdet.apis.loading import load_trained
from sniper_mmdet.apis.scenes import PART_PIXELS
from sniper_mmdet.engine.cpu import prepare_cpu
from sniper_mmdet.images import open_image
from sniper_mmdet.images.stretch import PERCENTILES
from sniper_mmdet.utils import cli
from sniper_mmdet.utils.pictures import drawing
from sniper_mmdet.visualization import at_most, with_palette


def parse_args():
    parser = cli.make_parser(__doc__)
    add = parser.add_argument
    add('scene', help='file that GDAL can read by window')
    cli.add_detector(parser)
    cli.add_launcher(parser)
    add('--out-dir', required=True, metavar='DIR')
    add(
        '--bands',
        type=int,
        nargs='+',
        help='bands of red, green and blue, from 1',
    )
    told = f'LOW HIGH, the values of 0 and 255, or {PERCENTILES}'
    add('--value-range', nargs='+', help=told)
    cli.add_options(
        parser,
        crs=('wgs84', 'map CRS', dict(choices=['wgs84', 'own', 'pixels'])),
        score_thr=(0.3, 'least score of drawn detections'),
        least_score=(0.05, 'least score of merged and written detections'),
        part_pixels=(
            PART_PIXELS,
            'upper bound of the original pixels of a part',
        ),
        on_error=(
            'raise',
            'skip: show tiles that cannot be decoded as black',
            dict(choices=['raise', 'skip']),
        ),
    )
    add('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    args = cli.parse(parser)
    cli.require_at_least(parser, args, part_pixels=1)
    cli.require_shares(parser, args, 'score_thr', 'least_score')
    if args.value_range:
        args.value_range = _range(parser, args.value_range)
    return args


def _range(parser, given: list[str]) -> str | list[float]:
    if given == [PERCENTILES]:
        return PERCENTILES
    try:
        low, high = map(float, given)
    except ValueError:
        rule = f'--value-range must be LOW HIGH, or {PERCENTILES}'
        cli.require(parser, False, rule, ' '.join(given))
    return [low, high]


def main():
    args = parse_args()
    if not Path(args.scene).is_file():
        raise FileNotFoundError(f'{args.scene} does not exist.')
    prepare_cpu(args.launcher)
    if args.launcher != 'none' and not is_distributed():
        init_dist(args.launcher)
    options = args.device, args.cfg_options
    model = load_trained(args.config, args.checkpoint, *options)
    out = Path(args.out_dir)
    classes = class_names(model)
    maps = MapResults(out / 'found.geojson', classes, args.crs)
    bands, value_range = reading_of(model, args.bands, args.value_range)
    how = dict(bands=bands, value_range=value_range, on_error=args.on_error)
    result = detect_scene(
        model,
        args.scene,
        out / 'parts',
        args.part_pixels,
        args.least_score,
        **how,
    )
    if result is None:
        return
    maps.add(result, Path(args.scene).name)
    with drawing(args.scene):
        visualizer = DetLocalVisualizer('detect_scene')
        visualizer.dataset_meta = with_palette(dict(classes=classes))
        source = open_image(args.scene, **how)
        image, sample = at_most(source, result, args.score_thr)
        visualizer.add_datasample(
            Path(args.scene).name,
            mmcv.bgr2rgb(image),
            sample,
            draw_gt=False,
            pred_score_thr=args.score_thr,
            out_file=str(out / 'picture.jpg'),
        )
    height, width = result.ori_shape
    print(
        f'{len(result.pred_instances)} detections in {width}x{height} pixels, '
        f'{result.pixels_read / (width * height):.1%} of them read '
        f'({result.bytes_read / 1e6:.1f} MB): {out}'
    )


if __name__ == '__main__':
    cli.run(main)
