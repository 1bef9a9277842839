"""Recordings that are made by hand."""

from types import SimpleNamespace

import numpy as np
import torch
from mmengine.structures import InstanceData

from sniper_mmdet.chips import ImagePyramid
from sniper_mmdet.fitting.recording import RecordedImage, Recording


def merge_levels(results):
    """Without any NMS."""
    found = InstanceData.cat(results)
    return found[found.scores.argsort(descending=True)]


MODEL = SimpleNamespace(
    merge_levels=merge_levels,
    focus_head=SimpleNamespace(stride=8, sizes=(3, 32, 48)),
)


def recorded(size, scales, maps, rows, objects):
    """An image: rows are (level, score, box); objects are boxes."""
    levels, scores, boxes = map(list, zip(*rows, strict=True))
    boxes = torch.tensor(boxes, dtype=torch.float32)
    found = InstanceData(
        bboxes=boxes,
        scores=torch.tensor(scores),
        labels=torch.zeros(len(rows), dtype=torch.long),
        levels=torch.tensor(levels),
    )
    objects = [
        dict(bbox=[x1, y1, x2 - x1, y2 - y1], iscrowd=0, label=0)
        for x1, y1, x2, y2 in objects
    ]
    sizes = ImagePyramid(scales).level_sizes(*size)
    maps = [np.array(values, np.float32) for values in maps]
    return RecordedImage(size, sizes, maps, found, objects)


def recording(scales, *images):
    return Recording(MODEL, tuple(scales), list(images))
