"""Drawings of the parts that AutoFocus looked at."""

import numpy as np
import torch
from mmdet.structures import DetDataSample

from sniper_mmdet.images import ImageSource, resize_whole

from .panels import draw_boxes, outline, show_only, with_title

# BGR
CHIP = (0, 200, 255)
FOCUS = (0, 0, 255)
DETECTION = (60, 220, 60)


def draw_focus(
    image: np.ndarray | ImageSource,
    sample: DetDataSample,
    score_thr: float = 0.3,
    height: int = 480,
) -> np.ndarray:
    """Draw a result of AutoFocus, one panel per level, coarse to fine.

    Parts that were not looked at are dark. FocusChips are orange. FocusPixels,
    whose probability reaches the threshold, are the redder the more probable
    they are. Detections of the level that are left after the merge are green.

    Args:
        image (ndarray | ImageSource): uint8 (H, W, 3), BGR.
        sample (:obj:`DetDataSample`): A result of AutoFocus.
        score_thr (float): Least score of drawn detections. Defaults to 0.3.
        height (int): Height of a panel in pixels. Defaults to 480.

    Returns:
        ndarray: uint8 (height + title, W', 3), the panels side by side.

    Raises:
        ValueError: The result is not from AutoFocus.
    """
    if 'focus' not in sample:
        raise ValueError(
            'only results of a sniper_mmdet.AutoFocus detector show what was '
            'looked at: this result has no field focus.'
        )
    focus, found = sample.focus, sample.pred_instances
    found_at = found.get('levels', torch.zeros_like(found.labels))
    h, w = image.shape[:2]
    size = np.array([max(round(w * height / h), 1), height])
    small = resize_whole(image, tuple(size.tolist()))
    panels = []
    levels = zip(focus['sizes'], focus['chips'], strict=True)
    for level, (level_size, chips) in enumerate(levels):
        corners = np.rint(chips * np.tile(size / level_size, 2)).astype(int)
        panel = show_only(small, corners)
        if level < len(focus['probabilities']):
            stride = focus['labels']['stride']
            values = focus['probabilities'][level]
            values = np.where(values < focus['thresholds'][level], 0, values)
            _redden(panel, values, level_size, stride)
        for corner in corners:
            outline(panel, corner, CHIP)
        drawn = (found.scores >= score_thr) & (found_at == level)
        boxes = found.bboxes[drawn].cpu().numpy() * np.tile(size / (w, h), 2)
        draw_boxes(panel, np.rint(boxes).astype(int), DETECTION)
        share = focus['pixels'][level] / focus['pyramid_pixels'][level]
        title = (
            f'level {level}: {level_size[0]}x{level_size[1]}  '
            f'{len(chips)} chips, {share:.0%} of it  {len(boxes)} found'
        )
        panels.append(with_title(panel, title))
    return np.concatenate(panels, 1)


def _redden(panel, probability, level_size, stride) -> None:
    """Blend red over a panel, by the probability of FocusPixels."""
    height, width = panel.shape[:2]
    x = np.arange(width) * level_size[0] // (width * stride)
    y = np.arange(height) * level_size[1] // (height * stride)
    # Thresholds are near 0: the root separates small probabilities.
    alpha = 0.7 * probability.clip(0)[np.ix_(y, x)][..., None] ** 0.25
    panel[:] = (1 - alpha) * panel + alpha * np.array(FOCUS)
