"""Coarse-to-fine detection: looks only where small objects may be."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from mmdet.structures import DetDataSample, SampleList
from mmengine.structures import InstanceData
from torch import Tensor

from sniper_mmdet.chips import FocusSettings
from sniper_mmdet.chips.focus import (
    away_from_cuts,
    focus_chips,
    focus_labels,
    move_chips,
)
from sniper_mmdet.registry import MODELS
from sniper_mmdet.utils.image import cut_level
from sniper_mmdet.utils.samples import annotated_boxes

from .proposing import few_proposals
from .pyramid_detector import PyramidDetector, as_input

# Level pixels that the memory of a chip's proposals is like.
_LEAST = 256**2
# Pixels of a batch, at most, for one of its chips'.
_PADDED = 1.25


@MODELS.register_module()
class AutoFocus(PyramidDetector):
    """A PyramidDetector that looks at parts of the finer levels only.

    Differs from its parent: a focus head on the detector's features predicts
    FocusPixels, in training beside the detector's own losses, from features
    that are computed once. In testing the coarsest level is looked at whole;
    each level's FocusPixels become FocusChips, the only parts of the next
    level that are looked at, until none is left. Detections near a side of a
    FocusChip that is no border of the image are left out (focus stacking).

    ``batch_size`` is without effect: chips of all images are sorted by size
    and run in batches of at most ``max_pixels``.

    Every result has a field ``focus``, a dict of lists by level: ``sizes``,
    (width, height) of the level; ``chips``, arrays (C, 4) of what was looked
    at, level pixels; ``pixels``, how much that is; ``pyramid_pixels``, those
    of the whole level; and, of all levels but the finest, ``probabilities``
    of FocusPixels, arrays (H, W), negative where nothing was looked at, and
    ``thresholds``. ``labels`` holds the arguments that make
    :func:`~sniper_mmdet.chips.focus.focus_labels` give the true ones.

    Args:
        focus_head (dict): Config, see :class:`FocusHead`.
        focus (Sequence[dict], optional): How FocusPixels of each level but
            the finest become FocusChips, see
            :class:`~sniper_mmdet.chips.FocusSettings`. Defaults to None:
            threshold 0.02 at the coarsest level and 0.2 at the others,
            minimum 256 and 320 level pixels, as released.
        features (str): Module of the detector whose output the focus head
            sees. Defaults to 'neck'.
        border (float): Original pixels within which a side of a FocusChip may
            cut a detection. Defaults to 10.
        max_pixels (int): Level pixels run together, padding included; a chip
            that is larger is run alone, one below 256x256 counts as such,
            since its proposals take memory too. Defaults to 2**22.
        max_proposals (int, optional): Proposals that a two-stage detector
            keeps in a part of a level: a small one needs few, and each costs
            what some thousand pixels do. Defaults to None: what the detector
            keeps in an image, ``test_cfg.rpn.max_per_img``.
        ground_truth (bool): FocusPixels from annotated boxes instead of the
            focus head: what the idea alone loses. Test pipelines must load
            annotations. Defaults to False.
        **kwargs: Of :class:`PyramidDetector`.
    """

    def __init__(
        self,
        *args,
        focus_head: dict,
        focus: Sequence[dict] | None = None,
        features: str = 'neck',
        border: float = 10,
        max_pixels: int = 2**22,
        max_proposals: int | None = None,
        ground_truth: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(*args, **kwargs)
        steps = len(self.pyramid) - 1
        if focus is None:
            focus = [
                dict(threshold=0.2, min_size=320)
                if k
                else dict(threshold=0.02, min_size=256)
                for k in range(steps)
            ]
        if len(focus) != steps:
            raise ValueError(
                f'focus has {len(focus)} entries for {len(self.pyramid)} '
                'scales; there must be one a scale but the finest. '
                f'Received: {focus}.'
            )
        if not hasattr(self.detector, features):
            raise ValueError(
                'features must name a module of the detector. '
                f'Received: {features!r}.'
            )
        if max_pixels < 1:
            raise ValueError(
                f'max_pixels must be at least 1. Received: {max_pixels}.'
            )
        if max_proposals is not None and not (
            max_proposals > 0 and hasattr(self.detector, 'rpn_head')
        ):
            raise ValueError(
                'max_proposals must be a positive number, and the detector '
                f'have an RPN. Received: {max_proposals}, '
                f'{type(self.detector).__name__}.'
            )
        self.focus = [FocusSettings(**step) for step in focus]
        self.features = features
        self.border = border
        self.max_pixels = max_pixels
        self.max_proposals = max_proposals
        self.ground_truth = ground_truth
        self.focus_head = MODELS.build(focus_head)

    def loss(
        self, batch_inputs: Tensor, batch_data_samples: SampleList
    ) -> dict:
        """Losses of the wrapped detector and of the focus head."""
        with self._kept_features() as kept:
            losses = super().loss(batch_inputs, batch_data_samples)
        focus = self.focus_head.loss(kept[0], batch_data_samples)
        return dict(losses, **focus)

    @torch.no_grad()
    def predict(
        self, batch_inputs: Sequence[Tensor], batch_data_samples: SampleList
    ) -> SampleList:
        """Detect on whole images; see :meth:`PyramidDetector.predict`."""
        images = [img.permute(1, 2, 0).cpu().numpy() for img in batch_inputs]
        levels = [
            self.pyramid.level_sizes(img.shape[1], img.shape[0])
            for img in images
        ]
        chips = [[np.array([[0, 0, *sizes[0]]])] for sizes in levels]
        maps = [[] for _ in images]
        found = [[] for _ in images]
        for level in range(len(self.pyramid)):
            probabilities = self._look(images, levels, chips, level, found)
            if level == len(self.pyramid) - 1:
                break
            for i, sizes in enumerate(levels):
                probability = probabilities[i]
                if self.ground_truth:
                    probability = self._true_map(
                        batch_data_samples[i], images[i], sizes[level]
                    )
                maps[i].append(probability)
                chips[i].append(
                    move_chips(
                        focus_chips(
                            probability,
                            sizes[level],
                            stride=self.focus_head.stride,
                            **vars(self.focus[level]),
                        ),
                        sizes[level],
                        sizes[level + 1],
                        self.focus_head.stride,
                    )
                )
        for sample, *seen in zip(
            batch_data_samples, levels, chips, maps, strict=True
        ):
            sample.set_field(self._looked_at(*seen), 'focus')
        merged = [self.merge_levels(results) for results in found]
        return self.add_pred_to_datasample(batch_data_samples, merged)

    def _look(self, images, levels, chips, level, found) -> list[np.ndarray]:
        """Detect on the chips of one level; their probabilities by image."""
        stride = self.focus_head.stride
        focuses = level < len(self.pyramid) - 1 and not self.ground_truth
        maps = [
            np.full(-(-sizes[level][::-1] // stride), -1, np.float32)
            for sizes in levels
        ]
        todo = [
            (i, chip)
            for i, of_image in enumerate(chips)
            for chip in of_image[level].tolist()
        ]
        for batch in _batches(todo, self.max_pixels):
            inputs, samples, offsets = [], [], []
            for i, chip in batch:
                pixels, sample, offset = self._cut(
                    images[i], levels[i][level], chip
                )
                inputs.append(pixels)
                samples.append(sample)
                offsets.append(offset)
            # A level that is looked at whole is what the pyramid looks at.
            part = any(
                not np.array_equal(chip, [0, 0, *levels[i][level]])
                for i, chip in batch
            )
            with (
                self._kept_features() as kept,
                few_proposals(
                    self.detector, self.max_proposals if part else None
                ),
            ):
                results = self.run_detector(inputs, samples)
            if focuses:
                probability = self.focus_head.predict(kept[0]).cpu().numpy()
            for k, (i, chip) in enumerate(batch):
                found[i].append(
                    self._in_image(
                        results[k],
                        offsets[k],
                        images[i],
                        levels[i][level],
                        chip,
                        level,
                    )
                )
                if focuses:
                    x, y = chip[0] // stride, chip[1] // stride
                    part = maps[i][
                        y : -(-chip[3] // stride), x : -(-chip[2] // stride)
                    ]
                    part[:] = probability[k, : part.shape[0], : part.shape[1]]
        return maps

    @staticmethod
    def _cut(image, size, chip) -> tuple[Tensor, DetDataSample, np.ndarray]:
        """A chip's pixels, its sample, its offset in original pixels."""
        height, width = image.shape[:2]
        factor = size[0] / width, size[1] / height
        region = np.array(chip) / np.tile(factor, 2)
        pixels, scale, offset, _ = cut_level(image, region, factor)
        h, w = pixels.shape[:2]
        ori_shape = round(h / scale[1]), round(w / scale[0])
        return *as_input(pixels, ori_shape, scale), np.divide(offset, scale)

    def _in_image(
        self, result, offset, image, size, chip, level
    ) -> InstanceData:
        """Detections of a chip, in the image: those not cut, and in range."""
        height, width = image.shape[:2]
        shift = result.bboxes.new_tensor(np.tile(offset, 2))
        result.bboxes = result.bboxes + shift
        region = np.array(chip) / np.tile(np.divide(size, (width, height)), 2)
        whole = away_from_cuts(
            result.bboxes.cpu().numpy(), region, (width, height), self.border
        )
        if not whole.all():
            result = result[torch.from_numpy(whole).to(shift.device)]
        if 'masks' in result:
            result.masks = _paste(result.masks, offset, (height, width))
        return self._keep_valid(result, level)

    def _true_map(self, sample, image, size) -> np.ndarray:
        """1 where an annotated box asks for a FocusPixel, else 0."""
        height, width = image.shape[:2]
        boxes = annotated_boxes(sample) * np.tile(
            np.divide(size, (width, height)), 2
        )
        labels = focus_labels(boxes, size, **self.focus_head.labelling)
        return (labels == 1).astype(np.float32)

    def _looked_at(self, sizes, chips, maps) -> dict:
        """The field ``focus`` of a result."""
        return dict(
            sizes=sizes.tolist(),
            chips=chips,
            pixels=[int((c[:, 2:] - c[:, :2]).prod(1).sum()) for c in chips],
            pyramid_pixels=sizes.prod(1).tolist(),
            probabilities=maps,
            thresholds=[step.threshold for step in self.focus],
            labels=self.focus_head.labelling,
        )

    @contextmanager
    def _kept_features(self) -> Iterator[list]:
        """Keep what the detector computes anyway, for the focus head."""
        kept = []

        def keep(module, inputs, output):
            kept[:] = [output]

        module = getattr(self.detector, self.features)
        handle = module.register_forward_hook(keep)
        try:
            yield kept
        finally:
            handle.remove()


def _batches(todo: list, max_pixels: int) -> Iterator[list]:
    """Chips of like sizes, at most so many pixels with their padding."""

    def sides(item):
        x1, y1, x2, y2 = item[1]
        return y2 - y1, x2 - x1

    def rough(item):
        return [-(-side // 64) for side in sides(item)]

    batch, height, width, own = [], 0, 0, 0
    for item in sorted(todo, key=rough, reverse=True):
        h, w = sides(item)
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


def _paste(masks: Tensor, offset, shape: tuple[int, int]) -> Tensor:
    """Masks (N, h, w) of a chip, in its image."""
    x, y = np.rint(offset).astype(int)
    pasted = masks.new_zeros((len(masks), *shape))
    part = pasted[:, y : y + masks.shape[1], x : x + masks.shape[2]]
    part[:] = masks[:, : part.shape[1], : part.shape[2]]
    return pasted
