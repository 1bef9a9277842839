"""Measures WIDER FACE's evaluation beside the usual loop over images."""

import time

import numpy as np

from sniper_mmdet.evaluation import average_precision_of, wider_curves

_NUM_THRESHOLDS = 1000


def made_faces(num_images: int, num_detections: int, seed: int = 0) -> tuple:
    """Make faces, detections and masks that resemble WIDER FACE's val split.

    Returns:
        tuple: Arguments of :func:`~sniper_mmdet.evaluation.wider_curves`.
    """
    rng = np.random.default_rng(seed)
    faces, detections, counted = [], [], {'easy': [], 'medium': [], 'hard': []}
    crowds = rng.pareto(1.1, num_images) * 3 + 1
    for crowd in np.minimum(crowds, 700).astype(int):
        side = np.exp(rng.uniform(np.log(6), np.log(200), crowd))
        corner = rng.uniform(0, (900, 600), (crowd, 2))
        own = np.column_stack([corner, side, 1.2 * side]).astype(int)
        faces.append(own)
        for name, least in (('easy', 50), ('medium', 30), ('hard', 10)):
            counted[name].append(own[:, 3] > least)
        detections.append(_made_detections(rng, own, num_detections))
    return detections, faces, counted


def _made_detections(rng, faces: np.ndarray, count: int) -> np.ndarray:
    """Move the faces a little, and fill up with random boxes."""
    near = faces + rng.normal(0, 0.1, faces.shape) * faces[:, 2:].repeat(2, 1)
    others = rng.uniform((0, 0, 6, 6), (900, 600, 100, 100), (count, 4))
    boxes = np.concatenate([near, others])[:count].round()
    scores = rng.uniform(0, 1, len(boxes))
    scores[len(near) :] *= 0.7
    return np.column_stack([boxes, scores.round(6)])


def plain_curves(detections, faces, counted) -> dict[str, np.ndarray]:
    """The result of :func:`wider_curves` for ``iou='exact'``, in plain loops.

    The usual scripts have the same loops: over difficulties, images,
    detections and thresholds.
    """
    every = np.concatenate([found[:, 4] for found in detections])
    every = every.astype(np.float32)
    low, high = every.min(), max(every.max(), np.finfo(np.float32).tiny)
    curves = {}
    for name, masks in counted.items():
        counts = np.zeros((_NUM_THRESHOLDS, 2))
        for found, own, mask in zip(detections, faces, masks, strict=True):
            if not len(found) or not len(own):
                continue
            found = found[np.argsort(-found[:, 4], kind='stable')]
            scores = (found[:, 4].astype(np.float32) - low) / (high - low)
            hits, kept = _plain_image(found, own, mask)
            for k in range(_NUM_THRESHOLDS):
                threshold = 1 - (k + 1) / _NUM_THRESHOLDS
                above = np.flatnonzero(scores.astype(float) >= threshold)
                if len(above):
                    last = above[-1]
                    counts[k] += kept[: last + 1].sum(), hits[last]
        total = sum(mask.sum() for mask in masks)
        with np.errstate(invalid='ignore'):
            curve = counts[:, 1] / counts[:, 0], counts[:, 1] / total
        curves[name] = np.stack(curve, 1)
    return curves


def _plain_image(found, faces, mask) -> tuple[np.ndarray, np.ndarray]:
    """Number of faces found up to each detection, and valid detections."""
    state = np.zeros(len(faces))
    hits, kept = np.zeros(len(found)), np.ones(len(found), bool)
    ends = faces[:, :2] + faces[:, 2:]
    area = (faces[:, 2:] + 1.0).prod(1)
    for k, (x, y, w, h, _) in enumerate(found):
        width = np.minimum(ends[:, 0], x + w) - np.maximum(faces[:, 0], x) + 1
        height = np.minimum(ends[:, 1], y + h) - np.maximum(faces[:, 1], y) + 1
        common = width * height
        with np.errstate(divide='ignore'):
            iou = common / ((w + 1) * (h + 1) + area - common)
        iou[(width <= 0) | (height <= 0)] = 0
        best = iou.argmax()
        if iou[best] >= 0.5:
            if not mask[best]:
                kept[k] = False
            else:
                state[best] = 1
        hits[k] = state.sum()
    return hits, kept


def benchmark_wider(
    num_images: int = 3226, num_detections: int = 310, seed: int = 0
) -> dict[str, float]:
    """CPU seconds of an evaluation of synthetic faces, and of plain loops."""
    made = made_faces(num_images, num_detections, seed)
    seconds, found = [], []
    for count in (
        lambda *args: wider_curves(*args, iou='exact'),
        wider_curves,
        plain_curves,
    ):
        start = time.process_time()
        found.append(count(*made))
        seconds.append(time.process_time() - start)
    difference = max(
        abs(average_precision_of(curve) - average_precision_of(plain[name]))
        for plain in found[2:]
        for name, curve in found[0].items()
    )
    return dict(
        images=num_images,
        faces=sum(map(len, made[1])),
        detections=sum(map(len, made[0])),
        seconds=seconds[1],
        seconds_exact=seconds[0],
        seconds_plain=seconds[2],
        speedup=seconds[2] / seconds[1],
        largest_difference=difference,
    )
