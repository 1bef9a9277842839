"""Reader of MATLAB files of version 5: numbers, texts, and cells of these.

SciPy reads more kinds, but a broken file can end the whole process there
instead of raising an error.
"""

import math
import zlib
from pathlib import Path

import numpy as np

from .errors import UserError

#: Variables of a file: numbers, a text, or cells, in MATLAB's order.
Value = np.ndarray | str | list

#: Dtypes of elements with numbers, by their type.
_TYPES = {
    1: 'i1',
    2: 'u1',
    3: 'i2',
    4: 'u2',
    5: 'i4',
    6: 'u4',
    7: 'f4',
    9: 'f8',
    12: 'i8',
    13: 'u8',
}
_TEXTS = {2: 'latin-1', 16: 'utf-8', 17: 'utf-16', 18: 'utf-32'}
#: Dtypes of arrays of numbers, by their class.
_CLASSES = dict(enumerate('f8 f4 i1 u1 i2 u2 i4 u4 i8 u8'.split(), start=6))
_CELL, _CHAR, _MATRIX, _COMPRESSED = 1, 4, 14, 15
_HEADER, _MOST_BYTES, _DEEPEST = 128, 2**30, 16


class _BrokenError(Exception):
    """A fault in a file."""


def read_mat(path: str | Path) -> dict[str, Value]:
    """Read the variables of a .mat file.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: The file is broken, or holds other values than numbers,
            texts and cells.
    """
    content = Path(path).read_bytes()
    try:
        return _read(content)
    except _BrokenError as error:
        raise UserError(
            f'{path} cannot be read as a .mat file of MATLAB 5: {error}.'
        ) from None


def _read(content: bytes) -> dict[str, Value]:
    order = {b'IM': '<', b'MI': '>'}.get(content[126:128])
    if order is None:
        kind = 'its header is missing'
        if (
            content[:8] == b'\x89HDF\r\n\x1a\n'
            or content[:10] == b'MATLAB 7.3'
        ):
            kind = 'it is one of version 7.3; save it with -v7'
        raise _BrokenError(kind)
    rest, found = _Bytes(content[_HEADER:], order), {}
    while rest.left:
        kind, data = rest.element(is_padded=False)
        if kind == _COMPRESSED:
            kind, data = _Bytes(_unpacked(data), order).element()
        if kind != _MATRIX:
            raise _BrokenError(f'an element has the unknown type {kind}')
        name, value = _matrix(_Bytes(data, order))
        if name in found:
            raise _BrokenError(f'it has two variables called {name!r}')
        found[name] = value
    return found


def _unpacked(data: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        found = unpacker.decompress(data, _MOST_BYTES)
    except zlib.error as error:
        raise _BrokenError(f'compressed data are broken: {error}') from None
    if not unpacker.eof:
        raise _BrokenError('compressed data break off')
    return found


class _Bytes:
    """Bytes that are read in order."""

    def __init__(self, data: bytes, order: str) -> None:
        self.data, self.order, self.place = data, order, 0

    @property
    def left(self) -> int:
        return len(self.data) - self.place

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise _BrokenError('it breaks off')
        self.place += count
        return self.data[self.place - count : self.place]

    def element(self, is_padded: bool = True) -> tuple[int, bytes]:
        """Read type and content of the next element."""
        first, count = np.frombuffer(self.take(8), f'{self.order}u4').tolist()
        if first >> 16:  # a small one, within the eight bytes
            count = first >> 16
            if count > 4:
                raise _BrokenError('a small element has over 4 bytes')
            return first & 0xFFFF, self.data[self.place - 4 :][:count]
        data = self.take(count)
        if is_padded:
            self.take(min(-count % 8, self.left))
        return first, data

    def numbers(self) -> np.ndarray:
        """Read the next element as numbers."""
        kind, data = self.element()
        if kind not in _TYPES:
            raise _BrokenError(f'numbers have the unknown type {kind}')
        dtype = np.dtype(f'{self.order}{_TYPES[kind]}')
        if len(data) % dtype.itemsize:
            raise _BrokenError('numbers break off')
        return np.frombuffer(data, dtype)

    def integers(self) -> np.ndarray:
        """Read the next element as integers."""
        found = self.numbers()
        if found.dtype.kind == 'f':
            raise _BrokenError('a class or a size is no integer')
        return found


def _matrix(part: _Bytes, depth: int = 0) -> tuple[str, Value]:
    """Read name and value of an array."""
    if not part.left:  # an empty cell
        return '', np.zeros((0, 0))
    flags, shape = part.integers(), part.integers().tolist()
    name = part.element()[1].decode('latin-1')
    if not len(flags) or len(shape) < 2 or min(shape) < 0:
        raise _BrokenError('an array has no class, or no size')
    kind, size = int(flags[0]) & 0xFF, math.prod(shape)
    if depth > _DEEPEST:
        raise _BrokenError('cells are nested too deeply')
    if kind == _CELL:
        if size > part.left // 8:
            raise _BrokenError('cells break off')
        return name, [_cell(part, depth + 1) for _ in range(size)]
    if kind == _CHAR:
        return name, _text(part, size)
    if kind not in _CLASSES or int(flags[0]) & 0x800:
        raise _BrokenError(
            f'{name or "a cell"} holds neither numbers, texts nor cells'
        )
    values = part.numbers()
    if len(values) != size:
        raise _BrokenError(
            f'an array of {size} numbers has {len(values)} of them'
        )
    with np.errstate(invalid='ignore'):
        values = values.astype(_CLASSES[kind])
    return name, values.reshape(shape, order='F')


def _cell(part: _Bytes, depth: int) -> Value:
    kind, data = part.element()
    if kind != _MATRIX:
        raise _BrokenError(f'a cell has the unknown type {kind}')
    return _matrix(_Bytes(data, part.order), depth)[1]


def _text(part: _Bytes, size: int) -> str:
    if not size and not part.left:
        return ''
    kind, data = part.element()
    if kind in (1, 4):  # one number per letter
        dtype = 'u1' if kind == 1 else f'{part.order}u2'
        count = len(data) // np.dtype(dtype).itemsize
        return ''.join(map(chr, np.frombuffer(data, dtype, count).tolist()))
    codec = _TEXTS.get(kind)
    if codec is None:
        raise _BrokenError(f'a text has the unknown type {kind}')
    if kind in (17, 18):
        codec += '-le' if part.order == '<' else '-be'
    try:
        return data.decode(codec)
    except UnicodeDecodeError:
        raise _BrokenError('a text is broken') from None
