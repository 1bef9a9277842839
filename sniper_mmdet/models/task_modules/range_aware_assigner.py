"""Assigners by which what resembles an ignored box trains nothing.

What resembles one is told by :func:`~.ignored_boxes.resembles`. Anchors and
proposals are compared as they are; where an assigner goes by what is predicted
at a place, the predicted box is.
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
    """What the assigners here share; comes before mmdet's own."""

    def _ignore(
        self,
        result: AssignResult,
        boxes: Tensor,
        ignored: InstanceData | None,
        objects: Tensor | None = None,
        positive: bool = False,
    ) -> AssignResult:
        """Ignore background; if told so, positives like a box out of range.

        In a picture that is labelled as a whole all is ignored, what reaches
        beyond it too.
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
    """Background that is predicted like an ignored box is ignored.

    Objects choose as they do in the parent, and keep what they chose. Of the
    rest, a prediction that fits an ignored box better than any object is
    neither: where it has another size, as a part of the ignored box has, it
    is a false detection, and stays background.
    """

    #: Where predicted boxes are in what a head gives its assigner.
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
    """A MaxIoUAssigner that ignores by IoU, as SNIP does (section 4.2).

    Differs from its parent in the measure: the parent's ``ignore_iof_thr``
    ignores whatever lies mostly inside an ignored box, so that a small valid
    object in front of a large out-of-range one would never be learned. Here
    only what would be *mistaken for* the ignored box is ignored. Of a box that
    is annotated as ignored (label -1), also the background of which more than
    half lies in it; a match with an object stays one there.

    Args:
        ignore_iou_thr (float): Candidates with a larger IoU to any ignored
            box are assigned -1, positive or not; positive ones not for a box
            that is annotated as ignored. Defaults to 0.3.
        in_region (float): Share of a candidate above which it lies in a box
            that is annotated as ignored. Defaults to 0.5.
        **kwargs: Of MaxIoUAssigner, ``ignore_iof_thr`` included, which is off
            by default.
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
    """An ATSSAssigner that ignores as RangeAwareAssigner does.

    Differs from its parent in the measure, as there, and in when: the
    parent's ``ignore_iof_thr`` takes ignored anchors from the candidates of
    all objects before it chooses, and ignores nothing in an image without an
    object. Here objects choose their anchors first, and of the others, the
    background, what would be mistaken for an ignored box, or lies in one
    that is annotated so, is ignored. An object has a few anchors only, chosen
    by their places, and keeps them.

    Args:
        ignore_iou_thr (float): Background with a larger IoU to any ignored
            box is assigned -1. Defaults to 0.3.
        **kwargs: Of ATSSAssigner, ``ignore_iof_thr`` included, which is off
            by default.
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
    """A TaskAlignedAssigner, of TOOD, that ignores by what is predicted.

    Args:
        ignore_iou_thr (float): Background whose predicted box has a larger
            IoU to an ignored box, and no larger one to an object, is assigned
            -1. Defaults to 0.3.
        **kwargs: Of TaskAlignedAssigner.
    """


@TASK_UTILS.register_module()
class RangeAwareDynamicSoftLabelAssigner(
    _IgnoresPredictions, DynamicSoftLabelAssigner
):
    """A DynamicSoftLabelAssigner, of RTMDet, that ignores likewise.

    Args:
        ignore_iou_thr (float): As of RangeAwareTaskAlignedAssigner. Defaults
            to 0.3.
        **kwargs: Of DynamicSoftLabelAssigner.
    """


@TASK_UTILS.register_module()
class RangeAwareSimOTAAssigner(_IgnoresPredictions, SimOTAAssigner):
    """A SimOTAAssigner that ignores likewise; YOLOX needs its head for that.

    Args:
        ignore_iou_thr (float): As of RangeAwareTaskAlignedAssigner. Defaults
            to 0.3.
        **kwargs: Of SimOTAAssigner.
    """


@TASK_UTILS.register_module()
class RangeAwareUniformAssigner(_IgnoresPredictions, UniformAssigner):
    """A UniformAssigner, of YOLOF, that ignores likewise.

    Args:
        ignore_iou_thr (float): As of RangeAwareTaskAlignedAssigner. Defaults
            to 0.3.
        **kwargs: Of UniformAssigner.
    """

    predicted = 'decoder_priors'
