"""A Cascade RPN that learns nothing from ignored boxes."""

from mmdet.models.dense_heads import CascadeRPNHead, StageCascadeRPNHead
from mmdet.structures import SampleList
from mmengine.structures import InstanceData
from torch import Tensor

from sniper_mmdet.registry import MODELS
from sniper_mmdet.utils.type_names import require_type

from ..task_modules import hand_on_of


class _RangeAwareStage(StageCascadeRPNHead):
    """A stage whose assigner gets the ignored boxes of its objects' images."""

    def get_targets(
        self,
        anchors: list[list[Tensor]],
        valid: list[list[Tensor]],
        sizes: list[tuple[int, int]],
        batch_gt_instances: list[InstanceData],
        *args,
        **kwargs,
    ) -> tuple:
        ignored = [objects.get('ignored') for objects in batch_gt_instances]
        kwargs['batch_gt_instances_ignore'] = ignored
        return super().get_targets(
            anchors, valid, sizes, batch_gt_instances, *args, **kwargs
        )


@MODELS.register_module()
class RangeAwareCascadeRPNHead(CascadeRPNHead):
    """A CascadeRPNHead whose stages tell their assigners what is ignored.

    The parent does not. The assigners decide:
    :class:`RangeAwareRegionAssigner` in the first stage,
    :class:`RangeAwareAssigner` in the others.

    Args:
        stages (list[dict]): Configs of a StageCascadeRPNHead, and no other.
        **kwargs: Arguments of CascadeRPNHead.
    """

    def __init__(self, *args, stages: list[dict], **kwargs) -> None:
        for stage in stages:
            require_type(stage, StageCascadeRPNHead, 'stages')
        stages = [dict(stage, type=_RangeAwareStage) for stage in stages]
        super().__init__(*args, stages=stages, **kwargs)

    def loss(
        self, x: tuple[Tensor], batch_data_samples: SampleList
    ) -> dict[str, Tensor]:
        hand_on_of(batch_data_samples)
        return super().loss(x, batch_data_samples)

    def loss_and_predict(
        self, x: tuple[Tensor], batch_data_samples: SampleList, *args, **kwargs
    ) -> tuple[dict[str, Tensor], list[InstanceData]]:
        hand_on_of(batch_data_samples)
        return super().loss_and_predict(x, batch_data_samples, *args, **kwargs)
