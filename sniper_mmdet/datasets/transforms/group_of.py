"""Passes boxes around groups from the annotations to the detector."""

import numpy as np
from mmcv.transforms import BaseTransform

from sniper_mmdet.datasets.instances import is_region
from sniper_mmdet.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadGroupOf(BaseTransform):
    """Load which boxes are around a group, after LoadAnnotations.

    Transforms that flip or resize may follow. Transforms that select boxes may
    not, except for :class:`CutChip`, since they do not know this field.

    Required keys:

    - instances (list[dict]): with ``is_group_of`` (optional)

    Added keys:

    - gt_is_group_of (ndarray (N,)): bool, whether a box is around a group.
    """

    def transform(self, results: dict) -> dict:
        told = [bool(i.get('is_group_of')) for i in results['instances']]
        results['gt_is_group_of'] = np.array(told, bool)
        return results


@TRANSFORMS.register_module()
class IgnoreGroupOf(BaseTransform):
    """Annotate groups of objects as ignored, before LoadAnnotations.

    It is for datasets of MMDetection. OpenImages has one box around more than
    five objects that touch each other. The assigners of this package ignore
    background in such a box, and in any ignored box such as a crowd, see
    :class:`RangeAwareAssigner`. Chips need ``group_of='ignore'`` of
    :class:`OpenImagesDataset` instead, so that no chip is cut for a group.

    Modified keys:

    - instances: ``ignore_flag`` is 1 if ``is_group_of``, or the challenge's
      ``is_group_ofs``, is true; ``bbox_label`` is -1 if ``ignore_flag`` is 1,
      as in a chip
    """

    def transform(self, results: dict) -> dict:
        results['instances'] = [
            {**one, 'ignore_flag': 1, 'bbox_label': -1}
            if is_region(one)
            else one
            for one in results['instances']
        ]
        return results
