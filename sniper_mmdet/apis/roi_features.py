"""Features of RoIs, as the box head of a two-stage detector sees them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from mmdet.models.detectors.two_stage import TwoStageDetector
from mmdet.structures.bbox import bbox2roi, bbox_overlaps
from mmengine.dataset import pseudo_collate
from torch import Tensor, nn

from sniper_mmdet.models import PyramidDetector
from sniper_mmdet.models.roi_heads.decoupled_roi_head import last_stage
from sniper_mmdet.utils.errors import UserError

from .box_heads import decoupled_head
from .inputs import Reader, read_ahead


class PictureFeatures(NamedTuple):
    """The RoIs that stand for one image, best first."""

    path: str
    #: (R, D), float32.
    features: np.ndarray


@torch.no_grad()
def picture_features(
    model: nn.Module,
    paths: Sequence[str | Path],
    rois: str = 'objects',
    num_rois: int = 4,
    batch_size: int = 8,
    on_error: str = 'raise',
) -> Iterator[PictureFeatures]:
    """Features of the RoIs of each image that most likely show its object.

    Args:
        model (nn.Module): A two-stage detector of mmdet with a decoupled
            head and its config in ``model.cfg``.
        paths (Sequence[str | Path]): Image files.
        rois (str): 'objects': the RoI that is most likely an object, and other
            RoIs on the same object; the whole image is one of the RoIs. Or
            'whole': the image as the only RoI. Defaults to 'objects'.
        num_rois (int): Largest number of RoIs per image. Defaults to 4.
        batch_size (int): Number of images per batch. Defaults to 8.
        on_error (str): 'raise', or 'skip' images that cannot be read. Defaults
            to 'raise'.

    Raises:
        OSError: An image cannot be read.
        UserError: The detector is of another kind.
    """
    head = decoupled_head(model)
    if isinstance(model, PyramidDetector):
        raise UserError(
            'features of images need a detector of one level: give the config '
            'and the weights of the detector that the pyramid wraps. '
            f'Received: {type(model).__name__}.'
        )
    if not isinstance(model, TwoStageDetector) or not model.with_rpn:
        raise UserError(
            'features of images need a two-stage detector with an RPN. '
            f'Received: {type(model).__name__}.'
        )
    reader = Reader(model, list(paths), on_error)
    for batch in read_ahead(reader, batch_size):
        data = model.data_preprocessor(pseudo_collate(batch), False)
        samples = data['data_samples']
        x = model.extract_feat(data['inputs'])
        found = model.rpn_head.predict(x, samples, rescale=False)
        for i, (sample, proposals) in enumerate(
            zip(samples, found, strict=True)
        ):
            height, width = sample.img_shape[:2]
            whole = proposals.bboxes.new_tensor([[0, 0, width, height]])
            boxes = whole
            if rois == 'objects':
                boxes = torch.cat([whole, proposals.bboxes[:300]])
            index = bbox2roi([boxes])
            index[:, 0] = i
            scores = last_stage(model.roi_head, x, index)['cls_score']
            logits, features = head.split(scores)
            objectness = 1 - logits.softmax(1)[:, -1]
            kept = _on_one_object(boxes, objectness, num_rois)
            yield PictureFeatures(
                sample.img_path, features[kept].cpu().float().numpy()
            )


def _on_one_object(boxes: Tensor, objectness: Tensor, num: int) -> Tensor:
    """The most probable object, and the most probable RoIs on it."""
    best = objectness.argmax()
    near = bbox_overlaps(boxes[best, None], boxes)[0] >= 0.6
    near[best] = True
    order = (objectness * near).argsort(descending=True)
    return order[: min(num, int(near.sum()))]
