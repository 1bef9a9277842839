"""Checks the data of a run."""

from mmengine.hooks import Hook

from sniper_mmdet.datasets.classes import classes_of
from sniper_mmdet.engine.checkpoints import trained_classes
from sniper_mmdet.engine.data_checks import check_run
from sniper_mmdet.engine.detector_checks import check_names, has_classes
from sniper_mmdet.registry import HOOKS


@HOOKS.register_module()
class DataCheckHook(Hook):
    """Checks before a run that its data, metrics and detector agree.

    It checks datasets, the files of metrics, the heads of the detector and,
    unless it only initialises a new training, the checkpoint. See
    :mod:`sniper_mmdet.engine.data_checks`.
    """

    def __init__(self) -> None:
        self._checked = set()
        self._trained = []

    def check(self, runner, *splits: str) -> None:
        """Check some splits, once.

        Raises:
            ValueError: Something does not agree; the error names it.
        """
        if not self._checked.issuperset(splits):
            check_run(runner, splits)
            self._checked.update(splits)

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        self._trained = trained_classes(checkpoint)

    def before_train(self, runner) -> None:
        self.check(runner, 'train', 'val')
        if runner._resume:
            self._compare(runner, 'train')

    def before_val(self, runner) -> None:
        if 'train' not in self._checked:
            self.check(runner, 'val')
            self._compare(runner, 'val')

    def before_test(self, runner) -> None:
        self.check(runner, 'test')
        self._compare(runner, 'test')

    def _compare(self, runner, split: str) -> None:
        """Compare the classes of the checkpoint with those of a split."""
        loader = getattr(runner, f'{split}_dataloader')
        names = classes_of(loader.dataset)
        if has_classes(runner.model):
            check_names(self._trained, 'checkpoint', names, f'{split} data')
