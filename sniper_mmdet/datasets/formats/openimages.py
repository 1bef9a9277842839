"""Reads OpenImages' files: classes, hierarchy, boxes and image labels.

Boxes and labels are csv. The first line names the columns, so that V3, V4, V6
and the challenge are read in the same way. A file without such a line is that
of the Soft Sampling code, in pixels, with the sizes of images.
"""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from sniper_mmdet.utils.errors import UserError, utf8_text
from sniper_mmdet.utils.hierarchy import related_classes

from .array_pickle import load_arrays
from .csv_rows import ID, NAME, SKIPPED, Rows, read_rows

#: Attributes of a box: 1 yes, 0 no, -1 not annotated.
ATTRIBUTES = 'IsOccluded IsTruncated IsGroupOf IsDepiction IsInside'.split()
GROUP_OF = ATTRIBUTES.index('IsGroupOf')
SIDES = 'XMin', 'XMax', 'YMin', 'YMax'
BOX_FIELDS = [
    *('ImageID', 'Source', 'LabelName', 'Confidence'),
    *SIDES,
    *ATTRIBUTES,
]
LABEL_FIELDS = BOX_FIELDS[:4]
#: Columns of the csv without a header, original pixels, as published.
HEADERLESS = 'ImageID LabelName XMin YMin XMax YMax IsGroupOf height width'
HEADERLESS = HEADERLESS.split()


def read_hierarchy(path: Path | str, mids: Sequence[str]) -> np.ndarray:
    """Read which class is a kind of which: bool (C, C), [child, ancestor].

    The file is one of :func:`~sniper_mmdet.utils.hierarchy.related_classes`,
    or MMDetection's matrix for the challenge (.np).

    Raises:
        UserError: The file is another one, or a class is its own ancestor.
    """
    if Path(path).suffix in ('.np', '.npy', '.pkl'):
        return _read_matrix(path, len(mids))
    return related_classes(path, mids)


def _read_matrix(path: Path | str, count: int) -> np.ndarray:
    """MMDetection's matrix; its first row and column belong to no class."""
    try:
        found = np.load(path, allow_pickle=False)
    except ValueError:
        found = load_arrays(path)
    found = np.asarray(found)
    if found.shape != (count + 1, count + 1):
        raise UserError(
            f'{path} must hold a matrix of {count + 1} rows and columns, the '
            f'first of no class. Received: {found.shape}.'
        )
    return (found[1:, 1:] != 0) | np.eye(count, dtype=bool)


def box_rows(
    path: Path | str, mids: Sequence[str]
) -> Iterator[tuple[Rows, np.ndarray, np.ndarray, np.ndarray | None]]:
    """Read blocks of a csv of boxes.

    Yields:
        tuple: The rows; their boxes (N, 4), x1, y1, x2, y2, in shares of the
        image's sides or in pixels; their :data:`ATTRIBUTES` (N, 5), int8; and
        the width and height of each row's image (N, 2) if the boxes are in
        pixels, else None.

    Raises:
        UserError: What is wrong, with its row and column.
    """
    header = _header(path)
    if header is None:
        kinds = [ID, NAME, 0, 1, 2, 3, 4, 6, 5]
        for rows in read_rows(path, HEADERLESS, kinds, mids, False):
            told = np.full((len(rows.names), len(ATTRIBUTES)), -1, np.int8)
            told[:, GROUP_OF] = rows.numbers[:, 4]
            unknown = np.flatnonzero((rows.numbers[:, 5:] < 1).any(1))
            if len(unknown):
                width, height = rows.numbers[unknown[0], 5:].tolist()
                raise UserError(
                    f'{path}, row {rows.lines[unknown[0]]}: height and width '
                    f'of the image must be known. Received: {height:g}, '
                    f'{width:g}.'
                )
            boxes, sizes = rows.numbers[:, :4], rows.numbers[:, 5:]
            check_boxes(path, rows, boxes, sizes)
            yield rows, boxes, told, sizes
        return
    numbers = [*SIDES, *(name for name in ATTRIBUTES if name in header)]
    kinds = _kinds(path, header, numbers, SIDES)
    for rows in read_rows(path, header, kinds, mids):
        told = np.full((len(rows.names), len(ATTRIBUTES)), -1, np.int8)
        columns = [ATTRIBUTES.index(name) for name in numbers[4:]]
        told[:, columns] = rows.numbers[:, 4:]
        boxes = rows.numbers[:, [0, 2, 1, 3]]
        check_boxes(path, rows, boxes)
        yield rows, boxes, told, None


def label_rows(path: Path | str, mids: Sequence[str]) -> Iterator[Rows]:
    """Read blocks of a csv of image labels; the one number is Confidence."""
    header = _header(path)
    if header is None:
        raise UserError(
            f'{path} must begin with a line that names its columns: '
            f'{",".join(LABEL_FIELDS)}.'
        )
    kinds = _kinds(path, header, ['Confidence'], ['Confidence'])
    yield from read_rows(path, header, kinds, mids)


def _header(path: Path | str) -> list[str] | None:
    """Columns of a csv; None if its first line is a row of a box."""
    with (
        utf8_text(path),
        open(path, encoding='utf-8-sig', newline='') as file,
    ):
        first = next(csv.reader(file), None)
    if first is None:
        raise UserError(
            f'{path} must have a line that names its columns. Received: an '
            'empty file.'
        )
    if len(first) == len(HEADERLESS) and 'ImageID' not in first:
        return None
    return first


def _kinds(path, header, numbers, needed) -> list[int]:
    missing = {'ImageID', 'LabelName', *needed} - set(header)
    if missing:
        raise UserError(
            f'{path} must have the columns ImageID,LabelName,'
            f'{",".join(needed)}. Received: {",".join(header):.300}, without '
            f'{",".join(sorted(missing))}.'
        )
    known = {'ImageID': ID, 'LabelName': NAME}
    known |= {name: place for place, name in enumerate(numbers)}
    return [known.get(name, SKIPPED) for name in header]


def check_boxes(
    path: Path | str,
    rows: Rows,
    boxes: np.ndarray,
    sizes: np.ndarray | None = None,
) -> None:
    """Check that boxes have their corners in order and in the image.

    Boxes drawn by hand may stick out, by at most half of the image.

    Args:
        path (Path | str): File of the rows.
        rows (Rows): The rows, for the error.
        boxes (ndarray (N, 4)): x1, y1, x2, y2.
        sizes (ndarray (N, 2), optional): Width and height of each image.
            Defaults to None: boxes are in shares of the image's sides.

    Raises:
        UserError: A box is wrong; the error names its row.
    """
    sides = np.ones(2) if sizes is None else sizes
    sides = np.concatenate([sides, sides], -1)
    wrong = ~np.isfinite(boxes).all(1) | (boxes[:, :2] > boxes[:, 2:]).any(1)
    wrong |= (boxes < -0.5 * sides).any(1) | (boxes > 1.5 * sides).any(1)
    if wrong.any():
        first = np.flatnonzero(wrong)[0]
        unit = "in shares of the image's sides" if sizes is None else 'in it'
        raise UserError(
            f'{path}, row {rows.lines[first]}: XMin,YMin,XMax,YMax must be a '
            f'box {unit}. Received: {boxes[first].tolist()}.'
        )
