"""Reads pickles that hold arrays, and runs nothing that others may hold.

Not even NumPy sees more of a pickle than bytes, a shape and the name of a
plain number type: its own unpickling believes what it is told.
"""

import math
import mmap
import pickle
import struct
from collections import OrderedDict

import numpy as np

_TYPES = set('b1 i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8'.split())


class _Fields:
    """Stands in for mmengine's InstanceData: its attributes, no more."""


class _Type:
    """Stands in for a dtype; its state is (version, byte order, ...)."""

    def __init__(self, name: str, *_) -> None:
        if name not in _TYPES:
            raise ValueError(f'it holds an array of {name!r}')
        self.name, self.order = name, '|'

    def __setstate__(self, state: tuple) -> None:
        if state[1] not in ('<', '>', '|', '=') or state[2:5] != (None,) * 3:
            raise ValueError('it holds an array of a type of its own')
        self.order = state[1]


class _Array:
    """Stands in for an array until all is read."""

    array = None

    def __setstate__(self, state: tuple) -> None:
        _, shape, kind, fortran, data = state
        if isinstance(data, str):  # of Python 2
            data = data.encode('latin1')
        self.fill(data, kind, shape, 'F' if fortran else 'C')

    def fill(self, data, kind: _Type, shape: tuple, order: str) -> '_Array':
        data = memoryview(data).toreadonly()  # bytes(n) would take memory
        dtype = np.dtype(kind.order + kind.name)
        size = math.prod(shape) * dtype.itemsize
        if size != len(data) or min(shape, default=0) < 0:
            raise ValueError(f'it has {len(data)} bytes for an array {shape}')
        self.array = np.frombuffer(data, dtype).reshape(shape, order=order)
        return self


_ADMITTED = {
    ('numpy', 'dtype'): _Type,
    ('numpy', 'ndarray'): 'an array',  # named, never called
    # How Python 3 writes bytes for Python 2.
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
    """In Python: the one in C takes memory for whatever it is asked for."""

    dispatch = dict(pickle._Unpickler.dispatch)

    def load_bytearray8(self) -> None:  # its own takes the memory first
        (size,) = struct.unpack('<Q', self.read(8))
        self.append(bytearray(self.read(size)))

    def load_build(self) -> None:  # else it could change a class for good
        if not isinstance(self.stack[-2], (_Array, _Fields, _Type)):
            raise pickle.UnpicklingError('it gives a state to what has none')
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

    Python 2 pickles are read too. Objects of mmengine's InstanceData become
    plain ones with the same attributes. Arrays are read-only.

    Args:
        path (str): The file.

    Raises:
        FileNotFoundError: No such file.
        ValueError: It is damaged, or holds anything else.
    """
    with open(path, 'rb') as file:
        try:
            # Reading beyond its end takes no memory either.
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                found = _ArrayUnpickler(data, encoding='latin1').load()
            return _with_arrays(found, {})
        except Exception as error:  # a damaged pickle raises anything
            raise ValueError(
                f'{path} is not a pickle of arrays: '
                f'{str(error) or type(error).__name__}.'
            ) from None


def _with_arrays(found, seen: dict):
    """Put arrays where their stand-ins are, in a container seen before too."""
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
