"""Old names, which still work and tell the new names.

Version 0.2 will drop them, and this file.
"""

import importlib
import sys
import warnings
from collections.abc import Callable
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

#: Modules, from the package on; not those whose name a function has too.
MODULES = {
    'apis.coco_json': 'apis.coco_results',
    'apis.released': 'released.outputs',
    'apis.sniperize': 'sniperize',
    'chips.advice': 'tuning.advice',
    'chips.statistics': 'tuning.statistics',
    'datasets.array_pickle': 'datasets.formats.array_pickle',
    'engine.extraction': 'engine.proposal_extraction',
    'models.dense_heads.chip_rpn_head': 'models.dense_heads.released_rpn_head',
    'models.detectors.chip_faster_rcnn': (
        'models.detectors.released_faster_rcnn'
    ),
    'models.detectors.focusing': 'models.detectors.focused_image',
    'models.detectors.proposing': 'models.detectors.box_proposals',
    'models.roi_heads.chip_roi_head': 'models.roi_heads.released_roi_head',
    'utils.build': 'engine.build',
    'utils.cpu': 'engine.cpu',
    'utils.coco_writer': 'datasets.formats.coco',
    'utils.mxnet_params': 'released.mxnet_params',
    'utils.released_weights': 'released.weights',
    'utils.samples': 'structures',
}
#: Registered types, as configs have them after the scope.
TYPES = {
    'ChipFasterRCNN': 'ReleasedFasterRCNN',
    'ChipRPNHead': 'ReleasedRPNHead',
    'ChipRoIHead': 'ReleasedRoIHead',
    'ProposalRecall': 'ProposalRecallMetric',
}
#: Names of modules: where they are now, from the package on.
NAMES = {
    'chips': {
        'Advice': 'tuning.Advice',
        'chip_statistics': 'tuning.chip_statistics',
        'focus_share': 'tuning.focus_share',
        'outlook': 'tuning.forecast',
        'suggest': 'tuning.suggest',
    },
    'chips.boxes': {
        'from_coco': 'chips.coco.from_coco',
        'read_coco': 'chips.coco.read_coco',
    },
    'chips.focus': {'RELEASED_SIZES': 'chips.presets.RELEASED_FOCUS_SIZES'},
    'chips.advice': {'RELEASED_COCO_TEST': 'chips.presets.RELEASED_COCO_TEST'},
    'chips.statistics': {'RELEASED_COCO': 'chips.RELEASED_COCO'},
    'released.download': {'unpack': 'released.archives.unpack'},
    'utils.released_weights': {
        name: f'released.reordering.{name}'
        for name in ('object_first', 'background_last')
    },
    'utils.samples': {'in_chip_range': 'structures.in_released_range'},
}


def warn(old: str, new: str) -> None:
    """Warn that a name is old, once at each place that uses it."""
    warnings.warn(
        f'{old} is called {new} now; the old name goes with version 0.2',
        DeprecationWarning,
        stacklevel=3,
    )


def getattr_of(module: str) -> Callable[[str], object]:
    """Return the ``__getattr__`` of a module with old names.

    Args:
        module (str): Its ``__name__``.
    """
    package, _, place = module.partition('.')

    def find(name: str) -> object:
        new = NAMES.get(place, {}).get(name)
        if name in TYPES:
            new = f'{MODULES.get(place, place)}.{TYPES[name]}'
        if new is None:
            raise AttributeError(f'module {module!r} has no {name!r}')
        new = f'{package}.{new}'
        warn(f'{module}.{name}', new)
        owner, _, attribute = new.rpartition('.')
        return getattr(importlib.import_module(owner), attribute)

    return find


class _Finder(MetaPathFinder, Loader):
    """Finds modules by their old names: they hold what the new ones do."""

    def find_spec(self, name: str, *_) -> ModuleSpec | None:
        package, _, place = name.partition('.')
        if package == 'sniper_mmdet' and place in MODULES:
            return ModuleSpec(name, self)
        return None

    def exec_module(self, module: ModuleType) -> None:
        package, _, place = module.__name__.partition('.')
        new = f'{package}.{MODULES[place]}'
        warn(module.__name__, new)
        found = vars(importlib.import_module(new))
        names = [name for name in found if not name.startswith('__')]
        vars(module).update({name: found[name] for name in names})
        vars(module)['__getattr__'] = getattr_of(module.__name__)


sys.meta_path.append(_Finder())
