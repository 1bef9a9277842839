"""Reader of the .mat files of WIDER FACE's evaluation tool."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from .errors import UserError
from .mat_files import Value, read_mat

#: Attributes of a face besides its box; 1 means that it holds, 2 that it holds
#: strongly.
ATTRIBUTES = (
    'blur',
    'expression',
    'illumination',
    'invalid',
    'occlusion',
    'pose',
)


class WiderMat(NamedTuple):
    """The images of a file, in its order."""

    names: list[str]  # EVENT/NAME, without a suffix
    boxes: list[np.ndarray]  # (K, 4) of each image: x, y, w, h
    attributes: dict[str, list[np.ndarray]]  # (K,), int, of those it has
    counted: list[np.ndarray] | None  # (K,), bool; None: it has no gt_list


def read_wider_mat(path: str | Path) -> WiderMat:
    """Read a file of faces: ``wider_face_val.mat``, ``wider_easy_val.mat``.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: The file is broken, or of another kind.
    """
    return _Reader(path, read_mat(path)).read()


class _Reader:
    def __init__(self, path: str | Path, content: dict[str, Value]) -> None:
        self.path, self.content = path, content

    def read(self) -> WiderMat:
        events, files = self._cells('event_list'), self._cells('file_list')
        self._require_as_many('file_list', files, events)
        names, counts = [], []
        for event, own in zip(events, files, strict=True):
            stems = list(map(self._text, self._list('file_list', own)))
            names += [f'{self._text(event)}/{stem}' for stem in stems]
            counts.append(len(stems))
        if len(set(names)) < len(names):
            raise UserError(f'{self.path} names an image twice.')
        boxes = self._by_image('face_bbx_list', counts)
        boxes = [self._boxes(*pair) for pair in zip(names, boxes, strict=True)]
        faces = list(zip(names, boxes, strict=True))
        attributes = {}
        for name in ATTRIBUTES:
            if f'{name}_label_list' in self.content:
                values = self._by_image(f'{name}_label_list', counts)
                attributes[name] = [
                    self._labels(name, *face, own)
                    for face, own in zip(faces, values, strict=True)
                ]
        counted = None
        if 'gt_list' in self.content:
            lists = self._by_image('gt_list', counts)
            counted = [
                self._counted(*face, own)
                for face, own in zip(faces, lists, strict=True)
            ]
        return WiderMat(names, boxes, attributes, counted)

    def _cells(self, name: str) -> list[Value]:
        return self._list(name, self.content.get(name))

    def _list(self, name: str, found: Value | None) -> list[Value]:
        # MATLAB saves empty cells as an empty array.
        if isinstance(found, np.ndarray) and not found.size:
            return []
        if not isinstance(found, list):
            raise UserError(
                f'{self.path} must have the cells {name}, as the files of '
                f"WIDER FACE's tool have. Received: {list(self.content)}."
            )
        return found

    def _by_image(self, name: str, counts: list[int]) -> list[Value]:
        events = self._cells(name)
        self._require_as_many(name, events, counts)
        found = []
        for cells, count in zip(events, counts, strict=True):
            cells = self._list(name, cells)
            self._require_as_many(name, cells, range(count))
            found += list(cells)
        return found

    def _require_as_many(self, name, found, others) -> None:
        if len(found) != len(others):
            raise UserError(
                f'{self.path}: {name} must have as many cells as event_list '
                f'and file_list. Received: {len(found)} and {len(others)}.'
            )

    def _text(self, cell: Value) -> str:
        if isinstance(cell, list) and len(cell) == 1:
            return self._text(cell[0])
        if not isinstance(cell, str):
            raise UserError(
                f'{self.path}: event_list and file_list must hold names. '
                f'Received: {cell!r:.100}.'
            )
        return cell

    def _numbers(self, name: str, values: Value) -> np.ndarray:
        if not isinstance(values, np.ndarray) or not np.isfinite(values).all():
            raise UserError(f'{self.path}: {name} must have finite numbers.')
        return values

    def _boxes(self, name: str, values: Value) -> np.ndarray:
        values = self._numbers(name, values)
        if values.size and values.shape[1:] != (4,):
            raise UserError(
                f'{self.path}: the faces of {name} must be rows of x, y, w, '
                f'h. Received: an array of {values.shape}.'
            )
        return values.reshape(-1, 4)

    def _labels(self, label, name, boxes, values) -> np.ndarray:
        values = self._numbers(name, values).ravel()
        if len(values) != len(boxes):
            raise UserError(
                f'{self.path}: {label}_label_list must have a value for each '
                f'face of {name}. Received: {len(values)} for {len(boxes)}.'
            )
        return values.astype(int)

    def _counted(self, name, boxes, values) -> np.ndarray:
        values = self._numbers(name, values).ravel()
        counted = np.zeros(len(boxes), bool)
        if values.size and not set(values) <= set(range(1, len(boxes) + 1)):
            raise UserError(
                f'{self.path}: gt_list must have numbers of the '
                f'{len(boxes)} faces of {name}, from 1 on. Received: '
                f'{values.tolist()!r:.100}.'
            )
        counted[values.astype(int) - 1] = True
        return counted
