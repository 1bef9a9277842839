"""Study of the object sizes that a detector finds well at each level."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pycocotools.coco import COCO

from sniper_mmdet.chips import ImagePyramid
from sniper_mmdet.chips.pyramid import Scale
from sniper_mmdet.evaluation import evaluate_boxes
from sniper_mmdet.evaluation.matching import mean_of_known
from sniper_mmdet.utils.quiet import quiet

from .recording import Recording

#: Factors from the config's finest level to the levels that are tried.
_STEPS = (2.0 ** np.arange(-3, 1, 0.5)).tolist()
#: Largest factor that is tried, unless the config has a larger one.
_LARGEST = 3.0
#: Part of the best AP at which a finer level is not worth its pixels, and part
#: at which objects count as found well.
_BEST, _WELL = 0.97, 0.8


@dataclass(frozen=True)
class LevelStudy:
    """Object sizes that a detector finds well at each level.

    Args:
        scales (tuple): The levels, coarse to fine.
        factors (ndarray (F,)): Median factors from original to level pixels.
        edges (ndarray (B + 1,)): Limits of bins of sizes with equally many
            objects, original pixels.
        AP (ndarray (F, B)): AP in % of each level alone for the objects of
            each bin; other objects are ignored.
        as_good (tuple[int]): Levels that find the smaller half of the objects
            as well as any level; if no level finds these, the same for all
            objects.
        target (tuple[float]): (low, high) sizes that the detector finds well,
            level pixels.
    """

    scales: tuple
    factors: np.ndarray
    edges: np.ndarray
    AP: np.ndarray
    as_good: tuple[int, ...]
    target: tuple[float, float]

    @property
    def finest(self) -> int:
        """int: The coarsest level that finds small objects as well as any."""
        return self.as_good[0]


def ladder(
    scales: Sequence[Scale], size: tuple[int, int] = (1920, 1080)
) -> list[Scale]:
    """List a pyramid's levels, and steps of 1.41 about its finest one.

    Args:
        scales (Sequence): Levels of the pyramid, coarse to fine.
        size (tuple[int]): (width, height) of an image, by which levels of
            different kinds are ordered. Defaults to (1920, 1080).
    """

    def factor(scale: Scale) -> float:
        return float(ImagePyramid([scale]).factors(*size)[0])

    rungs = list(ImagePyramid(scales).scales)
    finest, largest = rungs[-1], max(factor(rungs[-1]), _LARGEST)
    for step in _STEPS:
        if isinstance(finest, float):
            rung: Scale = round(finest * step, 3)
        else:
            low, high = finest
            rung = low if low == -1 else round(low * step), round(high * step)
        near = [abs(np.log(factor(rung) / factor(s))) < 0.1 for s in rungs]
        if not any(near) and factor(rung) <= largest:
            rungs.append(rung)
    return sorted(rungs, key=factor)


def study(recording: Recording, bins: int = 4) -> LevelStudy:
    """Study which object sizes each level of a recording finds well."""
    sizes = recording.object_sizes
    edges = np.unique(np.quantile(sizes, np.linspace(0, 1, bins + 1)))
    edges = edges if len(edges) > 1 else np.append(edges, edges + 1)
    edges[-1] += 1
    factors = recording.factors
    levels = range(len(recording.scales))
    classes = list(zip(edges[:-1], edges[1:], strict=True))
    # The rule uses half of the objects: a bin has few, and chance would
    # decide.
    ranges = [(edges[0], np.median(sizes)), (edges[0], edges[-1]), *classes]
    found = np.array([_by_size(recording, k, ranges) for k in levels])
    half, every, found = found[:, 0], found[:, 1], found[:, 2:]
    small = half if half.any() else every
    most = found.max(0)
    # Bins where no level finds anything do not count, unless all are empty.
    known = most > 0 if most.any() else most == 0
    well = (found >= _WELL * most)[:, known]
    middle = [
        np.median(sizes[(sizes >= low) & (sizes < high)])
        for low, high in classes
    ]
    at = factors[:, None] * np.array(middle)[known]
    # The limit is half a step further: levels between were not tried.
    low = np.where(well, at, np.inf).min(0) / 2**0.25
    high = np.where(well, at, 0).max(0) * 2**0.25
    return LevelStudy(
        recording.scales,
        factors,
        edges,
        found,
        tuple(np.flatnonzero(small >= _BEST * small.max()).tolist()),
        # The largest size: small objects are no larger than at the finest
        # level.
        (float(np.median(low)), float(high.max())),
    )


def _by_size(recording: Recording, level: int, ranges) -> list[float]:
    """Return AP in % of one level for sizes in ranges, ends included."""
    merge, detections, annotations = recording.model.merge_levels, [], []
    for key, image in enumerate(recording.images):
        found = merge([image.found[image.found.levels == level]])
        boxes, labels = found.bboxes.numpy(), found.labels.numpy()
        boxes = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)
        columns = [found.scores.numpy()[:, None], labels[:, None]]
        keys = np.full((len(boxes), 1), key)
        detections.append(np.concatenate([keys, boxes, *columns], 1))
        for one in image.objects:
            area = float(np.prod(one['bbox'][2:]))
            rest = dict(image_id=key, category_id=one['label'], area=area)
            rest['id'] = len(annotations) + 1
            annotations.append(dict(one, **rest))
    labels = sorted({one['label'] for one in annotations})
    truth = COCO()
    truth.dataset = dict(
        images=[dict(id=key) for key in range(len(recording.images))],
        annotations=annotations,
        categories=[dict(id=label) for label in labels],
    )
    with quiet():
        truth.createIndex()
    sides = np.square(ranges)
    evaluation = evaluate_boxes(
        truth,
        np.concatenate(detections),
        areaRng=sides.tolist(),
        areaRngLbl=[str(side) for side in sides],
    )
    # Axes: IoU thresholds, recalls, classes, sizes; with most detections.
    precision = evaluation.eval['precision'][..., -1]
    every = range(len(sides))
    return [100 * mean_of_known(precision[..., k]) for k in every]
