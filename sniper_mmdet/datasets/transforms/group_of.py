"""Which boxes are around a group, from the annotations to the detector."""

import numpy as np
from mmcv.transforms import BaseTransform

from sniper_mmdet.datasets.instances import is_region
from sniper_mmdet.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadGroupOf(BaseTransform):
    """Load which boxes are around a group; it comes after LoadAnnotations.

    Transforms that choose boxes, but for :class:`CutChip`, do not know of it:
    those that flip or resize may follow.

    Required keys:

    - instances (list[dict]): ``is_group_of`` of each (optional)

    Added keys:

    - gt_is_group_of (ndarray (N,)): bool.
    """

    def transform(self, results: dict) -> dict:
        told = [bool(i.get('is_group_of')) for i in results['instances']]
        results['gt_is_group_of'] = np.array(told, bool)
        return results


@TRANSFORMS.register_module()
class IgnoreGroupOf(BaseTransform):
    """Annotate groups of objects as ignored; it comes before LoadAnnotations.

    It is for data sets of MMDetection. OpenImages has one box of more than
    five objects that touch each other. Background that lies in one is ignored
    by the assigners of this package, see :class:`RangeAwareAssigner`; so is
    what lies in a box that is ignored anyway, as a crowd is. Chips need
    ``group_of='ignore'`` of :class:`OpenImagesDataset` instead, so that none
    is cut for a group.

    Modified keys:

    - instances: ``ignore_flag`` is 1 where ``is_group_of``, or the
      challenge's ``is_group_ofs``, is true; ``bbox_label`` is -1 where
      ``ignore_flag`` is 1, as in a chip
    """

    def transform(self, results: dict) -> dict:
        results['instances'] = [
            {**one, 'ignore_flag': 1, 'bbox_label': -1}
            if is_region(one)
            else one
            for one in results['instances']
        ]
        return results
