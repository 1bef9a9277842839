"""Reads pickles that hold arrays, and runs nothing that others may hold."""

import pickle
from collections import OrderedDict

import numpy as np


class _Fields:
    """Stands in for mmengine's InstanceData: its attributes, no more."""


def _new_array(*_) -> np.ndarray:
    # The state that follows brings shape and type; what a pickle asks for
    # here could be of any size.
    return np.ndarray((0,), np.int8)


def _from_buffer(buffer, dtype, shape, order) -> np.ndarray:
    return np.frombuffer(buffer, dtype).reshape(shape, order=order)


def _encode(text: str, encoding: str) -> bytes:
    return text.encode('latin1')  # how Python 3 writes bytes for Python 2


_ADMITTED = {
    ('numpy', 'dtype'): np.dtype,
    ('numpy', 'ndarray'): 'an array',  # named, never called
    ('_codecs', 'encode'): _encode,
    ('collections', 'OrderedDict'): OrderedDict,
    ('__builtin__', 'set'): set,
    ('builtins', 'set'): set,
    ('mmengine.structures.instance_data', 'InstanceData'): _Fields,
}
for _core in ('numpy.core', 'numpy._core'):
    _ADMITTED[f'{_core}.multiarray', '_reconstruct'] = _new_array
    _ADMITTED[f'{_core}.numeric', '_frombuffer'] = _from_buffer


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str):
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f'it holds {module}.{name}, which is not an array and is not '
                'executed'
            ) from None


def load_arrays(path: str):
    """Read a pickle of arrays, lists, dicts, numbers and strings.

    Python 2 pickles are read too. Objects of mmengine's InstanceData become
    plain ones with the same attributes.

    Args:
        path (str): The file.

    Raises:
        FileNotFoundError: No such file.
        ValueError: It is damaged, or holds anything else.
    """
    with open(path, 'rb') as file:
        try:
            return _ArrayUnpickler(file, encoding='latin1').load()
        except Exception as error:  # a damaged pickle raises anything
            raise ValueError(
                f'{path} is not a pickle of arrays: '
                f'{str(error) or type(error).__name__}.'
            ) from None
