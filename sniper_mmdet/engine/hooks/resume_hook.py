"""Moves the schedules of a resumed run to epochs of another length."""

from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop

from sniper_mmdet.engine.schedules import resume_at
from sniper_mmdet.registry import HOOKS


@HOOKS.register_module()
class ResumeHook(Hook):
    """Keeps the place in epochs of the schedules of a resumed run.

    It serves runs on whole images, whose epochs MMDetection begins again. A
    :class:`ChipMiningHook`, which comes first, moves its schedules itself.
    ``engine.build.build_runner`` adds this hook to every run.
    """

    priority = 'VERY_LOW'

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        if not runner._resume:
            return
        if isinstance(runner.train_loop, IterBasedTrainLoop):
            return
        epoch = checkpoint['meta']['epoch']
        resume_at(runner, checkpoint, epoch * len(runner.train_dataloader))
