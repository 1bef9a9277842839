"""The evaluation of OpenImages and of its challenge."""

from collections.abc import Sequence

import numpy as np
from mmdet.evaluation import OpenImagesMetric as _OpenImagesMetric
from mmdet.evaluation.functional.mean_ap import (
    average_precision,
    tpfp_openimages,
)
from mmengine.evaluator import BaseMetric

from sniper_mmdet.registry import METRICS
from sniper_mmdet.utils.errors import UserError

#: Keys of the hierarchy in mmdet's challenge dataset, and in all others.
_GROUP_OF = 'is_group_ofs', 'is_group_of'


@METRICS.register_module()
class OpenImagesMetric(_OpenImagesMetric):
    """Average precision as OpenImages defines it, on all its datasets.

    Differs from mmdet's metric of the same name:

    - It also evaluates mmdet's challenge dataset, where mmdet raises a
      KeyError.
    - Verified image labels are expanded as by the official tool: present
      classes to their ancestors, absent classes to their descendants.
    - Group boxes may count for nothing, as in the metric of V2.
    - It keeps the scores of an image, not an array for each of 601 classes.
    - Numbers are not rounded.

    A detection counts if its class, or an ancestor of it, has a box in the
    image or is verified. If the class is verified as absent, the detection is
    wrong; if it is unknown, the detection is dropped. Samples need
    ``instances`` in their metainfo, and ``verified_labels`` of
    :class:`OpenImagesDataset`, or ``image_level_labels`` and ``confidences``
    of mmdet's dataset.

    Results: ``AP50`` for each of ``iou_thrs``, means over the classes that
    have an object, and ``mAP``, the mean of these.

    Args:
        group_of_weight (float): Weight of a group box, 1 or 0. A detection
            belongs to a group box if it hits no ordinary object and lies in
            the group box by ``ioa_thrs``. With 1 the best detection of a group
            box is a hit, and its others do not count. With 0 none of them
            counts, and the group box is not an object. Defaults to 1, as in
            the challenge.
        expand_detections (bool): Whether a detection is also one of each
            ancestor of its class, with the same score. False is for a detector
            that finds the ancestors itself, because it was trained with
            ``ancestors``: it would find them twice. Defaults to True.
        classwise (bool): Whether to report ``AP50_{class}``, too. Defaults to
            False.
        *args, **kwargs: Arguments of mmdet's metric, without ``scale_ranges``.
    """

    def __init__(
        self,
        *args,
        group_of_weight: float = 1,
        expand_detections: bool = True,
        classwise: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(*args, **kwargs)
        if self.scale_ranges is not None:
            raise UserError(
                'OpenImagesMetric evaluates objects of all sizes together, '
                f'without scale_ranges. Received: {self.scale_ranges}.'
            )
        if group_of_weight not in (0, 1):
            raise UserError(
                f'group_of_weight must be 0 or 1. Received: {group_of_weight}.'
            )
        self.group_of_weight, self.classwise = group_of_weight, classwise
        self.expand_detections = expand_detections

    @BaseMetric.dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict) -> None:
        BaseMetric.dataset_meta.fset(self, dataset_meta)
        related = dataset_meta.get('RELATION_MATRIX')
        if related is None:
            raise UserError(
                'OpenImagesMetric needs a dataset of OpenImages, with a '
                f'hierarchy. Received: {sorted(dataset_meta)}.'
            )
        alone = np.eye(len(related), dtype=bool)
        self._related = alone
        if self.get_supercategory:
            self._related = alone | (np.asarray(related) != 0)
        self._found_as = self._related if self.expand_detections else alone

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            labels, boxes, groups = _objects(sample)
            known = self._related[labels].any(0) | self._verified(sample)
            if not self.filter_labels:
                known[:] = True
            # Each object is also an object of its class's ancestors.
            rows, labels = np.nonzero(self._related[labels])
            objects = labels, boxes[rows], groups[rows]
            found = sample['pred_instances']
            boxes, scores, labels = (
                found[key].cpu().numpy()
                for key in ('bboxes', 'scores', 'labels')
            )
            rows, labels = np.nonzero(self._found_as[labels] & known)
            boxes = np.column_stack([boxes[rows], scores[rows]])
            self.results.append(self._count(objects, labels, boxes))

    def _verified(self, sample: dict) -> np.ndarray:
        """Verified classes of an image, bool (C,), expanded."""
        labels = sample.get('verified_labels')
        if labels is not None:
            there = [label for label, told in labels.items() if told]
            absent = [label for label, told in labels.items() if not told]
        else:
            labels = np.asarray(sample.get('image_level_labels', ()), int)
            if len(labels) and 'confidences' not in sample:
                raise UserError(
                    'OpenImagesMetric needs "confidences" beside '
                    '"image_level_labels" among the meta_keys of the last '
                    'transform: they say which classes are absent. Received: '
                    f'{sorted(sample)}.'
                )
            told = np.asarray(sample.get('confidences', ()))
            there, absent = labels[told == 1], labels[told == 0]
        known = self._related[there].any(0)
        return known | self._related[:, absent].any(1)

    def _count(self, objects, labels, found) -> tuple:
        """Counts and matches of an image.

        Returns:
            tuple: Number of objects per class (C,); and for each threshold
            classes, scores and hits (D,) of the detections that count.
        """
        of, boxes, groups = objects
        counted = np.ones(len(of), bool)
        if self.use_group_of and not self.group_of_weight:
            counted = ~groups
        counts = np.bincount(of[counted], minlength=len(self._related))
        results = []
        for thresholds in zip(self.iou_thrs, self.ioa_thrs, strict=True):
            parts = [_NONE]
            for label in np.unique(labels):
                own, truth = found[labels == label], of == label
                given = own, boxes[truth], groups[truth]
                scores, hits = self._match(*given, *thresholds)
                parts.append((np.full(len(hits), label), scores, hits))
            results.append([*map(np.concatenate, zip(*parts, strict=True))])
        return counts, results

    def _match(self, found, boxes, groups, iou_thr, ioa_thr) -> tuple:
        """Scores and hits of the counted detections of one class and image."""
        hits, _, kept = tpfp_openimages(
            found,
            boxes,
            np.zeros((0, 4), np.float32),
            iou_thr=iou_thr,
            gt_bboxes_group_of=groups,
            use_group_of=self.use_group_of,
            ioa_thr=ioa_thr,
        )
        hits, scores = hits[0] > 0, kept[:, -1]
        # Groups come last; a group that nothing hits has no detection.
        last = groups.sum() if self.use_group_of else 0
        counts = np.ones(len(hits), bool)
        if last:
            counts[-last:] = hits[-last:] & (self.group_of_weight > 0)
        return scores[counts], hits[counts]

    def compute_metrics(self, results: list) -> dict[str, float]:
        counts = np.sum([counts for counts, _ in results], 0)
        evaluated = np.flatnonzero(counts)
        result, means = {}, []
        for k, threshold in enumerate(self.iou_thrs):
            name = f'AP{round(threshold * 100):02d}'
            columns = zip(*(found[k] for _, found in results), strict=True)
            labels, scores, hits = map(np.concatenate, columns)
            order = np.lexsort((-scores, labels))
            starts = np.searchsorted(labels[order], range(len(counts) + 1))
            precision = {}
            for label in evaluated:
                own = order[starts[label] : starts[label + 1]]
                right = np.cumsum(hits[own])
                recall = right / counts[label]
                exact = right / np.arange(1, len(own) + 1)
                precision[label] = float(average_precision(recall, exact))
            known = [*precision.values()]
            means.append(float(np.mean(known)) if known else np.nan)
            result[name] = means[-1]
            if self.classwise:
                classes = self.dataset_meta['classes']
                for label, value in precision.items():
                    result[f'{name}_{classes[label]}'] = value
        return dict(result, mAP=float(np.mean(means)))


_NONE = np.zeros(0, int), np.zeros(0), np.zeros(0, bool)


def _objects(sample: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels (N,), boxes (N, 4), and whether each is a group box (N,)."""
    if 'instances' not in sample:
        raise UserError(
            'OpenImagesMetric needs "instances", and "verified_labels" if '
            'there are any, among the meta_keys of the last transform. '
            f'Received: {sorted(sample)}.'
        )
    instances = sample['instances']
    labels = np.array([one['bbox_label'] for one in instances], int)
    boxes = np.array([one['bbox'] for one in instances], np.float32)
    groups = [
        bool(one.get(_GROUP_OF[0], one.get(_GROUP_OF[1]))) for one in instances
    ]
    return labels, boxes.reshape(-1, 4), np.array(groups, bool)
