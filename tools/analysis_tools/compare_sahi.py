"""AutoFocus against sliced inference by sahi, with the same checkpoint.

    python tools/analysis_tools/compare_sahi.py CONFIG CHECKPOINT

sahi (pip install sahi; tried with 0.12.8) gets the bare detector that
AutoFocus wraps, as a plain mmdet config, through its own class for mmdet, and
the same images in memory. All ways take turns image by image.

- sahi default: what ``sahi predict --model_type mmdet`` does when told
  nothing; its settings are read from sahi itself. In 0.12.8: slices of 512
  pixels that overlap by 0.2, and the whole image, each resized as mmdet's
  configs say, Resize(scale=(1333, 800), keep_ratio=True); GREEDYNMM by IOS at
  0.5, which sahi makes NMS by IOU where the confidence threshold is below
  0.1.
- sahi tuned: as the flags say. Without --slice each image has slices that
  --image-size enlarges by the factor of the pyramid's finest level. An image
  that is smaller than a slice is one slice, and enlarged more.

The confidence threshold is the detector's score_thr for all, not the 0.25 of
``sahi predict``: COCO AP counts weak detections too. sahi runs one slice at a
time and keeps all detections of an image; AutoFocus the best max_per_img.
"""

import argparse
import contextlib
import inspect
import json
import logging
import sys
import tempfile
from pathlib import Path

import torch
from mmengine.config import Config, DictAction
from mmengine.device import get_device
from mmengine.structures import InstanceData

from sniper_mmdet.apis import (
    load_autofocus,
    measure,
    reference_ways,
    require_coco,
)
from sniper_mmdet.engine.build import load_config
from sniper_mmdet.engine.cpu import prepare_cpu
from sniper_mmdet.models import PyramidDetector

FIELDS = dict(
    AP='coco/bbox_mAP',
    AP50='coco/bbox_mAP_50',
    AP_S='coco/bbox_mAP_s',
    seconds='seconds',
)
SIDES = 1, 10**5
LIMITS = dict(
    slice=SIDES, image_size=SIDES, overlap=(0, 0.9), match_threshold=(0, 1)
)


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add('config', help='config of an AutoFocus detector')
    add('checkpoint', help='checkpoint file')
    add('--pyramid', action='store_true', help='also the whole pyramid')
    add('--num', type=int, default=0, help='images; 0 for all')
    add('--json', action='store_true', help='print JSON only')
    add(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='override settings of the config, as in tools/train.py',
    )
    add = parser.add_argument_group("sahi tuned: sahi's settings").add_argument
    add('--slice', type=int, help='slice_height, slice_width')
    add('--overlap', type=float, default=0.2, help='overlap_*_ratio')
    add('--image-size', type=int, default=1024, help='image_size')
    kinds = ['NMS', 'NMM', 'GREEDYNMM']
    add('--postprocess', choices=kinds, default='NMS', help='..._type')
    add('--match-metric', choices=['IOU', 'IOS'], default='IOU')
    add('--match-threshold', type=float, default=0.5)
    add('--no-whole', action='store_true', help='no_standard_prediction')
    args = parser.parse_args()
    for name, (low, high) in LIMITS.items():
        value = getattr(args, name)
        if value is not None and not low <= value <= high:
            parser.error(
                f'--{name.replace("_", "-")} must be {low} to {high}. '
                f'Received: {value}.'
            )
    return args


def import_sahi():
    try:
        import sahi
        from sahi.predict import get_sliced_prediction
    except ImportError as error:
        raise ValueError(
            f'sahi cannot be imported ({error}). Install it: pip install sahi'
        ) from None
    known = inspect.signature(get_sliced_prediction).parameters
    if 'force_postprocess_type' not in known:
        raise ValueError(
            f'sahi {sahi.__version__} is too old: pip install -U sahi'
        )
    # It warns of boxes without an area, and of its choice with each image.
    logging.getLogger('sahi').setLevel(logging.ERROR)
    return sahi


def plain_config(cfg, model):
    """A config of the wrapped detector, as mmdet's own are."""
    own = {'type'}
    for kind in type(model).mro():
        if issubclass(kind, PyramidDetector):
            own.update(inspect.signature(kind.__init__).parameters)
    own.remove('data_preprocessor')
    detector = cfg.model.detector
    if isinstance(detector, str):
        detector = dict(type=detector)
    rest = {key: value for key, value in cfg.model.items() if key not in own}
    keys = 'img_path', 'ori_shape', 'img_shape', 'scale_factor'
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='Resize', scale=(1333, 800), keep_ratio=True),
        dict(type='PackDetInputs', meta_keys=keys),
    ]
    data = dict(type='CocoDataset', lazy_init=True, pipeline=pipeline)
    return Config(
        dict(
            model=dict(detector, **rest),
            # sahi looks here whether there are masks: boxes are compared.
            train_dataloader=dict(dataset=data),
            test_dataloader=dict(dataset=data),
            visualizer=dict(type='DetLocalVisualizer'),
        )
    )


def sahi_model(sahi, plain, checkpoint, image_size=None):
    """sahi's model, its own way: from a config file and a checkpoint."""
    test_cfg = plain.model.get('test_cfg') or {}
    test_cfg = test_cfg.get('rcnn', test_cfg)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, 'plain.py'))
        plain.dump(path)
        return sahi.AutoDetectionModel.from_pretrained(
            model_type='mmdet',
            model_path=checkpoint,
            config_path=path,
            confidence_threshold=test_cfg.get('score_thr', 0.0),
            device=get_device(),
            image_size=image_size,
        )


def default_settings(sahi):
    """Arguments of sahi's sliced prediction, as its command gives them."""
    command = inspect.signature(sahi.predict.predict).parameters
    known = inspect.signature(sahi.predict.get_sliced_prediction).parameters
    settings = {key: command[key].default for key in command if key in known}
    whole = not command['no_standard_prediction'].default
    return dict(settings, perform_standard_pred=whole, verbose=0)


def sahi_way(sahi, detector, settings, slice_of=None):
    """A way to test by sahi; ``slice_of(width, height)`` sizes the slices."""

    def run(images, samples):
        # sahi takes RGB, and turns it into the BGR that mmdet reads.
        pixels = images[0].flip(0).permute(1, 2, 0).numpy()
        of_image = dict(settings, image=pixels, detection_model=detector)
        if slice_of is not None:
            side = slice_of(pixels.shape[1], pixels.shape[0])
            of_image.update(slice_height=side, slice_width=side)
        found = sahi.predict.get_sliced_prediction(**of_image)
        found = found.object_prediction_list
        boxes = torch.tensor([one.bbox.to_xyxy() for one in found])
        samples[0].pred_instances = InstanceData(
            bboxes=boxes.reshape(-1, 4),
            scores=torch.tensor([one.score.value for one in found]),
            labels=torch.tensor([one.category.id for one in found]).long(),
        )
        return samples

    return run


def all_ways(sahi, cfg, model, args):
    def slice_of(width, height):
        factor = model.pyramid.factors(width, height)[-1]
        return args.slice or max(round(args.image_size / factor), 1)

    default = default_settings(sahi)
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
    given = sahi, plain_config(cfg, model), args.checkpoint
    models = sahi_model(*given), sahi_model(*given, args.image_size)
    ways = {'pyramid': reference_ways(model)['pyramid']}
    return {
        **(ways if args.pyramid else {}),
        'autofocus': model.predict,
        'sahi default': sahi_way(sahi, models[0], default),
        'sahi tuned': sahi_way(sahi, models[1], tuned, slice_of),
    }


def main():
    args = parse_args()
    prepare_cpu()
    with contextlib.redirect_stdout(sys.stderr):
        sahi = import_sahi()
        cfg = load_config(args.config, args.cfg_options)
        require_coco(cfg)
        model = load_autofocus(cfg, args.checkpoint)
        table = measure(cfg, all_ways(sahi, cfg, model, args), args.num)
    rows = {
        name: {key: row.get(field, 0.0) for key, field in FIELDS.items()}
        for name, row in table.items()
    }
    if args.json:
        print(json.dumps(rows, indent=2))
        return
    print(f'{"":18}' + ''.join(f'{key:>8}' for key in FIELDS))
    for name, row in rows.items():
        print(f'{name:18}' + ''.join(f'{n:8.3f}' for n in row.values()))


if __name__ == '__main__':
    try:
        main()
    except (OSError, ValueError) as error:
        raise SystemExit(f'compare_sahi: {error}') from None
