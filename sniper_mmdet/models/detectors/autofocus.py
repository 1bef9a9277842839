"""Coarse-to-fine detection: fine levels only where small objects may be."""

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

# Level pixels of a part of a level for which ``max_proposals`` holds, and the
# least share of it that a smaller part keeps.
_SMALL, _LEAST_SHARE = 256**2, 0.25


@MODELS.register_module()
class AutoFocus(PyramidDetector):
    """A PyramidDetector that runs on parts of the finer levels only.

    It differs from its parent by a focus head on the detector's features,
    which predicts FocusPixels. In training the head adds a loss to those of
    the detector; both use the same features. In testing the coarsest level is
    looked at whole. The FocusPixels of each level become FocusChips, the only
    parts of the next level that the detector sees, until a level has none.
    Detections near a side of a FocusChip are left out unless that side is a
    border of the image (focus stacking).

    ``batch_size`` has no effect: the chips of all images are sorted by size
    and run in batches of 2**22 level pixels, padding included, or of
    ``max_pixels`` if that is less. A larger chip is run alone, and in tiles if
    it has more than ``max_pixels``. A chip below 256x256 counts as one of that
    size, because its proposals take memory too.

    Every result has a field ``focus``, a dict of lists by level: ``sizes``,
    the (width, height) of the level; ``chips``, arrays (C, 4) of the parts
    that were looked at, level pixels; ``pixels``, the number of pixels of
    these parts; and ``pyramid_pixels``, that of the whole level (pixels that
    two tiles share count twice in both). Further lists have an entry for all
    levels but the finest: ``probabilities`` of FocusPixels, arrays (H, W),
    negative where nothing was looked at, and ``thresholds``, from which on
    they counted. ``budget`` is the budget of the image in level pixels, inf
    for none. ``labels`` holds the arguments with which
    :func:`~sniper_mmdet.chips.focus.focus_labels` computes the true
    FocusPixels.

    Args:
        focus_head (dict): Config, see :class:`FocusHead`.
        focus (Sequence[dict], optional): Settings that turn the FocusPixels of
            each level but the finest into FocusChips, see
            :class:`~sniper_mmdet.chips.FocusSettings`. Defaults to None:
            threshold 0.02 at the coarsest level and 0.2 at the others, minimum
            256 and 320 level pixels, as released.
        features (str): Module of the detector whose output the focus head
            sees. Defaults to 'neck'.
        max_proposals (int, optional): Number of proposals that a two-stage
            detector keeps in a part of a level of 256x256 pixels. Parts of up
            to twice as many pixels keep twice as many, and so on, up to
            ``test_cfg.rpn.max_per_img``; parts of up to half as many keep
            half, and smaller ones a quarter. A proposal costs as much time as
            some thousand pixels. Defaults to None: every chip keeps the
            detector's number.
        ground_truth (bool): Take the FocusPixels from annotated boxes instead
            of the focus head: this measures what the method loses with a
            perfect head. Test pipelines must load annotations. Defaults to
            False.
        budget (float, optional): Upper bound of the share of the whole
            pyramid's pixels that is looked at in an image: of the FocusPixels
            above the thresholds the most probable go first. The coarsest level
            is looked at whole and counts. It has no effect on an RPN alone.
            Defaults to None: all FocusPixels above the thresholds.
        budget_mpixel (float, optional): The same bound in millions of level
            pixels. In an image whose coarsest level has more, only that level
            is looked at. Defaults to None.
        frozen (bool): Train the focus head alone, on whole images or chips.
            The detector, which must come from a checkpoint, stays in test
            mode, with its batch norm and dropout, and computes only its
            features. Defaults to False.
        **kwargs: Arguments of :class:`PyramidDetector`.

    Examples:
        >>> import torch
        >>> from mmdet.apis import init_detector
        >>> from mmdet.structures import DetDataSample
        >>> from mmengine.hub import get_config
        >>> cfg = get_config('mmdet::retinanet/retinanet_r18_fpn_1x_coco.py')
        >>> cfg.model.update(
        ...     type='sniper_mmdet.AutoFocus', detector='RetinaNet',
        ...     scales=[0.5, 1.0], valid_ranges=[(64, None), (0, 80)],
        ...     focus_head=dict(
        ...         type='sniper_mmdet.FocusHead',
        ...         in_channels=256, in_indices=(1,), stride=16))
        >>> model = init_detector(cfg, device='cpu')
        >>> image = torch.zeros(3, 192, 256, dtype=torch.uint8)
        >>> data = dict(inputs=[image], data_samples=[DetDataSample()])
        >>> result = model.test_step(data)[0]
        >>> result.focus['sizes'], result.focus['pixels'][0]
        ([[128, 96], [256, 192]], 12288)
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
                'scales; there must be one per scale but the finest. '
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
        """Set the mode; a frozen detector stays in test mode."""
        super().train(mode)
        if self.frozen:
            self.detector.eval()
        return self

    def init_weights(self) -> None:
        """Initialize the weights; a frozen detector downloads none."""
        if self.frozen:
            self.focus_head.init_weights()
        else:
            super().init_weights()

    def loss(
        self, batch_inputs: Tensor, batch_data_samples: SampleList
    ) -> dict:
        """Return the losses of the head and, unless frozen, the detector."""
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
            ValueError: With ``ground_truth``, a sample has no annotations.
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
        """Return proposals of the pyramid, or of the parts that are looked at.

        Args:
            images (Sequence[ndarray]): uint8 (H, W, 3), original pixels.
            num (int): Proposals per image and level. Defaults to 300.
            iou_threshold (float): NMS over all levels. Defaults to 0.7.
            focused (FocusedPass, optional): Settings of where to look.
                Defaults to None: everywhere, as a PyramidDetector.
            seeds (Sequence): Seeds of the random places, one per image; needed
                with ``focused``.

        Returns:
            list[:obj:`InstanceData`]: Those of
            :meth:`PyramidDetector.propose`. With ``focused`` their metainfo
            has ``pixels``, the level pixels that were looked at, and
            ``pyramid_pixels``, those of all levels.
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
        """Run on the chips of one level, and fill the images' maps.

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
        """Return the number of a tile's proposals; inf: the detector's.

        A whole level has the proposals that the pyramid has.
        """
        if self.max_proposals is None or chip == image.whole(level):
            return math.inf
        left, top, right, bottom = tile.part
        pixels = (right - left) * (bottom - top)
        # In steps: chips of one number run together.
        share = 2.0 ** math.ceil(math.log2(pixels / _SMALL))
        return math.ceil(self.max_proposals * max(share, _LEAST_SHARE))

    def _true_boxes(self, sample: DetDataSample) -> np.ndarray:
        if 'gt_instances' not in sample or 'bboxes' not in sample.gt_instances:
            raise ValueError(
                'ground_truth needs annotated boxes: the test pipeline must '
                'have LoadAnnotations(with_bbox=True).'
            )
        return annotated_boxes(sample)

    @contextmanager
    def _kept_features(self) -> Iterator[list]:
        """A context that keeps the detector's features for the focus head."""
        kept = []

        def keep(module, inputs, output):
            kept[:] = [output]

        module = getattr(self.detector, self.features)
        with module.register_forward_hook(keep):
            yield kept

    def _extract(self, inputs: Tensor) -> None:
        """Compute the features that the focus head sees, and little else."""
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
        """Wrap images, of which nothing has been looked at yet."""
        stride = self.focus_head.stride
        return [
            FocusedImage(pixels, stride=stride, **self._levels_of(pixels))
            for pixels in images
        ]
