"""Mines the chips of each epoch."""

import time

import numpy as np
from mmengine.hooks import Hook

from sniper_mmdet.registry import HOOKS


@HOOKS.register_module()
class ChipMiningHook(Hook):
    """Has a fresh chip table mined before each epoch, and logs it.

    A run that is resumed in the middle of an epoch goes on with the chips that
    were still to come, and a resumed run keeps the seed of its first start.

    Logged scalars: ``chips/level{k}`` (coarse to fine), ``chips/image``.
    """

    # After mmengine's DistSamplerSeedHook, which knows nothing of skipping.
    priority = 'LOW'

    def before_train(self, runner) -> None:
        sampler = _chip_sampler(runner)
        # A resumed run takes the seed of its checkpoint after the sampler was
        # built; with diff_rank_seed the runner's seed is not the ranks' own.
        if not runner._randomness_cfg.get('diff_rank_seed'):
            sampler.seed = runner.seed

    def before_train_epoch(self, runner) -> None:
        sampler = _chip_sampler(runner)
        sampler.set_epoch(runner.epoch)
        start = time.perf_counter()
        table = sampler.table
        seconds = time.perf_counter() - start
        loader = runner.train_dataloader
        done = runner.iter - runner.epoch * len(loader)
        if 0 < done < len(loader):
            sampler.skip(done * _batch_size(loader))
            runner.logger.info(
                f'Epoch {runner.epoch + 1} goes on after '
                f'{done} of {len(loader)} iterations.'
            )
        num_levels = len(sampler.dataset.settings.pyramid)
        counts = np.bincount(table['level'], minlength=num_levels)
        num_images = len(sampler.dataset.images)
        scalars = {f'chips/level{k}': int(n) for k, n in enumerate(counts)}
        scalars['chips/image'] = len(table) / num_images
        runner.visualizer.add_scalars(scalars, step=runner.iter)
        runner.logger.info(
            f'Epoch {runner.epoch + 1}: mined {len(table)} chips in '
            f'{seconds:.2f} s, {len(table) / num_images:.2f} an image; by '
            f'level, coarse to fine: {counts.tolist()}'
        )

    def after_train_epoch(self, runner) -> None:
        skipped = _chip_sampler(runner).dataset.skipped_images
        if skipped:
            runner.logger.warning(
                f'{len(skipped)} images could not be used so far (indices '
                f'{skipped[:10]}{" ..." if len(skipped) > 10 else ""})'
            )


def _chip_sampler(runner):
    loader = runner.train_dataloader
    # With a batch sampler in the config the loader's own is a placeholder.
    for sampler in (
        loader.sampler,
        getattr(loader.batch_sampler, 'sampler', None),
    ):
        if hasattr(sampler, 'skip') and hasattr(sampler, 'table'):
            return sampler
    raise TypeError(
        'ChipMiningHook needs train_dataloader.sampler.type='
        "'sniper_mmdet.ChipSampler'. Received: "
        f'{type(loader.sampler).__name__}.'
    )


def _batch_size(loader) -> int:
    return loader.batch_size or loader.batch_sampler.batch_size
