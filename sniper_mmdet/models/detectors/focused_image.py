"""The state of one image during coarse-to-fine detection."""

import numpy as np
from torch import Tensor

from sniper_mmdet.chips import FocusSettings
from sniper_mmdet.chips.budget import chips_within, count_pixels
from sniper_mmdet.chips.focus import focus_labels
from sniper_mmdet.chips.tiles import Tile

from .image_levels import ImageLevels, make_batches  # noqa: F401


class FocusedImage(ImageLevels):
    """The parts of an image that were looked at, and the detections in them.

    Args:
        pixels (ndarray | Tensor): uint8 (H, W, 3).
        sizes (ndarray (L, 2)): (width, height) of each level.
        stride (int): Stride of FocusPixels, level pixels. Defaults to 16.
        scales (ndarray (L, 2), optional): See :class:`ImageLevels`.

    Attributes:
        chips (list[ndarray (C, 4)]): Parts by level, level pixels; at first
            the whole coarsest level.
        maps (list[ndarray (h, w)]): Probability of FocusPixels by level but
            the finest, negative where nothing was looked at.
        budget (float): Upper bound of the level pixels to look at; inf at
            first.
        thresholds (list[float]): Probabilities from which on a FocusPixel led
            to the next level, by level but the finest; inf where the budget
            allowed none.
    """

    def __init__(
        self,
        pixels: np.ndarray | Tensor,
        sizes: np.ndarray,
        stride: int = 16,
        scales: np.ndarray | None = None,
    ) -> None:
        super().__init__(pixels, sizes, scales)
        self.stride = stride
        self.budget = np.inf
        self.thresholds = []
        self.chips = [np.array([self.whole(0)])]
        cells = -(-sizes[:-1, ::-1] // stride)
        self.maps = [np.full(shape, -1, np.float32) for shape in cells]

    def _cells(self, chip: list) -> tuple[slice, slice]:
        """Return the cells of a chip in its level's map."""
        x1, y1, x2, y2 = chip
        return np.s_[
            y1 // self.stride : -(-y2 // self.stride),
            x1 // self.stride : -(-x2 // self.stride),
        ]

    def fill_map(self, level: int, tile: Tile, values: np.ndarray) -> None:
        """Write a tile's probabilities (h, w) to its core in a level's map."""
        rows, columns = self._cells(tile.core)
        part = self.maps[level][rows, columns]
        top, left = (cells.start for cells in self._cells(tile.part))
        values = values[rows.start - top :, columns.start - left :]
        # Padding gives more cells, a detector that rounds down fewer.
        values = values[: part.shape[0], : part.shape[1]]
        part[: values.shape[0], : values.shape[1]] = values

    def fill_truth(
        self, level: int, boxes: np.ndarray, labelling: dict
    ) -> None:
        """Set the FocusPixels of boxes to 1 where the level is looked at."""
        boxes = boxes * np.tile(self.scale(level), 2)
        labels = focus_labels(boxes, self.sizes[level], **labelling)
        for cells in map(self._cells, self.chips[level].tolist()):
            self.maps[level][cells] = labels[cells] == 1

    def focus(self, level: int, settings: FocusSettings) -> None:
        """Compute the FocusChips of the next level from this level's map.

        Each remaining level gets an equal part of the remaining budget: a part
        that one level does not use goes to the next.
        """
        rest = self.budget - sum(self._looked_at())
        chips, threshold = chips_within(
            self.maps[level],
            *self.sizes[level : level + 2],
            settings,
            self.stride,
            max(rest, 0) / (len(self.sizes) - 1 - level),
        )
        self.chips.append(chips)
        self.thresholds.append(threshold)

    def _looked_at(self) -> list[int]:
        """Return the number of pixels of the FocusChips of each level."""
        return list(map(count_pixels, self.chips))

    def looked_at(self) -> dict:
        """Return the field ``focus`` of the image's result."""
        return dict(
            sizes=self.sizes.tolist(),
            chips=self.chips,
            pixels=self._looked_at(),
            pyramid_pixels=self.sizes.prod(1).tolist(),
            budget=self.budget,
            probabilities=self.maps,
            thresholds=self.thresholds,
        )
