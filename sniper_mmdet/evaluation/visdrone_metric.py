"""The evaluation of VisDrone-DET."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from sniper_mmdet.registry import METRICS

from .ground_truth import read_ground_truth
from .matching import (
    THRESHOLDS,
    at_thresholds,
    match,
    mean_of_known,
    precision_recall,
)

#: Numbers of best detections per image, over all classes, that count.
_MAX_DETECTIONS = (1, 10, 100, 500)


@METRICS.register_module()
class VisDroneMetric(BaseMetric):
    """Average precision and recall as VisDrone-DET defines them.

    Differs from COCO's:

    - Objects and detections of which half the area or more lies in the ignored
      regions, taken together, are dropped before the matching.
    - The 1, 10, 100 and 500 best detections of an image are then those of all
      classes together.
    - Precision is averaged over all recalls, not over 101 of them.
    - Objects of other classes than the ten do not count.

    Results, in %: ``AP`` over IoU 0.5 to 0.95, ``AP50`` and ``AP75`` of 500
    detections, ``AR1``, ``AR10``, ``AR100`` and ``AR500``. All are means over
    the classes that have an object; NaN if no class has one. Set the detector
    to return 500 detections (``max_per_img``).

    The rules are those of the authors' MATLAB toolkit, which measures regions
    in whole pixels. Two rules of its last version are left out: there a class
    has the number of images that show it as its weight, and objects of score 0
    count as missed. Except for these, the toolkit gave the same numbers when
    it was run in GNU Octave on random scenes. It could not be run in MATLAB,
    or on the challenge's own results.

    Args:
        ann_file (str): COCO file of
            ``tools/dataset_converters/visdrone_to_coco.py``; all of its images
            count.
        classwise (bool): Whether to report ``AP_{class}``, too. Defaults to
            False.
        *args, **kwargs: Arguments of mmengine's BaseMetric.

    Raises:
        ValueError: The annotations lack a class of the dataset.
    """

    default_prefix = 'visdrone'

    def __init__(
        self, ann_file: str, classwise: bool = False, *args, **kwargs
    ) -> None:
        super().__init__(*args, **kwargs)
        self.ann_file = ann_file
        self.classwise = classwise
        self._coco_api = read_ground_truth(ann_file, ['bbox'])
        self._regions, self._objects = {}, defaultdict(list)
        self._counts = Counter()
        for image, annotations in self._coco_api.imgToAnns.items():
            kinds = [a.get('visdrone_category') for a in annotations]
            boxes = np.array([a['bbox'] for a in annotations], float)
            regions = boxes[[kind == 0 for kind in kinds]]
            if len(regions):
                self._regions[image] = regions
            shares = self._share(image, boxes)
            rows = zip(annotations, kinds, shares, strict=True)
            for annotation, kind, share in rows:
                if kind is None and share < 0.5:
                    category = annotation['category_id']
                    self._objects[image, category].append(annotation)
                    self._counts[category] += not annotation['iscrowd']
        if not self._regions:
            print_log(
                f'VisDroneMetric: {ann_file} has no ignored region; is it one '
                'of tools/dataset_converters/visdrone_to_coco.py?',
                'current',
            )

    @BaseMetric.dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict) -> None:
        # Set before the test starts, so that errors come at once.
        classes = dataset_meta.get('classes') or ()
        ids = {c['name']: c['id'] for c in self._coco_api.cats.values()}
        if not classes or not ids.keys() >= set(classes):
            raise ValueError(
                f'{self.ann_file} must have the classes of the dataset, '
                f'{list(classes)}. Received: {list(ids)}.'
            )
        self._categories = [ids[name] for name in classes]
        BaseMetric.dataset_meta.fset(self, dataset_meta)

    def _share(self, image: int, boxes: np.ndarray) -> np.ndarray:
        if image not in self._regions:
            return np.zeros(len(boxes))
        info = self._coco_api.imgs[image]
        size = info['width'], info['height']
        return ignored_share(boxes, self._regions[image], size)

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            image, found = sample['img_id'], sample['pred_instances']
            if image not in self._coco_api.imgs:
                raise ValueError(
                    f'{self.ann_file} must have all images of the dataset. '
                    f'Received: an image with the id {image}.'
                )
            boxes = found['bboxes'].cpu().numpy().astype(float)
            boxes[:, 2:] -= boxes[:, :2]
            scores = found['scores'].cpu().numpy()
            order = np.argsort(-scores, kind='stable')
            order = order[self._share(image, boxes[order]) < 0.5]
            order = order[: _MAX_DETECTIONS[-1]]
            labels = found['labels'].cpu().numpy()
            self.results.append(
                (image, boxes[order], scores[order], labels[order])
            )

    def compute_metrics(self, results: list) -> dict[str, float]:
        categories, found = self._categories, defaultdict(list)
        for image, boxes, scores, labels in results:
            for label in np.unique(labels):
                own = np.flatnonzero(labels == label)
                objects = self._objects.get((image, categories[label]), [])
                hits, ignored = match(boxes[own], objects, THRESHOLDS)
                found[label].append((scores[own], own, hits.T, ignored.T))
        counts = np.array([self._counts[category] for category in categories])
        precision = np.zeros((len(categories), len(THRESHOLDS)))
        recall = np.zeros((*precision.shape, len(_MAX_DETECTIONS)))
        for label, parts in found.items():
            if counts[label]:
                columns = map(np.concatenate, zip(*parts, strict=True))
                precision[label], recall[label] = precision_recall(
                    *columns, counts[label], _MAX_DETECTIONS
                )
        precision[counts == 0] = recall[counts == 0] = np.nan
        result = dict(AP=mean_of_known(precision))
        result |= at_thresholds('AP', precision.T)
        for k, number in enumerate(_MAX_DETECTIONS):
            result[f'AR{number}'] = mean_of_known(recall[..., k])
        if self.classwise:
            for label, category in enumerate(categories):
                name = self._coco_api.cats[category]['name']
                result[f'AP_{name}'] = precision[label].mean()
        return {name: 100 * float(value) for name, value in result.items()}


def ignored_share(
    boxes: np.ndarray, regions: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """The share of each box that lies in ignored regions.

    The toolkit counts whole pixels of an image, from 1 on: a region includes
    both its ends, a box lacks its first pixel.

    Args:
        boxes (ndarray (N, 4)): x, y, w, h.
        regions (ndarray (R, 4)): x, y, w, h.
        size (tuple[int]): Width and height of the image.

    Returns:
        ndarray (N,): Shares of the boxes' areas, 0 to 1.
    """
    size = np.array(size)
    # Half a pixel counts as a whole one.
    boxes = np.maximum(np.floor(boxes + 0.5), 1)
    starts = np.minimum(boxes[:, :2], size)
    ends = np.minimum(starts + boxes[:, 2:], size)
    regions = np.maximum(regions, 1)
    firsts = regions[:, :2] - 1
    lasts = np.minimum(regions[:, :2] + regions[:, 2:], size)
    # Regions may overlap; the cells between all their borders do not.
    lengths, inside = [], []
    for axis in (0, 1):
        first, last = firsts[:, axis, None], lasts[:, axis, None]
        borders = np.unique([first, last])
        low, high = borders[:-1], borders[1:]
        inside.append((first <= low) & (high <= last))
        start, end = starts[:, axis, None], ends[:, axis, None]
        overlap = np.minimum(end, high) - np.maximum(start, low)
        lengths.append(np.maximum(overlap, 0))
    cells = inside[0].T.astype(float) @ inside[1] > 0
    covered = ((lengths[0] @ cells) * lengths[1]).sum(1)
    return covered / boxes[:, 2:].prod(1)
