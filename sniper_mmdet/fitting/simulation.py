"""Simulation of AutoFocus from recorded outputs of all levels."""

import math
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
import torch

from sniper_mmdet.chips import FocusSettings, ImagePyramid, in_range
from sniper_mmdet.chips.boxes import box_sizes
from sniper_mmdet.chips.focus import away_from_cuts, focus_chips, move_chips
from sniper_mmdet.chips.pyramid import Range

from .recording import Recording
from .scoring import average_precision, match_image


@dataclass(frozen=True)
class Setting:
    """Settings of AutoFocus that need no training.

    Args:
        levels (tuple[int]): Indices of levels of a recording, coarse to fine.
        ranges (tuple[tuple]): (low, high) sizes of each level, original
            pixels.
        focus (tuple[:obj:`FocusSettings`]): Settings of each level but the
            finest.
        border (float): Original pixels; see
            :class:`~sniper_mmdet.models.AutoFocus`.
    """

    levels: tuple[int, ...]
    ranges: tuple[Range, ...]
    focus: tuple[FocusSettings, ...]
    border: float

    @property
    def whole(self) -> 'Setting':
        """Setting: The same levels and ranges, every level whole."""
        focus = tuple(replace(step, threshold=0) for step in self.focus)
        return replace(self, focus=focus)


@dataclass(frozen=True)
class Point:
    """The result of a setting, by simulation or by a real run.

    Args:
        setting (:obj:`Setting`): The setting.
        AP (float): AP in %.
        pixels (float): Number of level pixels per image.
        share (float): Ratio of ``pixels`` to the pixels of the setting's whole
            levels.
        seconds (float): Seconds per image of a real run. Defaults to NaN.
    """

    setting: Setting
    AP: float
    pixels: float
    share: float
    seconds: float = math.nan


class Simulation:
    """Computes AP and pixels of any setting from one recording.

    FocusChips are cut from the recorded maps as AutoFocus cuts them, and a map
    counts only where its level is looked at. A finer level detects in its
    chips the objects that it detected in the whole level and that the chips do
    not cut. The simulation leaves out what a network sees at the side of a
    chip, which only real runs show.

    Args:
        recording (:obj:`Recording`): Recording with maps, or of whole levels
            only.
    """

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self._matches = [{} for _ in recording.images]
        self._arrays = [
            (
                image.found.bboxes.numpy(),
                box_sizes(image.found.bboxes.numpy()),
                image.found.levels.numpy(),
            )
            for image in recording.images
        ]
        self.chips = lru_cache(100_000)(self._chips)

    @cached_property
    def stride(self) -> int:
        """int: Stride of FocusPixels, level pixels."""
        return self.recording.model.focus_head.stride

    def point(self, setting: Setting) -> Point:
        """Return the result of a setting on all images."""
        matches, seen, whole = [], 0, 0
        for index, image in enumerate(self.recording.images):
            matches.append(self._matched(index, self.kept(index, setting)))
            for k, level in enumerate(setting.levels):
                chips = self.chips(
                    index, setting.levels[: k + 1], setting.focus[:k]
                )
                seen += (chips[:, 2:] - chips[:, :2]).prod(1).sum()
                whole += image.sizes[level].prod()
        pixels = seen / len(matches)
        found = average_precision(matches), pixels, seen / whole
        return Point(setting, *map(float, found))

    def kept(self, index: int, setting: Setting) -> np.ndarray:
        """Return whether each detection of an image would be merged, (N,)."""
        image = self.recording.images[index]
        boxes, sizes, levels = self._arrays[index]
        pyramid = ImagePyramid([1.0] * len(setting.levels), setting.ranges)
        kept = np.zeros(len(boxes), bool)
        bounds = zip(setting.levels, pyramid.bounds, strict=True)
        for k, (level, (low, high)) in enumerate(bounds):
            valid = (levels == level) & in_range(sizes, low, high)
            valid = np.flatnonzero(valid)
            chips = self.chips(
                index, setting.levels[: k + 1], setting.focus[:k]
            )
            scale = np.tile(image.sizes[level] / image.size, 2)
            for region in chips / scale:
                found = boxes[valid]
                inside = (found[:, :2] >= region[:2] - 0.01).all(1)
                inside &= (found[:, 2:] <= region[2:] + 0.01).all(1)
                own, found = valid[inside], found[inside]
                cut = image.size, setting.border
                kept[own[away_from_cuts(found, region, *cut)]] = True
        return kept

    def _chips(self, index, levels, focus) -> np.ndarray:
        """Return the chips (C, 4) of the last of the levels, its pixels."""
        image = self.recording.images[index]
        size = image.sizes[levels[-1]]
        if not focus:
            return np.array([[0, 0, *size]])
        before, stride = image.sizes[levels[-2]], self.stride
        values = image.maps[levels[-2]]
        looked_at = self.chips(index, levels[:-1], focus[:-1])
        seen = np.zeros(values.shape, bool)
        for x1, y1, x2, y2 in np.ceil(looked_at / stride).astype(int).tolist():
            seen[y1:y2, x1:x2] = True
        values = np.where(seen, values, -1)
        chips = focus_chips(values, before, stride=stride, **vars(focus[-1]))
        return move_chips(chips, before, size, stride)

    def _matched(self, index, kept) -> dict:
        """Return the matches of an image, cached for equal detections."""
        key, known = kept.tobytes(), self._matches[index]
        if key not in known:
            image = self.recording.images[index]
            own = image.found[torch.from_numpy(kept)]
            merged = self.recording.model.merge_levels([own])
            names = 'bboxes', 'scores', 'labels'
            arrays = [merged[name].numpy() for name in names]
            known[key] = match_image(*arrays, image.objects)
        return known[key]
