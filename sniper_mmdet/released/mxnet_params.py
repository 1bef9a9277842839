"""Reader of MXNet's ``.params`` files, without MXNet.

Numbers are little-endian, and nothing is aligned. A file has two u64, 0x112
and 0; a u64 count and the tensors; a u64 count, the same or 0, and the names,
each after its u64 length. A tensor starts with a u32, its version:

- v2, v3: i32 storage, 0 for dense; then as v1
- v1: u32 count of dimensions, i64 each
- older: the u32 is that count; u32 each

It continues with the i32 kind and i32 number of its device, the i32 type and
the values. A tensor without dimensions has one value in v3; in the other
versions it ends there and has none.
"""

import math
import os
import struct
import sys
from pathlib import Path
from typing import BinaryIO, NoReturn

import numpy as np

_START = struct.pack('<QQ', 0x112, 0)
_V1, _V2, _V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
#: Types by MXNet's number.
_TYPES = 'float32 float64 float16 uint8 int32 int8 int64'.split()
_MAX_NDIM = 32
#: Limits beyond any network: empty arrays take more memory than the file has
#: bytes.
_MAX_TENSORS = 100_000


def read_params(path: str | Path) -> dict[str, np.ndarray]:
    """Read the tensors of an MXNet ``.params`` file.

    Each array owns writable memory, and no further copy is made. Sizes in the
    file are checked against its length before memory is allocated.

    Returns:
        dict: Arrays by name, in the file's order. Names are those of the file,
        such as 'arg:conv0_weight', or '0', '1', ... if it has none. A tensor
        without values, which also lacks shape and type, is (0,) float32.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is of another kind, is damaged, or has a name
            twice, sparse tensors, or a type other than float16, 32 and 64,
            int8, 32 and 64, and uint8.
    """
    with open(path, 'rb') as file:
        reader = _Reader(file, path)
        reader.start()
        count = reader.number('Q', 'the number of tensors', _MAX_TENSORS)
        arrays = [reader.tensor(f'tensor {i}') for i in range(count)]
        named = reader.number('Q', 'the number of names')
        if named not in (0, count):
            reader.fail(f'{count} tensors have {named} names')
        names = [reader.name(f'tensor {i}') for i in range(named)]
        if reader.left:
            reader.fail(f'{reader.left} bytes follow its last name')
    found = {}
    for i, array in enumerate(arrays):
        name = names[i] if named else str(i)
        if name in found:
            reader.fail(f'tensor {i} has a name that is taken, {name!r}')
        found[name] = array
    return found


class _Reader:
    """Reads a file in order, never beyond its end."""

    def __init__(self, file: BinaryIO, path: str | Path) -> None:
        self.file, self.path = file, path
        self.left = os.fstat(file.fileno()).st_size

    def fail(self, reason: str) -> NoReturn:
        raise ValueError(f'{self.path} cannot be read: {reason}.')

    def take(self, count: int, what: str) -> bytearray:
        if count > self.left:
            at = self.file.tell()
            self.fail(
                f'it breaks off at byte {at + self.left}, and {what} would '
                f'be {count} bytes from byte {at}'
            )
        data = bytearray(count)
        if self.file.readinto(data) < count:
            self.fail(f'it was cut at {what} while it was read')
        self.left -= count
        return data

    def number(self, code: str, what: str, most: float = math.inf) -> int:
        """Read a number of a struct code, which must be 0 or more."""
        form = struct.Struct(f'<{code}')
        (number,) = form.unpack(self.take(form.size, what))
        if not 0 <= number <= most:
            self.fail(f'{what} must be 0 to {most}. Received: {number}')
        return number

    def start(self) -> None:
        if not self.left:
            self.fail('it is empty')
        data = self.take(min(self.left, len(_START)), 'the start')
        if data != _START:
            self.fail(
                f'parameters of MXNet start with {_START}. '
                f'Received: {bytes(data)}'
            )

    def shape(self, version: int, what: str) -> tuple[int, ...]:
        if version in (_V2, _V3):
            if self.number('i', f'the storage type of {what}', 2):
                self.fail(f'{what} is sparse, and only dense ones are read')
        if version in (_V1, _V2, _V3):
            code, size = 'q', 8
            ndim = self.number('I', f'the dimensions of {what}', _MAX_NDIM)
        elif version <= _MAX_NDIM:
            code, size, ndim = 'I', 4, version
        else:
            self.fail(
                f'{what} must start with {_V1:#x}, {_V2:#x}, {_V3:#x} or the '
                f'number of its dimensions, 0 to {_MAX_NDIM}. '
                f'Received: {version:#x}'
            )
        sides = self.take(ndim * size, f'the shape of {what}')
        return struct.unpack(f'<{ndim}{code}', sides)

    def tensor(self, what: str) -> np.ndarray:
        version = self.number('I', f'the version of {what}')
        shape = self.shape(version, what)
        if not shape and version != _V3:
            return np.empty(0, np.float32)
        self.take(8, f'the device of {what}')
        asked = f'the type of {what} ({", ".join(_TYPES)})'
        kind = self.number('i', asked, len(_TYPES) - 1)
        dtype = np.dtype(_TYPES[kind]).newbyteorder('<')
        # NumPy refuses such a shape, too, even if a side is 0.
        most = math.prod(side or 1 for side in shape) * dtype.itemsize
        if min(shape, default=0) < 0 or most > sys.maxsize:
            self.fail(f'the shape of {what} is impossible. Received: {shape}')
        size = math.prod(shape) * dtype.itemsize
        data = self.take(size, f'{what}, {dtype} {shape},')
        return np.ndarray(shape, dtype, data)

    def name(self, what: str) -> str:
        length = self.number('Q', f'the length of the name of {what}')
        data = self.take(length, f'the name of {what}')
        try:
            return data.decode()
        except UnicodeDecodeError:
            start = bytes(data[:80])
            self.fail(f'the name of {what} is not UTF-8. Received: {start}')
