"""Tells where a checkpoint is not of the detector that it is loaded into."""

from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel
from torch.nn.parallel import DistributedDataParallel

from sniper_mmdet.engine.checkpoints import (
    MisfitError,
    require_fit,
    unwrapped,
    weights_of,
)


class CheckpointFitHook(Hook):
    """Tells in one sentence that weights do not fit the detector in shape.

    mmengine leaves these random, and says so in a list of all that differs. A
    training that starts from a checkpoint may mean it, for another number of
    classes, and is warned. One that is resumed, and a test, cannot.
    """

    # After EMAHook, which exchanges what is loaded.
    priority = 'VERY_LOW'

    def __init__(self) -> None:
        self._misfit: MisfitError | None = None

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        model = unwrapped(runner.model)
        if model is not runner.model and not isinstance(
            runner.model, DistributedDataParallel
        ):
            return  # each process has its share of each weight
        if isinstance(model, BaseTTAModel):
            model = unwrapped(model.module)
        path = runner.cfg.get('load_from') or 'the checkpoint'
        try:
            require_fit(model, weights_of(checkpoint), path)
        except MisfitError as error:
            if runner._resume:
                raise
            self._misfit = error

    def before_train(self, runner) -> None:
        if self._misfit is not None:
            runner.logger.warning(
                f'{self._misfit} What does not fit keeps its first values.'
            )
            self._misfit = None

    def before_test(self, runner) -> None:
        if self._misfit is not None:
            raise self._misfit

    before_val = before_test
