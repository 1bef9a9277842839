"""Detect on an image or a folder of images.

    python tools/image_demo.py IMAGE_OR_FOLDER CONFIG CHECKPOINT --out-dir DIR

Writes each image with its detections drawn to DIR/vis, and all detections to
DIR/predictions.json: a list with one entry an image. With --show-focus also
what an AutoFocus detector looked at, a panel a level, to DIR/focus.
"""

import argparse
import json
from pathlib import Path

import mmcv
import torch
from mmdet.apis import inference_detector, init_detector
from mmdet.registry import VISUALIZERS
from mmengine.config import DictAction
from mmengine.utils import track_iter_progress

from sniper_mmdet.utils.cpu import prepare_cpu
from sniper_mmdet.visualization import draw_focus

SUFFIXES = {'.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp'}


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('input', help='an image, or a folder of images')
    parser.add_argument('config', help='test config file path')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out-dir', required=True)
    parser.add_argument(
        '--score-thr', type=float, default=0.3, help='of what is drawn'
    )
    parser.add_argument(
        '--show-focus',
        action='store_true',
        help='draw FocusPixels, FocusChips and detections of each level',
    )
    parser.add_argument(
        '--device', default='cuda:0' if torch.cuda.is_available() else 'cpu'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='override settings of the config, as in tools/test.py',
    )
    return parser.parse_args()


def find_images(path):
    """The image files to look at, sorted."""
    path = Path(path)
    if path.is_dir():
        found = sorted(
            p for p in path.rglob('*') if p.suffix.lower() in SUFFIXES
        )
        if not found:
            raise FileNotFoundError(
                f'no image in folder {path}; known are '
                f'{" ".join(sorted(SUFFIXES))}.'
            )
        return found
    if not path.exists():
        raise FileNotFoundError(f'{path} is neither an image nor a folder.')
    return [path]


def main():
    args = parse_args()
    files = find_images(args.input)
    for path in (args.config, args.checkpoint):
        if not Path(path).is_file():
            raise FileNotFoundError(f'{path} does not exist.')
    prepare_cpu()
    model = init_detector(
        args.config,
        args.checkpoint,
        device=args.device,
        cfg_options=args.cfg_options or {},
    )
    visualizer = VISUALIZERS.build(
        dict(type='DetLocalVisualizer', name='image_demo')
    )
    visualizer.dataset_meta = model.dataset_meta
    out_dir = Path(args.out_dir)
    root = Path(args.input) if Path(args.input).is_dir() else files[0].parent
    predictions = []
    for path in track_iter_progress(files):
        image = mmcv.imread(str(path))
        if image is None:
            raise OSError(f'{path} cannot be read as an image.')
        result = inference_detector(model, image).cpu()
        visualizer.add_datasample(
            path.name,
            mmcv.bgr2rgb(image),
            result,
            draw_gt=False,
            pred_score_thr=args.score_thr,
            out_file=str(out_dir / 'vis' / path.relative_to(root)),
        )
        if args.show_focus:
            mmcv.imwrite(
                draw_focus(image, result, args.score_thr),
                str(out_dir / 'focus' / path.relative_to(root)),
            )
        found = result.pred_instances
        predictions.append(
            dict(
                file=str(path.relative_to(root)),
                bboxes=found.bboxes.tolist(),
                labels=found.labels.tolist(),
                scores=found.scores.tolist(),
            )
        )
    scratch = out_dir / 'predictions.json.tmp'
    scratch.write_text(json.dumps(predictions))
    scratch.replace(out_dir / 'predictions.json')
    print(
        f'\n{len(files)} images: pictures in {out_dir / "vis"}, detections '
        f'in {out_dir / "predictions.json"}'
    )


if __name__ == '__main__':
    try:
        main()
    except (OSError, ValueError) as error:
        raise SystemExit(f'image_demo: {error}') from None
