"""Reads the text file of the OpenImages challenge, as MMDetection does.

Each image has a line with its path, a line that is not read, a line with the
number of its boxes, and a line per box: "label x1 y1 x2 y2 group", with labels
from 1, in shares of the image's sides. The image's id is its file name.
"""

from collections.abc import Iterator
from pathlib import Path, PurePath

import numpy as np

from sniper_mmdet.utils.errors import UserError, utf8_text

from .csv_rows import Rows
from .openimages import ATTRIBUTES, GROUP_OF, check_boxes

_BLOCK = 1 << 16
_FORM = 'label x1 y1 x2 y2 group'


def challenge_rows(
    path: Path | str, num_classes: int
) -> Iterator[tuple[Rows, np.ndarray, np.ndarray, None]]:
    """Yield blocks of images in the form of :func:`.openimages.box_rows`.

    Raises:
        UserError: A row is wrong; the error names it.
    """
    ids, counts, boxes = [], [], []
    with utf8_text(path), open(path, encoding='utf-8-sig') as file:
        lines = enumerate(map(str.strip, file), start=1)
        for number, name in lines:
            if not name:
                continue
            next(lines, None)
            number, count = next(lines, (number, ''))
            if not count.isdigit():
                raise UserError(
                    f'{path}, row {number}: must be the number of boxes of '
                    f'{name}. Received: {count!r:.200}.'
                )
            ids.append(PurePath(name).stem.encode())
            counts.append(int(count))
            for _ in range(int(count)):
                number, line = next(lines, (number, ''))
                boxes.append(_box(path, number, line, num_classes))
            if len(ids) == _BLOCK:
                yield _block(path, ids, counts, boxes)
                ids, counts, boxes = [], [], []
    if ids:
        yield _block(path, ids, counts, boxes)


def _box(path, number, line, num_classes) -> tuple[float, ...]:
    try:
        label, *box, group = map(float, line.split())
        right = label in range(1, num_classes + 1) and group in (0, 1)
        right = right and len(box) == 4 and box[0] <= box[2]
        right = right and box[1] <= box[3]
    except ValueError:
        right = False
    if not right:
        raise UserError(
            f'{path}, row {number}: must be {_FORM}, the label 1 to '
            f'{num_classes}, the group 0 or 1. Received: {line!r:.200}.'
        )
    return (number, label, *box, group)


def _block(path, ids, counts, boxes):
    found = np.array(boxes, float).reshape(-1, 7)
    told = np.full((len(found), len(ATTRIBUTES)), -1, np.int8)
    told[:, GROUP_OF] = found[:, 6]
    names, lines = found[:, 1].astype(np.int32) - 1, found[:, 0].astype(int)
    runs = np.array(ids), np.array(counts, np.int64)
    rows = Rows(*runs, names, found[:, 2:6], None, lines)
    check_boxes(path, rows, found[:, 2:6])
    return rows, found[:, 2:6], told, None
