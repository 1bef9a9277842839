"""The registries of sniper_mmdet, children of mmengine's.

A config names a component with its scope, ``sniper_mmdet.ChipDataset``.
mmengine then imports this module, and the ``locations`` on first use.
"""

import warnings
from contextlib import redirect_stdout
from io import StringIO

from sniper_mmdet.utils.dependencies import require_openmmlab

require_openmmlab()

from mmengine import registry as _mmengine  # noqa: E402
from mmengine.registry import Registry  # noqa: E402

from sniper_mmdet import moved  # noqa: E402

# mmdet tells which optional packages are missing, none of which is needed.
with redirect_stdout(StringIO()), warnings.catch_warnings():
    warnings.filterwarnings('ignore', 'faster_coco_eval', UserWarning)
    import mmdet.datasets  # noqa: E402
    import mmdet.evaluation  # noqa: E402, F401


class _Registry(Registry):
    """A Registry that finds types by their old names too."""

    def get(self, key: str) -> type | None:
        scope, name = self.split_scope_key(key)
        if scope in (None, 'sniper_mmdet') and name in moved.TYPES:
            new = f'sniper_mmdet.{moved.TYPES[name]}'
            moved.warn(f'sniper_mmdet.{name}', new)
            key = new
        return super().get(key)


def _child(name: str, parent: Registry, location: str) -> Registry:
    return _Registry(
        name,
        parent=parent,
        scope='sniper_mmdet',
        locations=[f'sniper_mmdet.{location}'],
    )


DATASETS = _child('dataset', _mmengine.DATASETS, 'datasets')
DATA_SAMPLERS = _child('data sampler', _mmengine.DATA_SAMPLERS, 'datasets')
TRANSFORMS = _child('transform', _mmengine.TRANSFORMS, 'datasets')
HOOKS = _child('hook', _mmengine.HOOKS, 'engine')
METRICS = _child('metric', _mmengine.METRICS, 'evaluation')
MODELS = _child('model', _mmengine.MODELS, 'models')
OPTIM_WRAPPERS = _child(
    'optimizer wrapper', _mmengine.OPTIM_WRAPPERS, 'engine'
)
TASK_UTILS = _child('task util', _mmengine.TASK_UTILS, 'models')
