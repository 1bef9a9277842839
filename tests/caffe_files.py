"""Writes ``.caffemodel`` files as Caffe does."""

import struct
from pathlib import Path

import numpy as np


def varint(value: int) -> bytes:
    parts = []
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def field(number: int, value: bytes | str | int | float) -> bytes:
    """A field of bytes, of a varint or of one float32."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack('<f', value)
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


def blob(array: np.ndarray) -> bytes:
    """A blob of the new format, float32 or float64; its shape comes last."""
    sides = b''.join(map(varint, array.shape))
    number = {4: 5, 8: 8}[array.itemsize]
    return field(number, array.tobytes()) + field(7, field(1, sides))


def old_blob(array: np.ndarray) -> bytes:
    """A blob of the old format, of four sides."""
    sides = (1,) * (4 - array.ndim) + array.shape
    start = b''.join(field(i, side) for i, side in enumerate(sides, start=1))
    return start + field(5, array.tobytes())


def layer(name: str, *blobs: bytes, kind: str = 'Convolution') -> bytes:
    """A net's field: a layer of the new format."""
    parts = [field(1, name), field(2, kind), field(3, 'data'), field(10, 1)]
    return field(100, b''.join([*parts, *(field(7, b) for b in blobs)]))


def old_layer(name: str, *blobs: bytes) -> bytes:
    """A net's field: a layer of the old format."""
    parts = [field(2, 'data'), field(4, name), field(5, 4)]
    return field(2, b''.join([*parts, *(field(6, b) for b in blobs)]))


def write_caffemodel(path: str | Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays by name, 'LAYER.BLOB', beside layers without any."""
    layers: dict[str, list[bytes]] = {}
    for name, array in arrays.items():
        layers.setdefault(name.rpartition('.')[0], []).append(blob(array))
    with open(path, 'wb') as file:
        file.write(field(1, 'net') + layer('input', kind='Input'))
        for name, blobs in layers.items():
            file.write(layer(name, *blobs))
