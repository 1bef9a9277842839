"""The levels of one image, and batches of their parts."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import bbox_overlaps
from mmengine.structures import InstanceData
from torch import Tensor

from sniper_mmdet.chips.focus import away_from_cuts
from sniper_mmdet.chips.tiles import Tile, owned_by
from sniper_mmdet.images import cut_level
from sniper_mmdet.images.cutting import resize_whole_exactly

from .device_resize import cut_on_device
from .mask_parts import MaskPart

# Level pixels whose memory equals that of a chip's proposals.
_LEAST = 256**2
# Upper bound of a batch's pixels, in pixels of one of its chips.
_PADDED = 1.25
# Level pixels of a batch above which larger batches save no time.
_FULL = 2**22
# IoU from which on detections of two tiles are the same object.
_SAME = 0.5


class ImageLevels:
    """Detections in an image from parts of its levels.

    Args:
        pixels (ndarray | Tensor): uint8 (H, W, 3); a tensor is cut and
            resized where it is.
        sizes (ndarray (L, 2)): (width, height) of each level.
        scales (ndarray (L, 2), optional): (fx, fy) by which whole levels are
            resized in float32. Defaults to None: each part of a level is
            resized to its own size.

    Attributes:
        found (list[:obj:`InstanceData`]): Detections, original pixels.
    """

    def __init__(
        self,
        pixels: np.ndarray | Tensor,
        sizes: np.ndarray,
        scales: np.ndarray | None = None,
    ) -> None:
        self.pixels = pixels
        self.sizes = sizes
        self.scales = scales
        self._level = None, None  # the last whole level
        self.found = []
        self._near = defaultdict(list)  # by level, for tiles that overlap

    @property
    def shape(self) -> tuple[int, int]:
        """tuple[int]: (height, width) of the image."""
        return self.pixels.shape[:2]

    def scale(self, level: int) -> np.ndarray:
        """ndarray (2,): (fx, fy) from original to level pixels."""
        if self.scales is not None:
            return self.scales[level]
        return self.sizes[level] / self.shape[::-1]

    def whole(self, level: int) -> list[int]:
        """Return the whole level as a part."""
        return [0, 0, *self.sizes[level].tolist()]

    def cut(
        self, level: int, chip: list
    ) -> tuple[Tensor, DetDataSample, np.ndarray]:
        """Return a chip's pixels, sample, and offset in original pixels."""
        scale = self.scale(level)
        if self.scales is not None:
            x1, y1, x2, y2 = chip
            pixels, offset = self._resized(level)[y1:y2, x1:x2], (x1, y1)
            scale = tuple(scale.tolist())
        else:
            region = np.array(chip) / np.tile(scale, 2)
            pixels, scale, offset = cut_pixels(self.pixels, region, scale)
        h, w = pixels.shape[:2]
        ori_shape = round(h / scale[1]), round(w / scale[0])
        return *as_input(pixels, ori_shape, scale), np.divide(offset, scale)

    def _resized(self, level: int) -> np.ndarray:
        if self._level[0] != level:
            pixels = resize_whole_exactly(self.pixels, self.scales[level][0])
            self._level = level, pixels
        return self._level[1]

    def move_in(
        self, result, offset, level: int, tile: Tile, border: float
    ) -> InstanceData:
        """Move the detections of a tile to their place in the image.

        Detections that the tile cuts are left out, and those that are farther
        than a border from the tile's core, which belong to another tile.
        """
        boxes = result.bboxes
        result.bboxes = boxes = boxes + boxes.new_tensor(np.tile(offset, 2))
        scale = np.tile(self.scale(level), 2)
        region = np.array(tile.part) / scale
        boxes, size = boxes.detach().cpu().numpy(), self.shape[::-1]
        kept = away_from_cuts(boxes, region, size, border)
        kept &= owned_by(boxes * scale, tile, border * scale.max())
        if kept.all():
            return result
        return result[torch.from_numpy(kept).to(result.bboxes.device)]

    def without_known(
        self, result, level: int, tile: Tile, border: float
    ) -> InstanceData:
        """Remove detections of a tile that an earlier tile has, too.

        That can happen where the cores of two tiles meet. Call it once per
        tile, after :meth:`move_in`.
        """
        if tile.part == tile.core:
            return result
        scale = np.tile(self.scale(level), 2)
        boxes = result.bboxes.detach().cpu().numpy() * scale
        # A detection of another tile may be up to a border away.
        near = ~owned_by(boxes, tile, -2 * border * scale.max())
        near = torch.from_numpy(near).to(result.bboxes.device)
        known = torch.zeros_like(near)
        for before in self._near[level]:
            same = bbox_overlaps(result.bboxes, before.bboxes) > _SAME
            same &= result.labels[:, None] == before.labels
            known |= same.any(1)
        known &= near
        own = dict(bboxes=result.bboxes, labels=result.labels)
        self._near[level].append(InstanceData(**own)[near & ~known])
        return result[~known] if known.any() else result

    def add(self, result: InstanceData, offset: np.ndarray) -> None:
        """Add detections; parts of masks are moved by the chip's offset."""
        if 'masks' in result:
            x, y = np.rint(offset).astype(int).tolist()
            result.masks = [
                MaskPart(part.x + x, part.y + y, part.pixels)
                for part in result.masks
            ]
        self.found.append(result)


def cut_pixels(
    img: np.ndarray | Tensor,
    region: Sequence[float],
    scale: tuple[float, float],
) -> tuple[np.ndarray | Tensor, tuple[float, float], tuple[float, float]]:
    """Return the result of ``cut_level``, without the parts for masks.

    A tensor is cut on its device; its pixels may differ by one grey level.
    """
    if isinstance(img, Tensor):
        return cut_on_device(img, region, scale)
    return cut_level(img, region, scale)[:3]


def as_input(
    pixels: np.ndarray | Tensor,
    ori_shape: tuple[int, int],
    scale_factor: tuple[float, float],
) -> tuple[Tensor, DetDataSample]:
    """Return resized pixels (h, w, 3) as (3, h, w), and their sample."""
    shapes = dict(ori_shape=ori_shape, img_shape=tuple(pixels.shape[:2]))
    sample = DetDataSample(metainfo=dict(shapes, scale_factor=scale_factor))
    if not isinstance(pixels, Tensor):
        pixels = torch.from_numpy(np.ascontiguousarray(pixels))
    return pixels.permute(2, 0, 1), sample


def make_batches(
    todo: list[tuple], max_pixels: int
) -> Iterator[tuple[int, list]]:
    """Group chips of similar sizes into batches of a bounded number of pixels.

    ``todo`` has tuples ``(key, chip, limit)``, with a chip (x1, y1, x2, y2).
    Chips of different limits are in different batches; a batch is a limit and
    a list of ``(key, chip)``. Padding counts. A chip of more than
    ``max_pixels`` is alone; a chip below 256x256 counts as one of that size. A
    batch is full at 2**22 pixels in any case.
    """
    max_pixels = min(max_pixels, _FULL)
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
    """Sort key: limit, and falling sizes in steps of 64 pixels."""
    return item[2], *(-side // 64 for side in _sides(item[1]))


def _sides(chip: list) -> tuple[int, int]:
    return chip[3] - chip[1], chip[2] - chip[0]
