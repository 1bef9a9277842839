"""Samples that steps of training are measured on."""

from collections.abc import Callable

import numpy as np
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.runner import Runner

from .mining import random_boxes

# Of a random chip, and how many of them are out of its range.
_NUM_BOXES, _NUM_IGNORED = 12, 4


def chips_of_config(
    cfg: Config, num: int, seed: int
) -> tuple[list[dict], Callable]:
    """The first samples of training, and the function that collates some.

    Raises:
        ValueError: There are no data set, or fewer samples.
    """
    loader = cfg.get('train_dataloader') or {}
    if loader.get('dataset') is None:
        raise ValueError(f'{cfg.filename} has no train_dataloader.dataset.')
    loader = dict(
        loader, batch_size=num, num_workers=0, persistent_workers=False
    )
    for key in ('num_batch_per_epoch', 'prefetch_factor'):
        loader.pop(key, None)
    loader = Runner.build_dataloader(loader, seed=seed)
    rows = next(iter(loader.batch_sampler), [])
    if len(rows) < num:
        raise ValueError(
            f'--batch must be at most the number of samples, {len(rows)}. '
            f'Received: {num}.'
        )
    return [loader.dataset[row] for row in rows], loader.collate_fn


def random_chips(
    cfg: Config, num: int, seed: int
) -> tuple[list[dict], Callable]:
    """As :func:`chips_of_config`, without any data: noise, random boxes.

    Of a chip's boxes the smallest and the largest are out of its range. Masks
    are there where the model has a mask head.

    Raises:
        ValueError: The config does not tell the size of a chip.
    """
    dataset = (cfg.get('train_dataloader') or {}).get('dataset') or {}
    side = dataset.get('chip_size')
    if not isinstance(side, int) or side < 1:
        raise ValueError(
            f'{cfg.filename}: --random needs a whole number in '
            'train_dataloader.dataset.chip_size, which --cfg-options can '
            f'give. Received: {side}.'
        )
    pack = (dataset.get('pipeline') or [{}])[-1]
    if str(pack.get('type')).split('.')[-1] != 'PackDetInputs':
        pack = dict(type='PackDetInputs')
    pack = TRANSFORMS.build(pack)
    heads = [head for head in _values(cfg.model, 'bbox_head') if head]
    classes = min(_values(heads, 'num_classes'), default=1)
    masked = any(_values(cfg.model, 'mask_head'))
    images = random_boxes(
        num, _NUM_BOXES, seed, (side, side), (side / 32, 0.9 * side)
    )
    rng = np.random.default_rng(seed)
    chips = []
    for index in range(num):
        boxes = images.of_image(index)
        sizes = np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(1))
        boxes, sizes = boxes[sizes.argsort()], np.sort(sizes)
        few = _NUM_IGNORED // 2
        ignored = np.ones(_NUM_BOXES, bool)
        ignored[few:-few] = False
        chip = dict(
            img=rng.integers(0, 256, (side, side, 3), np.uint8),
            img_id=index,
            ori_shape=(side, side),
            img_shape=(side, side),
            scale_factor=(1.0, 1.0),
            flip=False,
            chip_range=(float(sizes[few]), float(sizes[-1 - few])),
            gt_bboxes=HorizontalBoxes(boxes.astype(np.float32)),
            gt_bboxes_labels=rng.integers(0, classes, _NUM_BOXES),
            gt_ignore_flags=ignored,
        )
        if masked:
            masks = np.zeros((_NUM_BOXES, side, side), np.uint8)
            for mask, (x1, y1, x2, y2) in zip(
                masks, boxes.round().astype(int), strict=True
            ):
                mask[y1:y2, x1:x2] = 1
            chip['gt_masks'] = BitmapMasks(masks, side, side)
        chips.append(pack(chip))
    return chips, pseudo_collate


def _values(cfg, key) -> list:
    """All values of a key, at any depth of a config."""
    if isinstance(cfg, dict):
        found = [cfg[key]] if key in cfg else []
        children = list(cfg.values())
    else:
        found, children = [], cfg if isinstance(cfg, (list, tuple)) else ()
    return found + [v for child in children for v in _values(child, key)]
