"""The types that a checkpoint may hold: weights, and mmengine's run data."""

import pickle
from collections import Counter
from collections.abc import Callable
from pickle import UnpicklingError
from types import SimpleNamespace

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler import OneCycleParamScheduler
from torch._weights_only_unpickler import _get_allowed_globals


def load_harmless(path, **options):
    """``torch.load`` that allows only types which are known to be harmless.

    Raises:
        UnpicklingError: The file holds another type; the error has ``GLOBAL``
            and its name.
    """
    if hasattr(torch.serialization, 'add_safe_globals'):
        return torch.load(path, weights_only=True, **options)
    # torch before 2.4 cannot allow further classes.
    known = dict(weights_only=False, pickle_module=_KNOWN)
    return torch.load(path, **known, **options)


def _named(path: str, call: Callable) -> Callable:
    """Give a function the name by which a pickle refers to it."""

    def named(*args):
        return call(*args)

    named.__module__, _, named.__qualname__ = path.rpartition('.')
    named.__name__ = named.__qualname__
    return named


def _method(owner: type, name: str) -> Callable:
    """A replacement of getattr for the methods that pickles need.

    The real getattr would give a pickle any function.
    """
    known = {
        HistoryBuffer: ('min', 'max', 'current', 'mean'),
        OneCycleParamScheduler: ('_annealing_cos', '_annealing_linear'),
    }
    if name not in known.get(owner, ()):
        raise UnpicklingError('GLOBAL builtins.getattr of an unknown name')
    return getattr(owner, name)


def _harmless() -> list[Callable]:
    """Types in checkpoints of mmengine that torch does not allow."""
    array = np.empty(0).__reduce__()[0]
    scalar = np.float64(0).__reduce__()[0]
    numbers = np.typecodes['AllInteger'] + np.typecodes['AllFloat']
    found = [
        set,
        Counter,
        ConfigDict,
        HistoryBuffer,
        OneCycleParamScheduler,
        _named('builtins.getattr', _method),
        np.dtype,
        np.ndarray,
        *{type(np.dtype(code)) for code in f'{numbers}?SU'},
    ]
    # NumPy 2 has another name for the module.
    for module in ('numpy.core', 'numpy._core'):
        found.append(_named(f'{module}.multiarray._reconstruct', array))
        found.append(_named(f'{module}.multiarray.scalar', scalar))
    return found


class _Unpickler(pickle.Unpickler):
    """Finds harmless types only, for torch before 2.4."""

    known = {
        **{f'{one.__module__}.{one.__qualname__}': one for one in _harmless()},
        **_get_allowed_globals(),
    }

    def find_class(self, module: str, name: str) -> Callable:
        path = f'{module}.{name}'.replace('__builtin__', 'builtins')
        if path not in self.known:
            raise UnpicklingError(f'GLOBAL {path}')
        return self.known[path]


_KNOWN = SimpleNamespace(
    __name__='pickle',
    Unpickler=_Unpickler,
    load=lambda file, **options: _Unpickler(file, **options).load(),
)
if hasattr(torch.serialization, 'add_safe_globals'):
    torch.serialization.add_safe_globals(_harmless())
