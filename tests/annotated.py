"""Boxes and labels as a detector is given them."""

import torch
from mmengine.structures import InstanceData


def instances(boxes=(), labels=0) -> InstanceData:
    """Boxes (x1, y1, x2, y2), of one label or of as many."""
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    labels = torch.as_tensor(labels).expand(len(boxes))
    return InstanceData(bboxes=boxes, labels=labels)
