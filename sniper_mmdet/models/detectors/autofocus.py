"""Coarse-to-fine detection: looks only where small objects may be."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from mmdet.structures import DetDataSample, SampleList
from mmengine.structures import InstanceData
from torch import Tensor, nn

from sniper_mmdet.chips import FocusedPass, FocusSettings
from sniper_mmdet.chips.budget import FocusBudget
from sniper_mmdet.chips.presets import RELEASED_FOCUS
from sniper_mmdet.chips.tiles import Tile
from sniper_mmdet.registry import MODELS
from sniper_mmdet.structures import annotated_boxes

from .box_proposals import few_proposals, propose
from .focused_image import FocusedImage
from .focused_proposals import propose_focused
from .mask_parts import crop_masks, full_masks
from .pyramid_detector import PyramidDetector

# Level pixels of a part of a level that has ``max_proposals``.
_SMALL = 256**2


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
    and run in batches of 2**22 level pixels, padding included, or of
    ``max_pixels`` where that is less. A chip of more pixels is run alone, and
    beyond ``max_pixels`` in tiles; one below 256x256 counts as such, since its
    proposals take memory too.

    Every result has a field ``focus``, a dict of lists by level: ``sizes``,
    (width, height) of the level; ``chips``, arrays (C, 4) of what was looked
    at, level pixels; ``pixels``, how much that is; ``pyramid_pixels``, those
    of the whole level (what tiles have twice counts once in both); and, of all
    levels but the finest, ``probabilities`` of FocusPixels, arrays (H, W),
    negative where nothing was looked at, and ``thresholds`` from which on
    they counted. ``budget`` is that of the image in level pixels, inf for
    none. ``labels`` holds the arguments that make
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
        max_proposals (int, optional): Proposals that a two-stage detector
            keeps in a part of a level of up to 256x256 pixels, twice as many
            where it has up to twice as many pixels, and so on, up to
            ``test_cfg.rpn.max_per_img``: each costs what some thousand
            pixels do. Defaults to None: that number for every chip.
        ground_truth (bool): FocusPixels from annotated boxes instead of the
            focus head, where a level is looked at: what the idea alone
            loses. Test pipelines must load annotations. Defaults to False.
        budget (float, optional): Share of the whole pyramid's pixels that is
            looked at of an image, at most: the most probable FocusPixels from
            the thresholds on go first. The coarsest level is looked at whole
            and counts. Without effect on an RPN alone. Defaults to None: all
            from the thresholds on.
        budget_mpixel (float, optional): The same in millions of level pixels;
            of an image whose coarsest level has more, that level is all that
            is looked at. Defaults to None.
        frozen (bool): Train the focus head alone, on whole images or chips:
            the detector, which has to come from a checkpoint, stays as in a
            test, batch norm and dropout too, and computes its features only.
            Defaults to False.
        **kwargs: Of :class:`PyramidDetector`.
    """

    def __init__(
        self,
        *args,
        focus_head: dict,
        focus: Sequence[dict] | None = None,
        features: str = 'neck',
        max_proposals: int | None = None,
        ground_truth: bool = False,
        budget: float | None = None,
        budget_mpixel: float | None = None,
        frozen: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(*args, **kwargs)
        steps = len(self.pyramid) - 1
        if focus is None:
            focus = [vars(RELEASED_FOCUS[k > 0]) for k in range(steps)]
        if len(focus) != steps:
            raise ValueError(
                f'focus has {len(focus)} entries for {len(self.pyramid)} '
                'scales; there must be one a scale but the finest. '
                f'Received: {focus}.'
            )
        if not isinstance(getattr(self.detector, features, None), nn.Module):
            raise ValueError(
                'features must name a module of the detector. '
                f'Received: {features!r}.'
            )
        if not (max_proposals is None or self.rpn_only) and not (
            max_proposals > 0 and hasattr(self.detector, 'rpn_head')
        ):
            raise ValueError(
                'max_proposals must be a positive number, and the detector '
                f'have an RPN. Received: {max_proposals}, '
                f'{type(self.detector).__name__}.'
            )
        try:
            self.focus = [FocusSettings(**step) for step in focus]
        except TypeError as error:
            raise ValueError(
                'focus must give threshold, and may give dilation and '
                f'min_size. Received: {focus} ({error}).'
            ) from None
        self.features = features
        self.max_proposals = max_proposals
        self.ground_truth = ground_truth
        self.budget = FocusBudget(budget, budget_mpixel)
        self.budget.check(self.pyramid)
        self.focus_head = MODELS.build(focus_head)
        self.frozen = frozen
        if frozen:
            self.detector.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> 'AutoFocus':
        """See ``frozen``."""
        super().train(mode)
        if self.frozen:
            self.detector.eval()
        return self

    def init_weights(self) -> None:
        """Nothing is fetched for a detector that a checkpoint replaces."""
        if self.frozen:
            self.focus_head.init_weights()
        else:
            super().init_weights()

    def loss(
        self, batch_inputs: Tensor, batch_data_samples: SampleList
    ) -> dict:
        """Losses of the wrapped detector, unless frozen, and of the head."""
        losses = {}
        with self._kept_features() as kept:
            if not self.frozen:
                losses = super().loss(batch_inputs, batch_data_samples)
            else:
                with torch.no_grad():
                    self._extract(batch_inputs)
        focus = self.focus_head.loss(self._only(kept), batch_data_samples)
        return dict(losses, **focus)

    @torch.no_grad()
    def predict(
        self, batch_inputs: Sequence[Tensor], batch_data_samples: SampleList
    ) -> SampleList:
        """Detect on whole images; see :meth:`PyramidDetector.predict`.

        Raises:
            ValueError: ``ground_truth``, and a sample without annotations.
        """
        samples = batch_data_samples
        if self.rpn_only:
            return super().predict(batch_inputs, samples)
        head = self.focus_head
        images = self._unseen(self._as_images(batch_inputs))
        for image in images:
            image.budget = self.budget.pixels(image.sizes)
        for level, step in enumerate((*self.focus, None)):
            if self.ground_truth and step is not None:
                for image, sample in zip(images, samples, strict=True):
                    boxes = self._true_boxes(sample)
                    image.fill_truth(level, boxes, head.labelling)
            keep = partial(self._keep_valid, level=level)
            self._look(images, level, self._detect, keep)
            if step is not None:
                for image in images:
                    image.focus(level, step)
        for image, sample in zip(images, samples, strict=True):
            focus = dict(image.looked_at(), labels=head.labelling)
            sample.set_field(focus, 'focus')
        merged = [
            full_masks(self.merge_levels(image.found), image.shape)
            for image in images
        ]
        return self.add_pred_to_datasample(samples, merged)

    @torch.no_grad()
    def propose(
        self,
        images: Sequence[np.ndarray],
        num: int = 300,
        iou_threshold: float = 0.7,
        focused: FocusedPass | None = None,
        seeds: Sequence = (),
    ) -> list[InstanceData]:
        """Proposals over the pyramid, or over the parts that are looked at.

        Args:
            images (Sequence[ndarray]): uint8 (H, W, 3), original pixels.
            num (int): Proposals per image and level. Defaults to 300.
            iou_threshold (float): NMS over all levels. Defaults to 0.7.
            focused (FocusedPass, optional): Where to look. Defaults to None:
                everywhere, as a PyramidDetector.
            seeds (Sequence): Of the random places, one per image; needed with
                ``focused``.

        Returns:
            list[:obj:`InstanceData`]: As of :meth:`PyramidDetector.propose`.
            With ``focused`` their metainfo says how many level pixels were
            looked at, ``pixels``, of how many, ``pyramid_pixels``.
        """
        if focused is None:
            return super().propose(images, num, iou_threshold)

        def find(inputs, samples, limit):
            data = self._preprocess(inputs, samples)
            data = data['inputs'], data['data_samples']
            return propose(self.detector, *data, min(num, limit))

        look = partial(self._look, find=find)
        how = self.focus, focused, seeds, num, iou_threshold
        return propose_focused(self._unseen(images), look, *how)

    def _detect(self, inputs, samples, limit) -> list[InstanceData]:
        with few_proposals(self.detector, limit):
            found = self.run_detector(inputs, samples)
        return list(map(crop_masks, found))

    def _look(
        self,
        images: Sequence[FocusedImage],
        level: int,
        find: Callable,
        keep: Callable | None = None,
    ) -> None:
        """Run over the chips of one level, and fill the images' maps.

        ``find`` takes inputs, samples and the number of proposals of a batch;
        for ``keep`` see :meth:`_run_level`.
        """

        def run(inputs, samples, limit, keys):
            with self._kept_features() as kept, self.answers.of(level):
                found = find(inputs, samples, limit)
            if level < len(self.focus) and not self.ground_truth:
                maps = self.focus_head.predict(self._only(kept), samples)
                maps = maps.cpu().numpy()
                for (image, tile), own in zip(keys, maps, strict=True):
                    image.fill_map(level, tile, own)
            return found

        todo = [
            (
                (image, tile),
                tile.part,
                self._proposals(image, level, chip, tile),
            )
            for image in images
            for chip in image.chips[level].tolist()
            for tile in self._tiles(image, level, chip)
        ]
        self._run_tiles(todo, level, run, keep)

    @property
    def _tile_step(self) -> int:
        return math.lcm(super()._tile_step, self.focus_head.stride)

    def _proposals(
        self, image: FocusedImage, level: int, chip: list, tile: Tile
    ) -> float:
        """Proposals that are kept in a tile; inf for the detector's number.

        A level that is looked at whole is what the pyramid looks at.
        """
        if self.max_proposals is None or chip == image.whole(level):
            return math.inf
        left, top, right, bottom = tile.part
        pixels = (right - left) * (bottom - top)
        doublings = max(math.ceil(math.log2(pixels / _SMALL)), 0)
        return self.max_proposals * 2**doublings

    def _true_boxes(self, sample: DetDataSample) -> np.ndarray:
        if 'gt_instances' not in sample or 'bboxes' not in sample.gt_instances:
            raise ValueError(
                'ground_truth needs annotated boxes: the test pipeline must '
                'have LoadAnnotations(with_bbox=True).'
            )
        return annotated_boxes(sample)

    @contextmanager
    def _kept_features(self) -> Iterator[list]:
        """Keep what the detector computes anyway, for the focus head."""
        kept = []

        def keep(module, inputs, output):
            kept[:] = [output]

        module = getattr(self.detector, self.features)
        with module.register_forward_hook(keep):
            yield kept

    def _extract(self, inputs: Tensor) -> None:
        """Compute what the focus head sees, and little else."""
        if self.features == 'backbone':
            self.detector.backbone(inputs)
        else:
            self.detector.extract_feat(inputs)

    def _only(self, kept: list):
        if not kept:
            when = 'by extract_feat' if self.frozen else 'to detect'
            raise ValueError(
                f'features must name a module that is called {when}. '
                f'Received: {self.features!r}.'
            )
        return kept[0]

    def _unseen(self, images: Sequence) -> list[FocusedImage]:
        """Images of which nothing was looked at yet."""
        stride = self.focus_head.stride
        return [
            FocusedImage(pixels, stride=stride, **self._levels_of(pixels))
            for pixels in images
        ]
