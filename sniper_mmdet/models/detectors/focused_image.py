"""One image that is looked at coarse to fine, and its chips in batches."""

from collections.abc import Iterator
from itertools import groupby

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import Tensor

from sniper_mmdet.chips import FocusSettings
from sniper_mmdet.chips.focus import away_from_cuts, focus_chips, move_chips
from sniper_mmdet.utils.image import cut_level

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

    Attributes:
        chips (list[ndarray (C, 4)]): By level, level pixels; at first the
            whole coarsest level.
        maps (list[ndarray (h, w)]): Probability of FocusPixels by level,
            negative where nothing was looked at.
        found (list[:obj:`InstanceData`]): Detections, original pixels.
    """

    def __init__(self, pixels: np.ndarray, sizes: np.ndarray) -> None:
        self.pixels = pixels
        self.sizes = sizes
        self.chips = [np.array([[0, 0, *sizes[0]]])]
        self.maps = []
        self.found = []

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the image."""
        return self.pixels.shape[:2]

    def scale(self, level: int) -> np.ndarray:
        """ndarray (2,): (fx, fy) from original to level pixels."""
        return self.sizes[level] / self.shape[::-1]

    def is_whole(self, level: int, chip: list) -> bool:
        """Whether a chip is all of its level."""
        return chip == [0, 0, *self.sizes[level].tolist()]

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
        self,
        result: InstanceData,
        offset: np.ndarray,
        level: int,
        chip: list,
        border: float,
    ) -> InstanceData:
        """Detections of a chip in the image, those left out that it cuts."""
        result.bboxes = result.bboxes + result.bboxes.new_tensor(
            np.tile(offset, 2)
        )
        region = np.array(chip) / np.tile(self.scale(level), 2)
        whole = away_from_cuts(
            result.bboxes.cpu().numpy(), region, self.shape[::-1], border
        )
        if whole.all():
            return result
        return result[torch.from_numpy(whole).to(result.bboxes.device)]

    def paste(self, masks: Tensor, offset: np.ndarray) -> Tensor:
        """Masks (N, h, w) of a chip, (N, H, W) in the image."""
        x, y = np.rint(offset).astype(int)
        pasted = masks.new_zeros((len(masks), *self.shape))
        part = pasted[:, y : y + masks.shape[1], x : x + masks.shape[2]]
        part[:] = masks[:, : part.shape[1], : part.shape[2]]
        return pasted

    def new_map(self, stride: int) -> None:
        """Begin the next level's map: nothing was looked at."""
        size = -(-self.sizes[len(self.maps)][::-1] // stride)
        self.maps.append(np.full(size, -1, np.float32))

    def fill_map(self, chip: list, stride: int, values: np.ndarray) -> None:
        """Put the probabilities (h, w) of a chip into the last map."""
        x, y = chip[0] // stride, chip[1] // stride
        part = self.maps[-1][
            y : -(-chip[3] // stride), x : -(-chip[2] // stride)
        ]
        # Padding has more cells; a detector that rounds down has fewer.
        values = values[: part.shape[0], : part.shape[1]]
        part[: values.shape[0], : values.shape[1]] = values

    def focus(self, settings: FocusSettings, stride: int) -> None:
        """The FocusChips of the next level, from the last map."""
        size, new_size = self.sizes[len(self.maps) - 1 : len(self.maps) + 1]
        chips = focus_chips(
            self.maps[-1], size, stride=stride, **vars(settings)
        )
        self.chips.append(move_chips(chips, size, new_size, stride))

    def looked_at(self) -> dict:
        """What the field ``focus`` of a result says of the image."""
        return dict(
            sizes=self.sizes.tolist(),
            chips=self.chips,
            pixels=[
                int((chips[:, 2:] - chips[:, :2]).prod(1).sum())
                for chips in self.chips
            ],
            pyramid_pixels=self.sizes.prod(1).tolist(),
            probabilities=self.maps,
        )


def make_batches(
    todo: list[tuple], max_pixels: int
) -> Iterator[tuple[int, list]]:
    """Chips of like sizes, at most so many pixels with their padding.

    Args:
        todo (list[tuple]): ``(key, chip, limit)``: a chip (x1, y1, x2, y2);
            those of other limits are in other batches.
        max_pixels (int): A chip that has more is alone, one below 256x256
            counts as such.

    Yields:
        tuple: The limit, and a list of ``(key, chip)``.
    """
    todo = sorted(todo, key=lambda item: item[2])
    for limit, group in groupby(todo, key=lambda item: item[2]):
        chips = sorted(
            ((key, chip) for key, chip, _ in group),
            key=lambda item: [-(-side // 64) for side in _sides(item[1])],
            reverse=True,
        )
        for batch in _pack(chips, max_pixels):
            yield limit, batch


def _pack(chips: list, max_pixels: int) -> Iterator[list]:
    batch, height, width, own = [], 0, 0, 0
    for item in chips:
        h, w = _sides(item[1])
        pixels = own + h * w
        height, width = max(h, height), max(w, width)
        padded = (len(batch) + 1) * height * width
        counted = max(padded, (len(batch) + 1) * _LEAST)
        if batch and (counted > max_pixels or padded > _PADDED * pixels):
            yield batch
            batch, height, width, pixels = [], h, w, h * w
        batch.append(item)
        own = pixels
    if batch:
        yield batch


def _sides(chip: list) -> tuple[int, int]:
    return chip[3] - chip[1], chip[2] - chip[0]
