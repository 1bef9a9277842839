"""One image that is looked at coarse to fine, and its chips in batches."""

from collections.abc import Iterator

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import Tensor

from sniper_mmdet.chips import FocusSettings
from sniper_mmdet.chips.focus import (
    away_from_cuts,
    focus_chips,
    focus_labels,
    move_chips,
)
from sniper_mmdet.utils.image import cut_level

from .mask_parts import MaskPart
from .pyramid_detector import as_input

# Level pixels that the memory of a chip's proposals is like.
_LEAST = 256**2
# Pixels of a batch, at most, for one of its chips'.
_PADDED = 1.25


class FocusedImage:
    """What was looked at of an image, and what was found.

    Args:
        pixels (ndarray): uint8 (H, W, 3).
        sizes (ndarray (L, 2)): (width, height) of each level.
        stride (int): Of FocusPixels, level pixels. Defaults to 16.

    Attributes:
        chips (list[ndarray (C, 4)]): By level, level pixels; at first the
            whole coarsest level.
        maps (list[ndarray (h, w)]): Probability of FocusPixels by level but
            the finest, negative where nothing was looked at.
        found (list[:obj:`InstanceData`]): Detections, original pixels.
    """

    def __init__(
        self, pixels: np.ndarray, sizes: np.ndarray, stride: int = 16
    ) -> None:
        self.pixels = pixels
        self.sizes = sizes
        self.stride = stride
        self.chips = [np.array([[0, 0, *sizes[0]]])]
        cells = -(-sizes[:-1, ::-1] // stride)
        self.maps = [np.full(shape, -1, np.float32) for shape in cells]
        self.found = []

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the image."""
        return self.pixels.shape[:2]

    def scale(self, level: int) -> np.ndarray:
        """ndarray (2,): (fx, fy) from original to level pixels."""
        return self.sizes[level] / self.shape[::-1]

    def cut(
        self, level: int, chip: list
    ) -> tuple[Tensor, DetDataSample, np.ndarray]:
        """A chip's pixels, its sample, its offset in original pixels."""
        scale = self.scale(level)
        region = np.array(chip) / np.tile(scale, 2)
        pixels, scale, offset, _ = cut_level(self.pixels, region, scale)
        h, w = pixels.shape[:2]
        ori_shape = round(h / scale[1]), round(w / scale[0])
        return *as_input(pixels, ori_shape, scale), np.divide(offset, scale)

    def move_in(
        self, result, offset, level: int, chip: list, border: float
    ) -> InstanceData:
        """Detections of a chip in the image, those left out that it cuts."""
        boxes = result.bboxes
        result.bboxes = boxes = boxes + boxes.new_tensor(np.tile(offset, 2))
        region = np.array(chip) / np.tile(self.scale(level), 2)
        boxes, size = boxes.cpu().numpy(), self.shape[::-1]
        whole = away_from_cuts(boxes, region, size, border)
        if whole.all():
            return result
        return result[torch.from_numpy(whole).to(result.bboxes.device)]

    def add(self, result: InstanceData, offset: np.ndarray) -> None:
        """Keep what was found, parts of masks moved from a chip's place."""
        if 'masks' in result:
            x, y = np.rint(offset).astype(int).tolist()
            result.masks = [
                MaskPart(part.x + x, part.y + y, part.pixels)
                for part in result.masks
            ]
        self.found.append(result)

    def _cells(self, chip: list) -> tuple[slice, slice]:
        """Where a chip is in its level's map."""
        x1, y1, x2, y2 = chip
        return np.s_[
            y1 // self.stride : -(-y2 // self.stride),
            x1 // self.stride : -(-x2 // self.stride),
        ]

    def fill_map(self, level: int, chip: list, values: np.ndarray) -> None:
        """Put the probabilities (h, w) of a chip into its level's map."""
        part = self.maps[level][self._cells(chip)]
        # Padding has more cells; a detector that rounds down has fewer.
        values = values[: part.shape[0], : part.shape[1]]
        part[: values.shape[0], : values.shape[1]] = values

    def fill_truth(
        self, level: int, boxes: np.ndarray, labelling: dict
    ) -> None:
        """Put 1 where a box asks for a FocusPixel, in what is looked at."""
        boxes = boxes * np.tile(self.scale(level), 2)
        labels = focus_labels(boxes, self.sizes[level], **labelling)
        for cells in map(self._cells, self.chips[level].tolist()):
            self.maps[level][cells] = labels[cells] == 1

    def focus(self, level: int, settings: FocusSettings) -> None:
        """The FocusChips of the next level, from this one's map."""
        size, new_size = self.sizes[level : level + 2]
        chips = focus_chips(
            self.maps[level], size, stride=self.stride, **vars(settings)
        )
        self.chips.append(move_chips(chips, size, new_size, self.stride))

    def looked_at(self) -> dict:
        """What the field ``focus`` of a result says of the image."""
        sides = [chips[:, 2:] - chips[:, :2] for chips in self.chips]
        return dict(
            sizes=self.sizes.tolist(),
            chips=self.chips,
            pixels=[int(of_level.prod(1).sum()) for of_level in sides],
            pyramid_pixels=self.sizes.prod(1).tolist(),
            probabilities=self.maps,
        )


def make_batches(
    todo: list[tuple], max_pixels: int
) -> Iterator[tuple[int, list]]:
    """Chips of like sizes, at most so many pixels with their padding.

    Of ``(key, chip, limit)``, a chip (x1, y1, x2, y2), those of other limits
    are in other batches: a limit, and a list of ``(key, chip)``. A chip of
    more pixels is alone, one below 256x256 counts as such.
    """
    batch, height, width, own, last = [], 0, 0, 0, None
    for key, chip, limit in sorted(todo, key=_limit_and_size):
        h, w = _sides(chip)
        pixels = own + h * w
        height, width = max(h, height), max(w, width)
        padded = (len(batch) + 1) * height * width
        counted = max(padded, (len(batch) + 1) * _LEAST)
        full = counted > max_pixels or padded > _PADDED * pixels
        if batch and (full or limit != last):
            yield last, batch
            batch, height, width, pixels = [], h, w, h * w
        batch.append((key, chip))
        own, last = pixels, limit
    if batch:
        yield last, batch


def _limit_and_size(item: tuple) -> tuple:
    """Sorts by falling sizes in 64 pixels."""
    return item[2], *(-side // 64 for side in _sides(item[1]))


def _sides(chip: list) -> tuple[int, int]:
    return chip[3] - chip[1], chip[2] - chip[0]
