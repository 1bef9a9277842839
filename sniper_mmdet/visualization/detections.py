"""Inputs for mmdet's visualizer that it can draw in all cases."""

import numpy as np
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import get_box_tensor
from mmdet.structures.mask import BaseInstanceMasks, BitmapMasks
from mmdet.visualization import get_palette
from mmengine.structures import InstanceData

from sniper_mmdet.images import ImageSource, resize_whole

#: Larger images are shrunk for drawing: people look at the result.
MAX_PIXELS = 4_000_000


def with_palette(meta: dict) -> dict:
    """Return the metainfo of a data set with a colour for each class.

    Existing colours stay; classes without a colour get mmdet's random ones.
    """
    palette = meta.get('palette')
    if isinstance(palette, str):  # 'coco' has colours, 'random' has none
        palette = get_palette(palette, 0) or palette
    if np.ndim(palette) == 0 or (np.ndim(palette) == 1 and len(palette) == 3):
        return meta  # mmdet makes as many of a name, None or one colour
    others = get_palette('random', len(meta.get('classes') or ()))
    own = [tuple(color) for color in palette]
    return dict(meta, palette=own + others[len(own) :])


def at_most(
    image: np.ndarray | ImageSource,
    sample: DetDataSample,
    score_thr: float,
    max_pixels: int = MAX_PIXELS,
) -> tuple[np.ndarray, DetDataSample]:
    """Shrink an image, and the instances on it, for drawing.

    Predictions are returned by rising score: what is drawn last is seen, and
    an object may have a box of a second class.

    Args:
        image (ndarray | ImageSource): (H, W, 3).
        sample (:obj:`DetDataSample`): Sample with ``gt_instances`` and
            ``pred_instances``. Segmentation maps are not resized: an image
            that has one stays as it is.
        score_thr (float): Predictions must have a higher score.
        max_pixels (int): Upper bound of the image's pixels. Defaults to 4
            million.

    Returns:
        tuple: The image, unchanged if it is small enough, and a sample with
        the instances.
    """
    height, width = image.shape[:2]
    drawn = sample.new()
    found = drawn.get('pred_instances', {})
    if 'scores' in found:
        found = found[found.scores.argsort(stable=True)]
        drawn.pred_instances = found[found.scores > score_thr]
    factor = (max_pixels / (height * width)) ** 0.5
    if factor >= 1 or any(key.endswith('_seg') for key in sample.keys()):
        if isinstance(image, ImageSource):
            image = resize_whole(image, (width, height))
        return image, drawn
    size = max(int(width * factor), 1), max(int(height * factor), 1)
    for name in ('gt_instances', 'pred_instances'):
        if name in drawn:
            instances = drawn.get(name).cpu()
            instances = _resized(instances, (width, height), size)
            drawn.set_field(instances, name, InstanceData)
    return resize_whole(image, size), drawn


def _resized(
    instances: InstanceData, before: tuple[int, int], size: tuple[int, int]
) -> InstanceData:
    """Resize instances with their image, from (width, height) to size."""
    resized = InstanceData()
    for key in ('labels', 'scores', 'label_names'):
        if key in instances:
            resized.set_field(instances[key], key)
    if 'bboxes' in instances:
        boxes = get_box_tensor(instances.bboxes)
        scale = boxes.new_tensor(size) / boxes.new_tensor(before)
        resized.bboxes = boxes * scale.repeat(2)
    if 'masks' in instances:
        masks = instances.masks
        if not isinstance(masks, BaseInstanceMasks):
            masks = np.asarray(masks).view(np.uint8)
            masks = BitmapMasks(masks, *before[::-1])
        resized.masks = masks.resize(size[::-1])
    return resized
