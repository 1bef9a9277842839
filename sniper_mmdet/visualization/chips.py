"""Drawings of chips on their image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from mmcv.image import imresize

from sniper_mmdet.chips import (
    BoxState,
    ChipSettings,
    chip_regions,
    classify_boxes,
    uncovered_proposals,
)
from sniper_mmdet.utils.image import read_image

from .panels import draw_boxes, outline, show_only, with_title

if TYPE_CHECKING:
    from sniper_mmdet.datasets import ChipDataset

# BGR
POSITIVE = (0, 200, 255)
NEGATIVE = (255, 80, 255)
VALID = (60, 220, 60)
IGNORED = (150, 150, 150)
PROPOSAL = (255, 170, 255)


def draw_chips(
    image: np.ndarray,
    boxes: np.ndarray,
    table: np.ndarray,
    settings: ChipSettings,
    height: int = 480,
    proposals: Sequence[np.ndarray] | None = None,
) -> np.ndarray:
    """Draw the chips of one image, one panel per level, coarse to fine.

    Parts that no chip of the level shows are dark. Positive chips are orange.
    Negative chips are magenta, with the proposals that lie whole in them.
    Boxes that a chip trains are green, boxes that chips show but ignore are
    grey.

    Args:
        image (ndarray): uint8 (H, W, 3), BGR.
        boxes (ndarray (N, 4)): Original pixels.
        table (ndarray (C,)): The image's rows of the chip table.
        settings (ChipSettings): Settings by which the chips were cut.
        height (int): Height of a panel in pixels. Defaults to 480.
        proposals (Sequence[ndarray (K, 4)], optional): Proposals of each level
            from which negative chips are mined, original pixels.

    Returns:
        ndarray: uint8 (height + title, W', 3), the panels side by side.
    """
    h, w = image.shape[:2]
    scale = height / h
    small = imresize(image, (max(round(w * scale), 1), height))
    drawn = np.rint(boxes * scale).astype(int)
    panels = []
    for level, factor in enumerate(settings.pyramid.scales):
        rows = table[table['level'] == level]
        regions, positive = chip_regions(rows), rows['positive']
        corners = np.rint(regions * scale).astype(int)
        panel = show_only(small, corners)
        if proposals is not None:
            mined = proposals[level]
            held = box_states(mined, regions[~positive], (0, np.inf))
            mined = mined[held == BoxState.VALID] * scale
            draw_boxes(panel, mined.astype(int), PROPOSAL)
        states = box_states(boxes, regions, settings.pyramid.bounds[level])
        for i in np.flatnonzero(states != BoxState.OUTSIDE):
            color = VALID if states[i] == BoxState.VALID else IGNORED
            draw_boxes(panel, drawn[[i]], color)
        for corner, sign in zip(corners, positive, strict=True):
            outline(panel, corner, POSITIVE if sign else NEGATIVE)
        low, high = settings.pyramid.valid_ranges[level]
        title = (
            f'level {level}: {factor}  {low or 0}-{high or "inf"} px  '
            f'{positive.sum()}+ {(~positive).sum()}-'
        )
        panels.append(with_title(panel, title))
    return np.concatenate(panels, 1)


def draw_image(
    dataset: ChipDataset,
    table: np.ndarray,
    index: int,
    stride: int,
    height: int = 480,
) -> np.ndarray:
    """Draw the chips of one image of a data set: :func:`draw_chips`.

    ``table`` (C,) holds the chips of all images, cut on a candidate grid of
    ``stride`` level pixels.

    Raises:
        OSError: The image cannot be read.
    """
    image = read_image(dataset.dataset.get_data_info(index)['img_path'])
    images, settings = dataset.images, dataset.settings
    mined_from = proposals = dataset.proposals
    if proposals is not None:
        mining = images, settings, dataset.negatives, proposals
        asking = uncovered_proposals(*mining, table, index, stride)
        boxes = proposals.boxes[proposals.span(index)]
        mined_from = [boxes[column] for column in asking.T]
    rows = table[table['image'] == index]
    return draw_chips(
        image, images.of_image(index), rows, settings, height, mined_from
    )


def box_states(
    boxes: np.ndarray, regions: np.ndarray, valid_range: tuple
) -> np.ndarray:
    """Return the best state (N,) of each box in any chip of a level."""
    states = np.full(len(boxes), BoxState.OUTSIDE, np.int8)
    for region in regions:
        found = classify_boxes(boxes, region, valid_range)
        trained = (found == BoxState.VALID) | (states == BoxState.VALID)
        states = np.where(trained, BoxState.VALID, np.maximum(found, states))
    return states
