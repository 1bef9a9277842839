"""Mines the chips of each epoch."""

import time

import numpy as np
import torch
from mmdet.models import (
    BatchFixedSizePad,
    BatchResize,
    BatchSyncRandomResize,
)
from mmengine.dist import all_reduce, get_world_size, is_main_process
from mmengine.runner import IterBasedTrainLoop
from torch.utils.data import BatchSampler

from sniper_mmdet.chips import ImagePyramid, chip_pixels
from sniper_mmdet.engine.checkpoints import unwrapped
from sniper_mmdet.engine.config_checks import check_agreement
from sniper_mmdet.engine.endless_chips import EndlessChips
from sniper_mmdet.engine.schedules import resume_at
from sniper_mmdet.registry import HOOKS

from .data_check_hook import DataCheckHook


@HOOKS.register_module()
class ChipMiningHook(DataCheckHook):
    """Mines a new chip table before each epoch, and logs its statistics.

    Before the first epoch it checks that chips and detector agree, see
    :func:`~sniper_mmdet.engine.config_checks.check_agreement`. Like any
    :class:`DataCheckHook` it also checks the data of a run, in tests too.

    A run that is resumed in the middle of an epoch continues with the
    remaining chips, even with another number of processes or another batch
    size, and keeps its first seed. In a checkpoint ``chips_epoch`` is the
    epoch, ``chips_seen`` the number of its chips that all processes had seen,
    and ``chips_iterations`` the number of iterations per epoch. In an
    EpochBasedTrainLoop schedules keep their place in epochs, see
    :func:`~sniper_mmdet.engine.schedules.resume_at`. In an IterBasedTrainLoop,
    which counts only iterations, they keep their place in iterations.

    The table has negative chips if the ChipDataset has ``proposals``.

    The visualizer's backends get these scalars. Their step is the epoch,
    counted from 1, as for validation: ``chips/level{k}_positive`` and, with
    proposals, ``chips/level{k}_negative`` (coarse to fine); ``chips/image``,
    the mean number of chips per image; ``chips/mpixels``, 10^6 level pixels of
    the epoch, without the padding of batches.
    """

    # After mmengine's DistSamplerSeedHook, which does not know of skipped
    # samples, and before CheckpointHook.
    priority = 'LOW'

    def __init__(self) -> None:
        super().__init__()
        #: Chips of an epoch that all processes have seen.
        self._epoch, self._seen = 0, 0

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        super().after_load_checkpoint(runner, checkpoint)
        if not runner._resume:
            return
        total = chip_sampler(runner).total_size
        seen = checkpoint.get('chips_seen', 0)
        if isinstance(runner.train_loop, IterBasedTrainLoop):
            self._epoch = checkpoint.get('chips_epoch')
            if self._epoch is None:  # chips_seen then counts all epochs
                self._epoch, seen = divmod(seen, total)
        else:
            self._epoch = checkpoint['meta']['epoch']
        # Another number of processes may make the epoch longer.
        self._seen = min(seen, total)
        self._move(runner, checkpoint)

    def _move(self, runner, checkpoint: dict) -> None:
        """Move the run to epochs of another length, or warn that it cannot."""
        loader = runner.train_dataloader
        length = len(loader)
        if isinstance(runner.train_loop, IterBasedTrainLoop):
            before = checkpoint.get('chips_iterations', length)
            if length != before:
                runner.logger.warning(
                    f'All chips take {length} iterations now, {before} '
                    'before. max_iters, intervals and schedules of an '
                    'IterBasedTrainLoop still count iterations.'
                )
            return
        left = length
        if self._seen:
            batches, world = loader.batch_sampler, get_world_size()
            rest = len(chip_sampler(runner)) - self._seen // world
            how = batches.batch_size, batches.drop_last
            left = len(BatchSampler(range(rest), *how))
        resume_at(runner, checkpoint, (self._epoch + 1) * length - left)

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        checkpoint['chips_epoch'] = self._epoch
        checkpoint['chips_seen'] = self._seen
        checkpoint['chips_iterations'] = len(runner.train_dataloader)

    def before_train(self, runner) -> None:
        super().before_train(runner)
        sampler = chip_sampler(runner)
        # A resumed run gets the seed of its checkpoint after the sampler is
        # built. With diff_rank_seed the ranks' seeds are not the runner's.
        if not runner._randomness_cfg.get('diff_rank_seed'):
            sampler.seed = runner.seed
        for warning in _compare(sampler.dataset, runner.model):
            runner.logger.warning(warning)

    def before_train_epoch(self, runner) -> None:
        sampler = chip_sampler(runner)
        if isinstance(runner.train_loop, IterBasedTrainLoop):
            EndlessChips.put_into(runner.train_loop, sampler)
        else:
            self._epoch = runner.epoch
        sampler.set_epoch(self._epoch)
        start = time.perf_counter()
        table = sampler.table
        seconds = time.perf_counter() - start
        if self._seen:
            sampler.skip(self._seen // get_world_size())
            runner.logger.info(
                f'Epoch {self._epoch + 1} continues after {self._seen} of '
                f'{sampler.total_size} chips.'
            )
        if is_main_process():
            self._log(runner, sampler, table, seconds)

    def _log(self, runner, sampler, table, seconds: float) -> None:
        dataset = sampler.dataset
        # levels x signs
        counts = np.zeros((len(dataset.settings.pyramid), 2), int)
        np.add.at(counts, (table['level'], table['positive'].astype(int)), 1)
        negative, positive = counts.T.tolist()
        of_sign, of_them = dict(positive=positive), ''
        if dataset.proposals is not None:
            of_sign['negative'] = negative
            of_them = f', of them negative: {negative}'
        scalars = {
            f'chips/level{k}_{sign}': n
            for sign, numbers in of_sign.items()
            for k, n in enumerate(numbers)
        }
        per_image = len(table) / len(dataset.images)
        # An epoch keeps its length: some chips are left out, or repeated.
        pixels = chip_pixels(table, dataset.images, dataset.settings.pyramid)
        mpixels = pixels.mean() * sampler.total_size / 1e6
        scalars['chips/image'] = per_image
        scalars['chips/mpixels'] = float(mpixels)
        # Not by the message hub, whose scalars go into every line of
        # LoggerHook. All keys but the step have a slash, by which tools
        # distinguish the lines of epochs from those of losses.
        runner.visualizer.add_scalars(scalars, step=self._epoch + 1)
        runner.logger.info(
            f'Epoch {self._epoch + 1}: mined {len(table)} chips in '
            f'{seconds:.2f} s, {per_image:.2f} per image; by level, coarse to '
            f'fine: {counts.sum(1).tolist()}{of_them}; {mpixels:.1f} Mpixels '
            f'in {len(runner.train_dataloader)} iterations per epoch'
        )

    def after_train_iter(
        self, runner, batch_idx: int, data_batch=None, outputs=None
    ) -> None:
        epoch = chip_sampler(runner).epoch
        if epoch != self._epoch:  # in an IterBasedTrainLoop
            self._epoch, self._seen = epoch, 0
        self._seen += len(data_batch['inputs']) * get_world_size()

    def after_train_epoch(self, runner) -> None:
        if not isinstance(runner.train_loop, IterBasedTrainLoop):
            self._epoch, self._seen = runner.epoch + 1, 0
        skipped = chip_sampler(runner).dataset.skipped.to(torch.uint8)
        all_reduce(skipped, 'max')  # a process knows its own workers only
        skipped = skipped.nonzero().flatten().tolist()
        if skipped:
            runner.logger.warning(
                f'{len(skipped)} images could not be used so far (indices '
                f'{skipped[:10]}{" ..." if len(skipped) > 10 else ""})'
            )


def chip_sampler(runner):
    """The ChipSampler of a runner's training; TypeError if it has none."""
    loader = runner.train_dataloader
    # With a batch sampler in the config the loader's sampler is a placeholder.
    inner = getattr(loader.batch_sampler, 'sampler', None)
    for sampler in (loader.sampler, inner):
        if hasattr(sampler, 'skip') and hasattr(sampler, 'table'):
            return sampler
    raise TypeError(
        'ChipMiningHook needs train_dataloader.sampler.type='
        "'sniper_mmdet.ChipSampler'. Received: "
        f'{type(loader.sampler).__name__}.'
    )


def _compare(dataset, model) -> list[str]:
    """Warnings if a ChipDataset and a detector do not agree."""
    model, settings = unwrapped(model), dataset.settings
    preprocessor = getattr(model, 'data_preprocessor', None)
    augments = getattr(preprocessor, 'batch_augments', None) or ()
    pads = [one.size for one in augments if isinstance(one, BatchFixedSizePad)]
    divisor = getattr(preprocessor, 'pad_size_divisor', 1)
    pyramid = getattr(model, 'pyramid', None)
    levels = pyramid if isinstance(pyramid, ImagePyramid) else None
    unseen = hasattr(model, 'focus_head') and dataset.keeps_unseen
    resizing = [
        type(one).__name__
        for one in augments
        if unseen and isinstance(one, (BatchResize, BatchSyncRandomResize))
    ]
    trained = settings.chip_size, settings.pyramid
    return check_agreement(*trained, pads, divisor, levels, resizing)
