"""Samples for the measurement of training steps."""

from collections.abc import Callable

import numpy as np
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.runner import Runner

from sniper_mmdet.chips import box_sizes
from sniper_mmdet.utils.type_names import name_of

from .mining import random_boxes

#: Samples, and the function that collates them.
Chips = tuple[list[dict], Callable]
# Number of boxes of a random chip; how many of them are too small or too
# large.
_NUM_BOXES, _FEW = 12, 2


def chips_of_config(cfg: Config, num: int, seed: int) -> Chips:
    """The first training samples of a config.

    Raises:
        ValueError: There is no dataset, or it has fewer samples.
    """
    loader = cfg.get('train_dataloader') or {}
    if loader.get('dataset') is None:
        raise ValueError(f'{cfg.filename} has no train_dataloader.dataset.')
    loader = dict(loader, batch_size=num)
    loader.update(num_workers=0, persistent_workers=False)
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


def random_chips(cfg: Config, num: int, seed: int) -> Chips:
    """Random samples, as :func:`chips_of_config`: boxes on noise.

    The smallest and the largest boxes of a chip are out of its range. The
    samples have masks if the model has a mask head.

    Raises:
        ValueError: The config does not have the size of a chip.
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
    if not name_of(pack).startswith('Pack'):
        pack = dict(type='PackDetInputs')
    pack = TRANSFORMS.build(pack)
    heads = [head for head in _values(cfg.model, 'bbox_head') if head]
    classes = min(_values(heads, 'num_classes'), default=1)
    masked = any(_values(cfg.model, 'mask_head'))
    shape = side, side
    images = random_boxes(
        num, _NUM_BOXES, seed, shape, (side / 32, 0.9 * side)
    )
    rng = np.random.default_rng(seed)
    ignored = np.ones(_NUM_BOXES, bool)
    ignored[_FEW:-_FEW] = False
    chips = []
    for index in range(num):
        boxes = images.of_image(index)
        boxes = boxes[box_sizes(boxes).argsort()]
        chip = dict(
            img=rng.integers(0, 256, (*shape, 3), np.uint8),
            img_id=index,
            **dict.fromkeys(('ori_shape', 'img_shape'), shape),
            scale_factor=(1.0, 1.0),
            flip=False,
            chip_range=tuple(box_sizes(boxes[[_FEW, -1 - _FEW]]).tolist()),
            gt_bboxes=HorizontalBoxes(boxes),
            gt_bboxes_labels=rng.integers(0, classes, _NUM_BOXES),
            gt_ignore_flags=ignored,
        )
        if masked:
            masks = np.zeros((_NUM_BOXES, *shape), np.uint8)
            corners = boxes.round().astype(int)
            for mask, (x1, y1, x2, y2) in zip(masks, corners, strict=True):
                mask[y1:y2, x1:x2] = 1
            chip['gt_masks'] = BitmapMasks(masks, *shape)
        chips.append(pack(chip))
    return chips, pseudo_collate


def _values(cfg, key) -> list:
    """All values of a key, at any depth of a config."""
    if isinstance(cfg, (list, tuple)):
        return [value for child in cfg for value in _values(child, key)]
    if not isinstance(cfg, dict):
        return []
    found = [cfg[key]] if key in cfg else []
    return found + _values([*cfg.values()], key)
