"""AP of ImageNet-DET, for detectors with more and finer classes."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmdet.evaluation.functional import bbox_overlaps

from sniper_mmdet.utils.errors import UserError

from .matching import precision_recall

#: Labels and boxes (N, 4), x1, y1, x2, y2, per image; below with scores.
Objects = Sequence[tuple[np.ndarray, np.ndarray]]
Detections = Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]


def least_iou(boxes: np.ndarray, tolerance: float = 10) -> np.ndarray:
    """The least IoU at which an object is found (ILSVRC's protocol).

    It is 0.5, and less for a small object: the IoU with a box that is 5 px
    larger on each side.

    Args:
        boxes (ndarray (N, 4)): x1, y1, x2, y2 of objects, px.
        tolerance (float): Added to both sides. Defaults to 10.
    """
    w, h = (boxes[:, 2:] - boxes[:, :2]).T
    return np.minimum(0.5, w * h / ((w + tolerance) * (h + tolerance)))


def match_det(boxes: np.ndarray, objects: np.ndarray) -> np.ndarray:
    """Find which detections match an object, for one class and one image.

    Detections come best first. Each takes the free object that it overlaps
    most, among the objects that it overlaps enough.

    Args:
        boxes (ndarray (D, 4)): Detections x1, y1, x2, y2, best first.
        objects (ndarray (G, 4)): Objects x1, y1, x2, y2.

    Returns:
        ndarray (D,): bool.
    """
    hits = np.zeros(len(boxes), bool)
    if not len(boxes) or not len(objects):
        return hits
    overlaps = bbox_overlaps(boxes, objects)
    overlaps[overlaps < least_iou(objects)] = 0
    for k, row in enumerate(overlaps):
        best = row.argmax()
        if row[best] > 0:
            hits[k] = True
            overlaps[:, best] = 0
    return hits


def det_average_precision(
    objects: Objects, detections: Detections, num_classes: int
) -> np.ndarray:
    """AP of each class, 0 to 1; NaN for a class without an object.

    Args:
        objects (Objects): Objects of each image.
        detections (Detections): Detections of each image; a label below 0 does
            not count.
        num_classes (int): Number of classes.

    Returns:
        ndarray (num_classes,).
    """
    found = [[] for _ in range(num_classes)]
    counts = np.zeros(num_classes, int)
    for (labels, boxes), (kinds, seen, scores) in zip(
        objects, detections, strict=True
    ):
        np.add.at(counts, labels, 1)
        order = np.argsort(-scores, kind='stable')
        kinds, seen, scores = kinds[order], seen[order], scores[order]
        for label in np.unique(kinds[kinds >= 0]):
            mine = kinds == label
            hits = match_det(seen[mine], boxes[labels == label])
            found[label].append((scores[mine], hits))
    result = np.full(num_classes, np.nan)
    for label in np.flatnonzero(counts):
        result[label] = 0
        if found[label]:
            columns = zip(*found[label], strict=True)
            scores, hits = map(np.concatenate, columns)
            hits = hits[:, None]
            none = np.zeros_like(hits)
            ranks = np.zeros(len(scores), int)
            area, _ = precision_recall(
                scores, ranks, hits, none, counts[label], [1]
            )
            result[label] = area[0]
    return result


def read_mapping(
    path: str | Path, classes: Sequence[str], evaluated: Sequence[str]
) -> np.ndarray:
    """Read the evaluation class of each class; -1 is ignored.

    Args:
        path (str | Path): A json file ``{class: evaluation class}``. A class
            that is ignored has null, or is left out.
        classes (Sequence[str]): Classes of the detector.
        evaluated (Sequence[str]): Classes of the annotations.

    Raises:
        FileNotFoundError: No such file.
        UserError: The file has another format, or names an unknown class.
    """
    try:
        mapping = json.loads(Path(path).read_text())
        items = list(mapping.items())
    except (AttributeError, UnicodeDecodeError, json.JSONDecodeError):
        raise UserError(
            f'{path} must be a json file {{class: evaluation class}}.'
        ) from None
    labels = {name: k for k, name in enumerate(classes)}
    targets = {name: k for k, name in enumerate(evaluated)}
    result = np.full(len(classes), -1)
    for name, target in items:
        for known, given, of in (
            (labels, name, 'detector has'),
            (targets, target, 'annotations have'),
        ):
            if given is not None and given not in known:
                raise UserError(
                    f'{path} maps {name!r} to {target!r}: the {of} no class '
                    f'{given!r}.'
                )
        if target is not None:
            result[labels[name]] = targets[target]
    if (result < 0).all():
        raise UserError(f'{path} maps no class to an evaluated class.')
    return result


def evaluate_det(
    ann_file: str | Path, results: str | Path, mapping: str | Path
) -> dict[str, float]:
    """AP of each evaluation class in %, and their mean, ``mAP``.

    Args:
        ann_file (str | Path): COCO file of the evaluation classes.
        results (str | Path): COCO results of ``detect(out_json=...)``, beside
            the file of its images and classes, ``{stem}.images.json``. Images
            are identified by the ends of their paths.
        mapping (str | Path): See :func:`read_mapping`.

    Raises:
        FileNotFoundError: No such file.
        UserError: The files do not belong together.
    """
    coco, found = _read(ann_file), _read(results)
    seen = _read(Path(results).with_suffix('.images.json'))
    names = [category['name'] for category in coco['categories']]
    fine = [category['name'] for category in seen['categories']]
    targets = read_mapping(mapping, fine, names)
    target_of = {
        category['id']: targets[k]
        for k, category in enumerate(seen['categories'])
    }
    label_of = {c['id']: k for k, c in enumerate(coco['categories'])}
    place = _same_images(coco, seen, ann_file)
    objects = [[] for _ in coco['images']]
    order = {image['id']: k for k, image in enumerate(coco['images'])}
    for one in coco['annotations']:
        row = (label_of[one['category_id']], *one['bbox'])
        objects[order[one['image_id']]].append(row)
    detections = [[] for _ in coco['images']]
    for one in found:
        row = (target_of[one['category_id']], *one['bbox'], one['score'])
        if one['image_id'] in place:
            detections[place[one['image_id']]].append(row)
    scores = det_average_precision(
        [_columns(rows, 5)[:2] for rows in objects],
        [_columns(rows, 6) for rows in detections],
        len(names),
    )
    table = {
        name: 100 * float(score)
        for name, score in zip(names, scores, strict=True)
        if not np.isnan(score)
    }
    return dict(mAP=float(np.mean(list(table.values()) or [np.nan]))) | table


def _read(path: str | Path):
    try:
        return json.loads(Path(path).read_text())
    except (UnicodeDecodeError, json.JSONDecodeError):
        raise UserError(f'{path} must be a json file.') from None


def _same_images(coco: dict, seen: dict, ann_file) -> dict[int, int]:
    """Index of images in the annotations, by their id in the results."""
    known = {image['file_name']: k for k, image in enumerate(coco['images'])}
    place = {}
    for image in seen['images']:
        parts = Path(image['file_name']).parts
        tails = ('/'.join(parts[k:]) for k in range(len(parts)))
        name = next((tail for tail in tails if tail in known), None)
        if name is not None:
            place[image['id']] = known[name]
    if len(place) < len(known):
        missing = sorted(set(known.values()) - set(place.values()))
        name = coco['images'][missing[0]]['file_name'] if missing else ''
        raise UserError(
            f'{ann_file} has {len(known)} images, and the results have '
            f'{len(place)} of them: {name} is missing.'
        )
    return place


def _columns(rows: list[tuple], width: int) -> tuple:
    """Convert rows with x, y, w, h to labels, x1, y1, x2, y2, and scores."""
    table = np.array(rows, float).reshape(-1, width)
    boxes = np.hstack([table[:, 1:3], table[:, 1:3] + table[:, 3:5]])
    return table[:, 0].astype(int), boxes, table[:, -1]
