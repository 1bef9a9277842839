"""Mines negative chips too, from a file or with the model being trained."""

import os.path as osp

from mmengine.runner import IterBasedTrainLoop

from sniper_mmdet.datasets.proposals import ProposalFile
from sniper_mmdet.engine.checkpoints import unwrapped
from sniper_mmdet.registry import HOOKS
from sniper_mmdet.utils.errors import UserError

from ..proposal_extraction import WholeImages, extract_proposals
from .chip_mining_hook import ChipMiningHook, chip_sampler


@HOOKS.register_module()
class NegativeChipMiningHook(ChipMiningHook):
    """A ChipMiningHook that sees to negative chips.

    From a file: the ChipDataset names it, ``proposals='FILE'``, as
    ``tools/extract_proposals.py`` writes it. This is what was released, and
    gives each epoch positive and negative chips from the first on.

    Online, where ``start`` is given: after so many epochs the detector being
    trained looks at all training images over its test pyramid, and its
    proposals (without an RPN, its best detections) are what negative chips
    are mined from, until a later epoch renews them. All processes share the
    work. The proposals are kept in ``WORK_DIR/proposals``, which all
    processes must see, and a run that is resumed uses them again. Epochs keep
    the length that they had without negative chips, unless
    ``ChipSampler.epoch_size`` names another.

    Args:
        start (int, optional): Epochs trained before the first proposals are
            made. Defaults to None: never, there is a file.
        interval (int, optional): Epochs after which proposals are made anew.
            Defaults to None: once is enough.
        num (int): Proposals an image and level. Defaults to 300.
        iou_threshold (float): NMS over all levels. Defaults to 0.7.
        batch_size (int): Images run together, a process. Defaults to 1.
        num_workers (int): That read images, a process. Defaults to 2.

    Raises:
        ValueError: A setting out of bounds, or neither a file nor ``start``.
    """

    def __init__(
        self,
        start: int | None = None,
        interval: int | None = None,
        num: int = 300,
        iou_threshold: float = 0.7,
        batch_size: int = 1,
        num_workers: int = 2,
    ) -> None:
        super().__init__()
        if start is not None and start < 0:
            raise ValueError(f'start must be 0 or more. Received: {start}.')
        if interval is not None and (start is None or interval < 1):
            raise ValueError(
                'interval must be a positive number of epochs, and needs '
                f'start. Received: interval {interval}, start {start}.'
            )
        self.start, self.interval = start, interval
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

    def before_train_epoch(self, runner) -> None:
        made_at = self._due(runner.epoch)
        if made_at is not None and made_at != self._made_at:
            self._made_at = made_at
            self._renew(runner, made_at)
        super().before_train_epoch(runner)

    def _due(self, epoch: int) -> int | None:
        """The epoch whose weights an epoch's proposals are of."""
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
                    f'{path} is gone: proposals are made anew, with the '
                    'weights as they are now'
                )
            runner.logger.info(f'negative chips: making proposals for {path}')
            model, images = unwrapped(runner.model), WholeImages(dataset)
            how = *self.settings, str(runner.cfg.get('model'))
            file = extract_proposals(model, images, path, *how)
        dataset.set_proposals(file)
