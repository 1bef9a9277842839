"""Cuts one chip from an image, with its boxes and masks."""

import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.structures.bbox import BaseBoxes, HorizontalBoxes

from sniper_mmdet.chips import BoxState, classify_boxes
from sniper_mmdet.images import cut_level
from sniper_mmdet.registry import TRANSFORMS
from sniper_mmdet.structures import UNSEEN
from sniper_mmdet.utils.choices import check_choice
from sniper_mmdet.utils.errors import UserError

from .annotated_masks import AnnotatedMasks

#: How boxes that a chip does not train are treated; None: by the dataset.
OUT_OF_RANGE = (None, 'ignore', 'drop', 'keep')


@TRANSFORMS.register_module()
class CutChip(BaseTransform):
    """Cut and resize one chip, and move its boxes and masks into it.

    Only the chip's own pixels are resized.
    :func:`sniper_mmdet.chips.classify_boxes` decides which boxes the chip
    trains. Its other visible boxes are neither objects nor background, which
    ``gt_ignore_flags`` marks.

    Required keys:

    - img
    - chip (dict): ``region`` (x1, y1, x2, y2) in original pixels, ``scale``
      (fx, fy) from original to level pixels, ``valid_range``; ``level``,
      ``out_of_range`` and ``keep_unseen`` (optional); :class:`ChipDataset`
      adds it
    - gt_bboxes, gt_bboxes_labels, gt_ignore_flags, gt_is_group_of, gt_masks
      (optional)

    Modified keys:

    - img, img_shape
    - gt_bboxes (chip pixels), gt_bboxes_labels (-1 for boxes that are
      annotated as ignored), gt_ignore_flags, gt_is_group_of, gt_masks

    Added keys:

    - scale_factor (tuple): From original to chip pixels, (w, h).
    - chip_offset (tuple): ``original = (chip + chip_offset) / scale_factor``.
    - chip_range (tuple): The valid range (low, high), chip pixels.
    - chip_level (int): Index of the chip's level, if ``chip`` has one.
    - homography_matrix (ndarray (3, 3)): From original to chip pixels; later
      transforms add their changes.

    Args:
        out_of_range (str, optional): How visible boxes that the chip does not
            train are treated. 'ignore': they are ignored if the detector's
            assigner can do so (``gt_instances_ignore``). 'drop': they are left
            out, so that they are background; if the chip has ``keep_unseen``,
            only the detector does not see them, and their flag is
            :data:`~sniper_mmdet.structures.UNSEEN`. 'keep': they are trained
            like any other box. Boxes that are annotated as ignored stay
            ignored. Defaults to None: the ChipDataset's setting, or else
            'ignore'.
        min_visible (float): A box that the chip's border cuts is left out when
            one of its visible sides is below this many chip pixels. Defaults
            to 10, as released.
        min_visible_share (float): A box counts as whole when this share of its
            area lies in the chip. Defaults to 1, as released.
    """

    def __init__(
        self,
        out_of_range: str | None = None,
        min_visible: float = 10,
        min_visible_share: float = 1.0,
    ) -> None:
        check_choice('out_of_range', out_of_range, *OUT_OF_RANGE)
        self.out_of_range = out_of_range
        self.min_visible = min_visible
        self.min_visible_share = min_visible_share

    def transform(self, results: dict) -> dict:
        if 'chip' not in results:
            raise UserError(
                f'{results.get("img_path")} has no chip to cut: a pipeline '
                'with CutChip must belong to a sniper_mmdet.ChipDataset.'
            )
        chip = results['chip']
        height, width = results['img'].shape[:2]
        if (width, height) != (results['width'], results['height']):
            raise UserError(
                f'{results["img_path"]} is {width}x{height} pixels but its '
                f'annotation says {results["width"]}x{results["height"]}.'
            )
        results['img'], scale, offset, (around, size) = cut_level(
            results['img'], chip['region'], chip['scale']
        )
        h, w = results['img'].shape[:2]
        # Sizes scale by the geometric mean of both factors.
        factor = (scale[0] * scale[1]) ** 0.5
        results.update(
            img_shape=(h, w),
            scale_factor=scale,
            chip_offset=offset,
            chip_range=tuple(float(v) * factor for v in chip['valid_range']),
            homography_matrix=np.array(
                [
                    [scale[0], 0, -offset[0]],
                    [0, scale[1], -offset[1]],
                    [0, 0, 1],
                ],
                np.float32,
            ),
        )
        if 'level' in chip:
            results['chip_level'] = chip['level']
        if results.get('gt_bboxes') is not None:
            self._move_boxes(results)
        if results.get('gt_masks') is not None:
            masks = results['gt_masks'].crop(np.array(around))
            masks = masks.resize(size[::-1])
            x = round(offset[0] - around[0] * scale[0])
            y = round(offset[1] - around[1] * scale[1])
            masks = masks.crop(np.array([x, y, x + w, y + h]))
            if isinstance(masks, AnnotatedMasks):
                masks = masks.drawn()
            results['gt_masks'] = masks
        return results

    def _move_boxes(self, results: dict) -> None:
        chip = results['chip']
        boxes = results['gt_bboxes']
        if isinstance(boxes, BaseBoxes):
            boxes = boxes.numpy()
        (fx, fy), (h, w) = results['scale_factor'], results['img_shape']
        states = classify_boxes(
            boxes,
            chip['region'],
            chip['valid_range'],
            (self.min_visible / fx, self.min_visible / fy),
            self.min_visible_share,
        )
        out_of_range = self.out_of_range or chip.get('out_of_range', 'ignore')
        # NumPy compares values faster than members of an IntEnum.
        valid = states == BoxState.VALID.value
        kept = np.flatnonzero(states != BoxState.OUTSIDE.value)
        labels = results.get('gt_bboxes_labels')
        flags = results.get('gt_ignore_flags', np.zeros(len(boxes)))
        flags = np.asarray(flags, bool)
        if labels is not None:
            # This distinguishes them from boxes that other chips train.
            results['gt_bboxes_labels'] = np.where(flags, -1, labels)
        if out_of_range == 'ignore':
            results['gt_ignore_flags'] = flags | ~valid
        elif out_of_range == 'drop' and chip.get('keep_unseen'):
            results['gt_ignore_flags'] = np.where(flags | valid, flags, UNSEEN)
        elif out_of_range == 'drop':
            kept = kept[(flags | valid)[kept]]
        moved = boxes[kept].reshape(-1, 2, 2) * (fx, fy)
        moved = np.clip(moved - results['chip_offset'], 0, (w, h))
        moved = moved.reshape(-1, 4).astype(np.float32)
        if isinstance(results['gt_bboxes'], BaseBoxes):
            moved = HorizontalBoxes(moved)
        results['gt_bboxes'] = moved
        for key in (
            'gt_bboxes_labels',
            'gt_ignore_flags',
            'gt_is_group_of',
            'gt_masks',
        ):
            if results.get(key) is not None:
                results[key] = results[key][kept]

    def __repr__(self) -> str:
        return (
            f'{self.__class__.__name__}(out_of_range={self.out_of_range}, '
            f'min_visible={self.min_visible}, '
            f'min_visible_share={self.min_visible_share})'
        )
