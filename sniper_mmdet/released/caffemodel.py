"""Reader of Caffe's ``.caffemodel`` files, without Caffe.

The files are protobuf messages, sequences of fields. A field is a varint,
which has the number and the kind of the field, and its value. Kinds are 0, a
varint; 1, eight bytes; 2, a varint length and that number of bytes; and 5,
four bytes. The reader uses these fields:

- net: layers, 100, or 2 in the older format
- layer: name, 1; blobs, 7. Older: name, 4; blobs, 6
- blob: shape, 7; float32 values, 5; float64 values, 8. Older, instead of a
  shape: num, channels, height and width, 1 to 4
- shape: sides, 1

The numbers of a field may be packed into one field of kind 2, or be given one
by one.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NoReturn

import numpy as np

_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
#: Numbers of the fields of a layer's name and blobs, by that of the net's
#: field.
_LAYERS = {100: (1, 7), 2: (4, 6)}
_MAX_NDIM = 32
#: Limit of layers and tensors, more than any network has: small ones take more
#: memory than the file has bytes.
_MAX_LAYERS = 100_000


def read_caffemodel(path: str | Path) -> dict[str, np.ndarray]:
    """Read the tensors of a Caffe ``.caffemodel`` file, of either format.

    Sizes in the file are checked against its length before memory is
    allocated.

    Returns:
        dict: Arrays by name, in the file's order. A name is that of the layer,
        a dot and the number of the blob: 0 is the weight, 1 the bias. Layers
        without blobs are left out. The last one of several layers with one
        name counts, as in Caffe. Shapes are those of the file; in the older
        format they have four sides, (1, 1, 1, C) for a bias. Arrays are
        float32, or float64 if the file has float64.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is of another kind, is damaged, holds no weights,
            or has a format from before 2014.
    """
    with open(path, 'rb') as file:
        size = os.fstat(file.fileno()).st_size
        net = _Message(file, path, 0, size, 'the net')
        if not size:
            net.fail('it is empty')
        layers: dict[str, list[np.ndarray]] = {}
        count = tensors = 0
        for number, kind in net.fields():
            if number not in _LAYERS or kind != _BYTES:
                net.skip(kind)
                continue
            layer = net.message(f'layer {count}')
            name, blobs = _read_layer(layer, *_LAYERS[number])
            count, tensors = count + 1, tensors + len(blobs)
            if max(count, tensors) > _MAX_LAYERS:
                net.fail(f'it has more than {_MAX_LAYERS} layers or tensors')
            if blobs:
                layers[name] = blobs
        if not layers:
            net.fail(
                'a .caffemodel has layers with weights, and none was found'
            )
    return {
        f'{name}.{index}': blob
        for name, blobs in layers.items()
        for index, blob in enumerate(blobs)
    }


def _read_layer(
    layer: '_Message', name_field: int, blobs_field: int
) -> tuple[str, list[np.ndarray]]:
    name, blobs = '', []
    for number, kind in layer.fields():
        if number == name_field and kind == _BYTES:
            name = layer.text('its name')
        elif number == blobs_field and kind == _BYTES:
            blob = layer.message(f'blob {len(blobs)} of {layer.what}')
            blobs.append(_read_blob(blob))
        else:
            layer.skip(kind)
    if blobs and not name:
        layer.fail(f'{layer.what} has blobs and no name')
    return name, blobs


def _read_blob(blob: '_Message') -> np.ndarray:
    values = {5: bytearray(), 8: bytearray()}
    types = {5: np.dtype('<f4'), 8: np.dtype('<f8')}
    old, shape = {}, None
    for number, kind in blob.fields():
        if number in values and kind != _VARINT:
            new = blob.numbers(kind, types[number])
            if values[number]:
                values[number] += new
            else:
                values[number] = new
        elif number in (1, 2, 3, 4) and kind == _VARINT:
            old[number] = blob.varint('a side')
        elif number == 7 and kind == _BYTES:
            shape = _read_shape(blob.message(f'the shape of {blob.what}'))
        else:
            blob.skip(kind)
    number = 5 if values[5] else 8
    if not values[number]:
        blob.fail(f'{blob.what} has no values')
    array = np.frombuffer(values[number], types[number])
    if shape is None and old:
        shape = [old.get(side, 0) for side in (1, 2, 3, 4)]
    if shape is None:
        shape = [] if array.size == 1 else [array.size]
    if math.prod(shape) != array.size:
        blob.fail(
            f'{blob.what} has {array.size} values, and its shape is {shape}'
        )
    return array.reshape(shape)


def _read_shape(message: '_Message') -> list[int]:
    sides = []
    for number, kind in message.fields():
        if number == 1 and kind == _VARINT:
            sides.append(message.varint('a side'))
        elif number == 1 and kind == _BYTES:
            packed = message.message(message.what)
            while packed.left:
                sides.append(packed.varint('a side'))
                packed.require(len(sides) <= _MAX_NDIM)
        else:
            message.skip(kind)
        message.require(len(sides) <= _MAX_NDIM)
    return sides


class _Message:
    """A part of a file that is one message, read field by field.

    Reading never goes beyond its end, and neither does a nested message.
    """

    def __init__(
        self, file: BinaryIO, path: str | Path, at: int, end: int, what: str
    ) -> None:
        self.file, self.path, self.what = file, path, what
        self.at, self.end = at, end

    @property
    def left(self) -> int:
        return self.end - self.at

    def fail(self, reason: str) -> NoReturn:
        raise ValueError(f'{self.path} cannot be read: {reason}.')

    def require(self, few: bool) -> None:
        if not few:
            self.fail(f'{self.what} has more than {_MAX_NDIM} sides')

    def fields(self) -> Iterator[tuple[int, int]]:
        """Yield number and kind of fields; read each value before the next."""
        while self.left:
            number, kind = divmod(self.varint('a field'), 8)
            if number == 0 or kind not in (_VARINT, _EIGHT, _BYTES, _FOUR):
                self.fail(
                    f'no .caffemodel has a field {number} of kind {kind}, '
                    f'which {self.what} has before byte {self.at}'
                )
            yield number, kind

    def varint(self, what: str) -> int:
        value = 0
        for place in range(10):
            (byte,) = self._take(1, f'{what} of {self.what}')
            value |= (byte & 127) << (7 * place)
            if byte < 128:
                return value & (2**64 - 1)
        self.fail(
            f'{what} of {self.what} is a number of more than 10 bytes, before '
            f'byte {self.at}'
        )

    def skip(self, kind: int) -> None:
        if kind == _VARINT:
            self.varint('a number')
        else:
            length = self._length(kind, 'a field')
            self.at += length

    def message(self, what: str) -> '_Message':
        length = self._length(_BYTES, what)
        start = self.at
        self.at += length
        return _Message(self.file, self.path, start, self.at, what)

    def text(self, what: str) -> str:
        data = self._take(self._length(_BYTES, what), what)
        try:
            return data.decode()
        except UnicodeDecodeError:
            self.fail(
                f'{what}, in {self.what}, is not UTF-8. '
                f'Received: {bytes(data[:80])}'
            )

    def numbers(self, kind: int, dtype: np.dtype) -> bytearray:
        """Read the values of a field, packed or a single one."""
        what = f'the values of {self.what}'
        if kind != _BYTES and kind != {4: _FOUR, 8: _EIGHT}[dtype.itemsize]:
            self.fail(f'{what} are of kind {kind}, as no numbers are')
        length = self._length(kind, what)
        if length % dtype.itemsize:
            self.fail(f'{what} are {length} bytes, which are no {dtype}')
        return self._take(length, what)

    def _length(self, kind: int, what: str) -> int:
        """Read the length of a field's value; check that the bytes exist."""
        length = {_EIGHT: 8, _FOUR: 4}.get(kind)
        if length is None:
            length = self.varint(f'the length of {what}')
        if length > self.left:
            self.fail(
                f'it breaks off at byte {self.end}, the end of {self.what}, '
                f'and {what} would be {length} bytes from byte {self.at}'
            )
        return length

    def _take(self, count: int, what: str) -> bytearray:
        if count > self.left:
            self.fail(f'it breaks off at byte {self.end}, in {what}')
        data = bytearray(count)
        self.file.seek(self.at)
        if self.file.readinto(data) < count:
            self.fail(f'it was cut at {what} while it was read')
        self.at += count
        return data
