"""Reports a checkpoint that does not fit the detector."""

from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel
from torch.nn.parallel import DistributedDataParallel

from sniper_mmdet.engine.checkpoint_files import CheckpointError
from sniper_mmdet.engine.checkpoints import (
    MisfitError,
    require_all,
    require_fit,
    unwrapped,
    weights_of,
)
from sniper_mmdet.models import AutoFocus


class CheckpointFitHook(Hook):
    """Reports in one sentence that the shapes of weights do not fit.

    mmengine leaves such weights random, and logs a list of all differences. A
    training that starts from a checkpoint may want that, for another number of
    classes, and gets a warning. A resumed training, a test, and the training
    of a frozen detector, which needs all weights, raise an error.
    """

    # After EMAHook, which exchanges the loaded weights.
    priority = 'VERY_LOW'

    def __init__(self) -> None:
        self._misfit: MisfitError | None = None
        self._loaded = False

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        self._loaded = True
        model = unwrapped(runner.model)
        if model is not runner.model and not isinstance(
            runner.model, DistributedDataParallel
        ):
            return  # each process has a part of each weight
        if isinstance(model, BaseTTAModel):
            model = unwrapped(model.module)
        path = runner.cfg.get('load_from') or 'the checkpoint'
        frozen = _is_frozen(model)
        try:
            missing, _ = require_fit(model, weights_of(checkpoint), path)
        except MisfitError as error:
            if runner._resume or frozen:
                raise
            self._misfit = error
        else:
            if frozen:
                require_all(missing, path, ['focus_head.'])

    def before_train(self, runner) -> None:
        if _is_frozen(unwrapped(runner.model)) and not self._loaded:
            raise CheckpointError(
                'model.frozen needs a trained detector: load_from must be its '
                'checkpoint. Received: None.'
            )
        if self._misfit is not None:
            runner.logger.warning(
                f'{self._misfit} Such weights keep their first values.'
            )
            self._misfit = None

    def before_test(self, runner) -> None:
        if self._misfit is not None:
            raise self._misfit

    before_val = before_test


def _is_frozen(model) -> bool:
    return isinstance(model, AutoFocus) and model.frozen
