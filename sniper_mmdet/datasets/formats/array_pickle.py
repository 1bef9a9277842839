"""Reads pickles of arrays, and never runs code from a pickle.

Even NumPy gets no more than bytes, a shape and the name of a plain number
type: its own unpickling does not check its input.
"""

import math
import mmap
import pickle
import struct
from collections import OrderedDict

import numpy as np

_TYPES = set('b1 i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8'.split())


class _Fields:
    """Replaces mmengine's InstanceData: it has its attributes only."""


class _Type:
    """Replaces a dtype; its state is (version, byte order, ...)."""

    def __init__(self, name: str, *_) -> None:
        if name not in _TYPES:
            raise ValueError(f'it holds an array of {name!r}')
        self.name, self.order = name, '|'

    def __setstate__(self, state: tuple) -> None:
        if state[1] not in ('<', '>', '|', '=') or state[2:5] != (None,) * 3:
            raise ValueError('it holds an array of a structured type')
        self.order = state[1]


class _Array:
    """Replaces an array until everything is read."""

    array = None

    def __setstate__(self, state: tuple) -> None:
        _, shape, kind, fortran, data = state
        if isinstance(data, str):  # from Python 2
            data = data.encode('latin1')
        self.fill(data, kind, shape, 'F' if fortran else 'C')

    def fill(self, data, kind: _Type, shape: tuple, order: str) -> '_Array':
        data = memoryview(data).toreadonly()  # bytes(n) would allocate memory
        dtype = np.dtype(kind.order + kind.name)
        size = math.prod(shape) * dtype.itemsize
        if size != len(data) or min(shape, default=0) < 0:
            raise ValueError(f'it has {len(data)} bytes for an array {shape}')
        self.array = np.frombuffer(data, dtype).reshape(shape, order=order)
        return self


_ADMITTED = {
    ('numpy', 'dtype'): _Type,
    ('numpy', 'ndarray'): 'an array',  # a name, never called
    # Python 3 writes bytes for Python 2 in this way.
    ('_codecs', 'encode'): lambda text, _: text.encode('latin1'),
    ('collections', 'OrderedDict'): OrderedDict,
    ('mmengine.structures.instance_data', 'InstanceData'): _Fields,
}
for _module in ('__builtin__', 'builtins'):
    _ADMITTED[_module, 'set'] = set
    _ADMITTED[_module, 'bytes'] = lambda: b''
for _module in ('numpy.core', 'numpy._core'):
    _ADMITTED[f'{_module}.multiarray', '_reconstruct'] = lambda *_: _Array()
    _ADMITTED[f'{_module}.numeric', '_frombuffer'] = lambda *state: (
        _Array().fill(*state)
    )


class _ArrayUnpickler(pickle._Unpickler):
    """An unpickler in Python: that in C allocates any size it reads."""

    dispatch = dict(pickle._Unpickler.dispatch)

    def load_bytearray8(self) -> None:  # the parent's allocates first
        (size,) = struct.unpack('<Q', self.read(8))
        self.append(bytearray(self.read(size)))

    def load_build(self) -> None:  # or it could change a class for ever
        if not isinstance(self.stack[-2], (_Array, _Fields, _Type)):
            raise pickle.UnpicklingError('it has a state for a stateless type')
        super().load_build()

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8
    dispatch[pickle.BUILD[0]] = load_build

    def find_class(self, module: str, name: str):
        if (module, name) not in _ADMITTED:
            raise pickle.UnpicklingError(
                f'it holds {module}.{name}, which is not an array and is not '
                'executed'
            )
        return _ADMITTED[module, name]


def load_arrays(path: str):
    """Read a pickle of arrays, lists, dicts, numbers and strings.

    It also reads pickles of Python 2. Objects of mmengine's InstanceData
    become plain objects with the same attributes. Arrays are read-only.

    Args:
        path (str): The file.

    Raises:
        FileNotFoundError: No such file.
        ValueError: The file is damaged, or holds anything else.
    """
    with open(path, 'rb') as file:
        try:
            # A read beyond its end allocates no memory either.
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                found = _ArrayUnpickler(data, encoding='latin1').load()
            return _with_arrays(found, {})
        except Exception as error:  # a damaged pickle may raise any error
            raise ValueError(
                f'{path} is not a pickle of arrays: '
                f'{str(error) or type(error).__name__}.'
            ) from None


def _with_arrays(found, seen: dict):
    """Replace the stand-ins by arrays; ``seen`` holds visited containers."""
    if isinstance(found, _Array):
        if found.array is None:
            raise ValueError('it holds an array without data')
        return found.array
    if id(found) in seen:
        return seen[id(found)]
    if isinstance(found, tuple):
        seen[id(found)] = tuple(_with_arrays(item, seen) for item in found)
        return seen[id(found)]
    seen[id(found)] = found
    if isinstance(found, list):
        found[:] = [_with_arrays(item, seen) for item in found]
    elif isinstance(found, dict):
        for key in found:
            found[key] = _with_arrays(found[key], seen)
    elif isinstance(found, _Fields):
        _with_arrays(vars(found), seen)
    return found
