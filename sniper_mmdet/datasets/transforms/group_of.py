"""Which boxes are around a group, from the annotations to the detector."""

from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.datasets.transforms import PackDetInputs

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
class PackGroupOf(PackDetInputs):
    """Packs ``is_group_of`` into gt_instances and ignored_instances, too.

    Differs from its parent: the two have a field more, Tensor (N,), bool, if
    :class:`LoadGroupOf` is in the pipeline; and ``verified_labels`` are in
    the metainfo, where the image has them.

    Args:
        meta_keys (Sequence[str], optional): Defaults to those of the parent.
    """

    mapping_table = dict(
        PackDetInputs.mapping_table, gt_is_group_of='is_group_of'
    )

    def __init__(self, meta_keys: Sequence[str] | None = None) -> None:
        if meta_keys is None:
            meta_keys = PackDetInputs().meta_keys
        super().__init__((*meta_keys, 'verified_labels'))
