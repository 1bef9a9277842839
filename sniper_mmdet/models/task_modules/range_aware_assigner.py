"""Assigners that ignore boxes which resemble an ignored box.

The rule is :func:`~.ignored_boxes.resembles`. It compares anchors and
proposals or, for an assigner that uses predictions, the predicted boxes.
"""

from mmdet.models.task_modules import (
    AssignResult,
    ATSSAssigner,
    DynamicSoftLabelAssigner,
    MaxIoUAssigner,
    SimOTAAssigner,
    TaskAlignedAssigner,
    UniformAssigner,
)
from mmengine.structures import InstanceData
from torch import Tensor

from sniper_mmdet.registry import TASK_UTILS
from sniper_mmdet.structures import is_image_level

from .ignored_boxes import IgnoresByIoU, annotated, resembles


class _Ignores(IgnoresByIoU):
    """Shared part of these assigners; a parent before mmdet's class."""

    def _ignore(
        self,
        result: AssignResult,
        boxes: Tensor,
        ignored: InstanceData | None,
        objects: Tensor | None = None,
        positive: bool = False,
    ) -> AssignResult:
        """Ignore background and, with ``positive``, positives.

        A positive is ignored if it resembles a box out of range. In an image
        with an image-level label everything is ignored, also boxes that reach
        beyond it.
        """
        if ignored is None or not len(ignored) or not len(boxes):
            return result
        if is_image_level(ignored):
            result.gt_inds[:] = -1
            return result
        threshold, overlaps = self.ignore_iou_thr, self.iou_calculator
        how = threshold, overlaps, objects, self.in_region
        where = resembles(boxes, ignored, *how)
        where &= result.gt_inds == 0
        if positive:
            known = ignored.bboxes[~annotated(ignored)]
            where |= (overlaps(boxes, known) > threshold).any(1)
        result.gt_inds[where] = -1
        if result.labels is not None:
            result.labels[where] = -1
        return result


class _IgnoresPredictions(_Ignores):
    """Ignores background whose predicted box resembles an ignored box.

    Objects choose as in the parent, and keep their choice. Among the other
    predictions, one that fits an ignored box better than any object is
    ignored. A prediction of another size, such as one on a part of the ignored
    box, is a false detection and stays background.
    """

    #: Index of the predicted boxes among a head's arguments for its assigner.
    predicted = 'bboxes'

    def assign(
        self,
        pred_instances: InstanceData,
        gt_instances: InstanceData,
        gt_instances_ignore: InstanceData | None = None,
        *args,
        **kwargs,
    ) -> AssignResult:
        result = super().assign(
            pred_instances, gt_instances, gt_instances_ignore, *args, **kwargs
        )
        return self._ignore(
            result,
            pred_instances[self.predicted],
            gt_instances_ignore,
            gt_instances.bboxes,
        )


@TASK_UTILS.register_module()
class RangeAwareAssigner(_Ignores, MaxIoUAssigner):
    """A MaxIoUAssigner that ignores by IoU, as in SNIP (section 4.2).

    It differs from its parent in the measure. The parent's ``ignore_iof_thr``
    ignores all candidates that lie mostly inside an ignored box: a small valid
    object in front of a large box out of range would never be learned. Here
    only candidates that *resemble* the ignored box are ignored. For a box that
    is annotated as ignored (label -1), background is ignored too if more than
    half of it lies in the box; a match with an object stays a match there.

    Args:
        ignore_iou_thr (float): Candidates with a larger IoU to any ignored box
            are assigned -1. This includes positive ones, unless the box is
            annotated as ignored. Defaults to 0.3.
        in_region (float): Share of its area above which a candidate lies in a
            box that is annotated as ignored. Defaults to 0.5.
        **kwargs: Arguments of MaxIoUAssigner, also ``ignore_iof_thr``, which
            is off by default.
    """

    def assign(
        self,
        pred_instances: InstanceData,
        gt_instances: InstanceData,
        gt_instances_ignore: InstanceData | None = None,
        **kwargs,
    ) -> AssignResult:
        result = super().assign(
            pred_instances, gt_instances, gt_instances_ignore, **kwargs
        )
        return self._ignore(
            result, pred_instances.priors, gt_instances_ignore, positive=True
        )


@TASK_UTILS.register_module()
class RangeAwareATSSAssigner(_Ignores, ATSSAssigner):
    """An ATSSAssigner that ignores like RangeAwareAssigner.

    It differs from its parent in the measure, like RangeAwareAssigner, and in
    the order. The parent's ``ignore_iof_thr`` removes ignored anchors from the
    candidates of all objects before it chooses, and ignores nothing in an
    image without an object. Here objects choose their anchors first. Then
    background is ignored if it resembles an ignored box, or lies in a box that
    is annotated as ignored. An object has only a few anchors, chosen by their
    places, and keeps them.

    Args:
        ignore_iou_thr (float): Background with a larger IoU to any ignored
            box is assigned -1. Defaults to 0.3.
        **kwargs: Arguments of ATSSAssigner, also ``ignore_iof_thr``, which is
            off by default.
    """

    def assign(
        self,
        pred_instances: InstanceData,
        num_level_priors: list[int],
        gt_instances: InstanceData,
        gt_instances_ignore: InstanceData | None = None,
    ) -> AssignResult:
        result = super().assign(
            pred_instances, num_level_priors, gt_instances, gt_instances_ignore
        )
        return self._ignore(result, pred_instances.priors, gt_instances_ignore)


@TASK_UTILS.register_module()
class RangeAwareTaskAlignedAssigner(_IgnoresPredictions, TaskAlignedAssigner):
    """A TaskAlignedAssigner (TOOD) that ignores by predicted boxes.

    Args:
        ignore_iou_thr (float): Background whose predicted box has a larger
            IoU to an ignored box, and no larger one to an object, is assigned
            -1. Defaults to 0.3.
        **kwargs: Arguments of TaskAlignedAssigner.
    """


@TASK_UTILS.register_module()
class RangeAwareDynamicSoftLabelAssigner(
    _IgnoresPredictions, DynamicSoftLabelAssigner
):
    """A DynamicSoftLabelAssigner (RTMDet) that ignores by predicted boxes.

    Args:
        ignore_iou_thr (float): As for RangeAwareTaskAlignedAssigner. Defaults
            to 0.3.
        **kwargs: Arguments of DynamicSoftLabelAssigner.
    """


@TASK_UTILS.register_module()
class RangeAwareSimOTAAssigner(_IgnoresPredictions, SimOTAAssigner):
    """A SimOTAAssigner that ignores by predicted boxes.

    YOLOX needs a head for that, :class:`RangeAwareYOLOXHead`.

    Args:
        ignore_iou_thr (float): As for RangeAwareTaskAlignedAssigner. Defaults
            to 0.3.
        **kwargs: Arguments of SimOTAAssigner.
    """


@TASK_UTILS.register_module()
class RangeAwareUniformAssigner(_IgnoresPredictions, UniformAssigner):
    """A UniformAssigner (YOLOF) that ignores by predicted boxes.

    Args:
        ignore_iou_thr (float): As for RangeAwareTaskAlignedAssigner. Defaults
            to 0.3.
        **kwargs: Arguments of UniformAssigner.
    """

    predicted = 'decoder_priors'
