"""Mines negative chips, from a proposal file or with the trained model."""

import os.path as osp

import numpy as np
from mmengine.runner import IterBasedTrainLoop

from sniper_mmdet.chips import FocusedPass, ImagePyramid
from sniper_mmdet.datasets.proposals import ProposalFile
from sniper_mmdet.engine.checkpoints import unwrapped
from sniper_mmdet.models import AutoFocus
from sniper_mmdet.registry import HOOKS
from sniper_mmdet.utils.errors import UserError

from ..proposal_extraction import WholeImages, extract_proposals
from .chip_mining_hook import ChipMiningHook, chip_sampler


@HOOKS.register_module()
class NegativeChipMiningHook(ChipMiningHook):
    """A ChipMiningHook that also mines negative chips.

    With a file: the ChipDataset names a file of
    ``tools/extract_proposals.py``, ``proposals='FILE'``. This is the released
    way. Every epoch, from the first on, has positive and negative chips.

    Online: after ``start`` epochs the detector in training looks at training
    images over its test pyramid. Negative chips are mined from its proposals
    (without an RPN, from its best detections) until a later pass renews them.
    All processes share the work. The proposals are stored in
    ``WORK_DIR/proposals``, which all processes must see. A resumed run uses
    them again. Epochs keep the length that they have without negative chips,
    unless ``ChipSampler.epoch_size`` gives another.

    A pass is cheap. An :class:`AutoFocus` looks at all images, but only where
    its focus head expects objects, and at some random places. Any other
    detector looks at some images, and at others in each pass until all had
    their turn. The remaining images keep their proposals. For a whole pass,
    over all levels of all images, set
    ``images_per_pass='all', focused=False``.

    Args:
        start (int, optional): Epochs of training before the first pass.
            Defaults to None: no pass, there is a file.
        interval (int, optional): Epochs from one pass to the next. Defaults to
            None: one pass only.
        num (int): Proposals per image and level. Defaults to 300.
        iou_threshold (float): IoU threshold of the NMS over all levels.
            Defaults to 0.7.
        batch_size (int): Images per batch and process. Defaults to 1.
        num_workers (int): Processes that read images, per process of training.
            Defaults to 2.
        images_per_pass (int | str, optional): Images that a pass looks at, or
            'all'. Defaults to None: all for a focused pass, else the number of
            images that have the pixels of an epoch of chips, at least one.
        focused (dict | bool, optional): Where an AutoFocus looks, see
            :class:`~sniper_mmdet.chips.FocusedPass`; False: everywhere.
            Defaults to None: the defaults of that class; everywhere with any
            other detector, and with ``ground_truth``.

    Raises:
        ValueError: A setting is out of bounds, or there is neither a file nor
            ``start``.
    """

    def __init__(
        self,
        start: int | None = None,
        interval: int | None = None,
        num: int = 300,
        iou_threshold: float = 0.7,
        batch_size: int = 1,
        num_workers: int = 2,
        images_per_pass: int | str | None = None,
        focused: dict | bool | None = None,
    ) -> None:
        super().__init__()
        if start is not None and start < 0:
            raise ValueError(f'start must be 0 or more. Received: {start}.')
        if interval is not None and (start is None or interval < 1):
            raise ValueError(
                'interval must be a positive number of epochs, and needs '
                f'start. Received: interval {interval}, start {start}.'
            )
        few = images_per_pass
        if few not in (None, 'all') and not (type(few) is int and few > 0):
            raise ValueError(
                "images_per_pass must be a positive whole number or 'all'. "
                f'Received: {few!r}.'
            )
        if start is None and not (few is None and focused is None):
            raise ValueError(
                'images_per_pass and focused belong to online mining, which '
                'needs start. Received: start None.'
            )
        self.start, self.interval = start, interval
        self.images_per_pass = few
        #: The FocusedPass of the setting, False, or None.
        self.focused = _focused_pass(focused)
        self.settings = num, iou_threshold, batch_size, num_workers
        self._made_at = None

    def before_train(self, runner) -> None:
        super().before_train(runner)
        dataset = chip_sampler(runner).dataset
        if self.start is None and dataset.proposals is None:
            raise UserError(
                'NegativeChipMiningHook needs a proposal file, '
                "train_dataloader.dataset.proposals='FILE', or its own "
                'start=EPOCH to make proposals online.'
            )
        if self.start and isinstance(runner.train_loop, IterBasedTrainLoop):
            raise UserError(
                'start counts epochs, and an IterBasedTrainLoop has none: use '
                'start=0, a proposal file, or an EpochBasedTrainLoop.'
            )
        model = unwrapped(runner.model)
        if self.start is not None and not hasattr(model, 'propose'):
            raise TypeError(
                'online mining needs a sniper_mmdet.PyramidDetector. '
                f'Received: {type(model).__name__}.'
            )
        if self.focused and not _can_focus(model):
            raise UserError(
                'focused needs a sniper_mmdet.AutoFocus without ground_truth: '
                f'leave it out. Received: {type(model).__name__}.'
            )
        few, images = self.images_per_pass, len(dataset.images)
        if isinstance(few, int) and few > images:
            raise UserError(
                f'images_per_pass must be at most {images}, the number of '
                f"training images, or 'all'. Received: {few}."
            )

    def before_train_epoch(self, runner) -> None:
        made_at = self._due(runner.epoch)
        if made_at is not None and made_at != self._made_at:
            self._made_at = made_at
            self._renew(runner, made_at)
        super().before_train_epoch(runner)

    def _due(self, epoch: int) -> int | None:
        """The epoch whose weights make the proposals of an epoch."""
        if self.start is None or epoch < self.start:
            return None
        since = epoch - self.start
        return epoch - (since % self.interval if self.interval else since)

    def _renew(self, runner, made_at: int) -> None:
        dataset = chip_sampler(runner).dataset
        path = osp.join(runner.work_dir, 'proposals', f'epoch_{made_at}.npz')
        # The weights of a past epoch, or of the start of this one, are gone.
        resumed = self._epoch > made_at or self._seen
        if resumed and osp.exists(path):
            runner.logger.info(f'negative chips: the proposals in {path}')
            file = ProposalFile(path)
        else:
            if resumed:
                runner.logger.warning(
                    f'{path} is missing: proposals are made again, with the '
                    'present weights'
                )
            runner.logger.info(f'negative chips: making proposals for {path}')
            file = self._extract(runner, made_at, path)
        dataset.set_proposals(file)

    def _extract(self, runner, made_at: int, path: str) -> ProposalFile:
        sampler, model = chip_sampler(runner), unwrapped(runner.model)
        dataset, images = sampler.dataset, WholeImages(sampler.dataset)
        focused = self.focused
        if focused is None and _can_focus(model):
            focused = FocusedPass()
        if focused:
            pixels = _level_pixels(dataset, model.pyramid).mean(0)
            coarsest = pixels[0] / pixels.sum()
            if coarsest > focused.share:
                runner.logger.warning(
                    'negative chips: the coarsest level alone has '
                    f'{coarsest:.0%} of the pixels, so the finer ones are '
                    'not looked at. focused.share must be more. '
                    f'Received: {focused.share}.'
                )
        few = self.images_per_pass
        if few is None and not focused and hasattr(model, 'pyramid'):
            few = images_like_chips(dataset, sampler.total_size, model.pyramid)
        former, every = None, self.interval or 1
        if isinstance(few, int):
            number = (made_at - self.start) // every
            images = images.some(few, number, sampler.seed)
            runner.logger.info(
                f'negative chips: {len(images)} of the '
                f'{len(images) + len(images.left_out)} images are looked at'
            )
            before = f'epoch_{made_at - every}.npz'
            before = osp.join(osp.dirname(path), before)
            former = dataset.proposal_file
            if number and osp.exists(before):
                former = ProposalFile(before)
        how = *self.settings, str(runner.cfg.get('model')), focused or None
        seed = sampler.seed, made_at
        return extract_proposals(model, images, path, *how, seed, former)


def images_like_chips(dataset, num_chips: int, pyramid: ImagePyramid) -> int:
    """Number of images that have as many pixels, at all levels, as chips.

    Args:
        dataset (ChipDataset): Dataset of images and chips.
        num_chips (int): Number of whole chips.
        pyramid (ImagePyramid): Levels of the images.
    """
    pixels = _level_pixels(dataset, pyramid).sum(1).mean()
    return max(int(num_chips * dataset.settings.chip_size**2 // pixels), 1)


def _level_pixels(dataset, pyramid: ImagePyramid) -> np.ndarray:
    """ndarray (N, L): level pixels of each readable image."""
    sizes = dataset.images.sizes
    sizes = sizes[sizes.all(1)]
    return pyramid.level_sizes(*sizes.T).prod(-1)


def _can_focus(model) -> bool:
    return isinstance(model, AutoFocus) and not model.ground_truth


def _focused_pass(focused: dict | bool | None) -> FocusedPass | bool | None:
    if focused is None or focused is False:
        return focused
    try:
        return FocusedPass(**({} if focused is True else focused))
    except TypeError as error:
        raise ValueError(
            'focused must be False, or give share, factor or elsewhere. '
            f'Received: {focused!r} ({error}).'
        ) from None
