"""Pictures of chips on their image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
from mmcv.image import imread, imresize

from sniper_mmdet.chips import (
    BoxState,
    ChipSettings,
    chip_regions,
    classify_boxes,
    uncovered_proposals,
)

from .panels import outline, show_only, with_title

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
    """Draw the chips of one image, a panel a level, coarse to fine.

    What no chip of the level shows is darkened. Positive chips are orange,
    negative ones magenta, with the proposals that they hold whole. Boxes that
    a chip trains are green, boxes that its chips show but ignore are grey.

    Args:
        image (ndarray): uint8 (H, W, 3), BGR.
        boxes (ndarray (N, 4)): Original pixels.
        table (ndarray (C,)): The image's rows of the chip table.
        settings (ChipSettings): How the chips were cut.
        height (int): Of a panel, in pixels. Defaults to 480.
        proposals (Sequence[ndarray (K, 4)], optional): What negative chips
            of each level are mined from, original pixels.

    Returns:
        ndarray: uint8 (height + title, W', 3), the panels side by side.
    """
    h, w = image.shape[:2]
    scale = height / h
    small = imresize(image, (max(round(w * scale), 1), height))
    panels = []
    for level, factor in enumerate(settings.pyramid.scales):
        rows = table[table['level'] == level]
        panels.append(
            _draw_level(
                small,
                scale,
                boxes,
                chip_regions(rows),
                rows['positive'],
                np.zeros((0, 4)) if proposals is None else proposals[level],
                settings.pyramid.bounds[level],
                _title(settings, level, factor, rows),
            )
        )
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
    path = dataset.dataset.get_data_info(index)['img_path']
    image = imread(path)
    if image is None:
        raise OSError(f'{path} cannot be read as an image.')
    images, settings = dataset.images, dataset.settings
    mined_from = proposals = dataset.proposals
    if proposals is not None:
        asking = uncovered_proposals(
            *(images, settings, dataset.negatives, proposals),
            *(table, index, stride),
        )
        boxes = proposals.boxes[proposals.span(index)]
        mined_from = [boxes[column] for column in asking.T]
    rows = table[table['image'] == index]
    return draw_chips(
        image, images.of_image(index), rows, settings, height, mined_from
    )


def box_states(
    boxes: np.ndarray, regions: np.ndarray, valid_range: tuple
) -> np.ndarray:
    """ndarray (N,): the best that any chip of a level makes of each box."""
    states = np.full(len(boxes), BoxState.OUTSIDE, np.int8)
    for region in regions:
        found = classify_boxes(boxes, region, valid_range)
        trained = (found == BoxState.VALID) | (states == BoxState.VALID)
        states = np.where(trained, BoxState.VALID, np.maximum(found, states))
    return states


def _title(settings, level, factor, rows) -> str:
    low, high = settings.pyramid.valid_ranges[level]
    return (
        f'level {level}: {factor}  {low or 0}-{high or "inf"} px  '
        f'{rows["positive"].sum()}+ {(~rows["positive"]).sum()}-'
    )


def _draw_level(
    small, scale, boxes, regions, positive, proposals, valid_range, title
) -> np.ndarray:
    corners = np.rint(regions * scale).astype(int)
    panel = show_only(small, corners)
    held = box_states(proposals, regions[~positive], (0, np.inf))
    for x1, y1, x2, y2 in (proposals[held == BoxState.VALID] * scale).astype(
        int
    ):
        cv2.rectangle(
            panel, (int(x1), int(y1)), (int(x2), int(y2)), PROPOSAL, 1
        )
    states = box_states(boxes, regions, valid_range)
    for i in np.flatnonzero(states != BoxState.OUTSIDE):
        color = VALID if states[i] == BoxState.VALID else IGNORED
        x1, y1, x2, y2 = np.rint(boxes[i] * scale).astype(int).tolist()
        cv2.rectangle(panel, (x1, y1), (x2, y2), color, 1)
    for corner, sign in zip(corners, positive, strict=True):
        outline(panel, corner, POSITIVE if sign else NEGATIVE)
    return with_title(panel, title)
