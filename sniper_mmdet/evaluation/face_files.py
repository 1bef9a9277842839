"""Reads and writes annotations and results of FDDB and Pascal Faces."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from sniper_mmdet.utils.errors import UserError
from sniper_mmdet.utils.files import write_whole

#: Largest number of a face in FDDB's files. The mask of an ellipse is computed
#: pixel by pixel.
_MOST = 10**4


def read_fddb(path: str | Path, columns: int) -> dict[str, np.ndarray]:
    """Read a file of FDDB, or all files of a folder.

    A file has for each image the name, a count, and a line of numbers per
    face.

    Args:
        path (str | Path): File of results, or folder of the annotations,
            ``FDDB-fold-*-ellipseList.txt``, which are joined.
        columns (int): Numbers per face that are read: 5. Results have
            ``x y w h score``. Annotations have the major and minor radius, the
            angle and the centre, and then a 1.

    Returns:
        dict: Arrays (K, columns) by name of the image.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: A file is broken; the error names it and the line.
    """
    paths = [Path(path)]
    if paths[0].is_dir():
        paths = sorted(paths[0].glob('*ellipseList.txt'))
        if not paths:
            raise FileNotFoundError(
                f'{path} must have files such as '
                'FDDB-fold-01-ellipseList.txt. Received: none of these.'
            )
    found: dict[str, np.ndarray] = {}
    for one in paths:
        _read_fddb(one, columns, found)
    if not found:
        raise UserError(f'{path} must have images. Received: none.')
    return found


def _read_fddb(path: Path, columns: int, found: dict) -> None:
    lines = _lines(path)
    index = 0
    while index < len(lines):
        number, name = lines[index]
        if name in found:
            raise UserError(f'{path}, line {number}: {name} is listed twice.')
        count = lines[index + 1][1] if index + 1 < len(lines) else ''
        if not re.fullmatch(r'\d{1,9}', count):
            raise UserError(
                f'{path}, line {number + 1}: must be the number of faces of '
                f'{name}. Received: {count!r:.100}.'
            )
        body = lines[index + 2 : index + 2 + int(count)]
        if len(body) < int(count):
            raise UserError(
                f'{path} is truncated: {name} must have {int(count)} faces. '
                f'Received: {len(body)}.'
            )
        rows = [_numbers(path, *line, columns) for line in body]
        found[name] = np.array(rows).reshape(-1, columns)
        if (np.abs(found[name]) > _MOST).any():
            raise UserError(
                f'{path}, line {number}: the faces of {name} must have '
                f'numbers up to {_MOST}. Received: '
                f'{np.abs(found[name]).max():g}.'
            )
        index += 2 + int(count)


def write_fddb(path: str | Path, found: Mapping[str, np.ndarray]) -> None:
    """Write results in the format of FDDB's tool.

    Args:
        path (str | Path): The file.
        found (Mapping): Arrays (D, 5) by name of the image: x, y, w, h, score.
            The tool needs the images in the order of its list.
    """
    lines = []
    for name, rows in found.items():
        lines += [name, str(len(rows))]
        lines += [' '.join(f'{v:.6g}' for v in row) for row in rows.tolist()]
    text = '\n'.join(lines) + '\n'
    write_whole(path, lambda part: part.write_text(text, encoding='utf-8'))


def read_voc_results(path: str | Path) -> dict[str, np.ndarray]:
    """Read VOC's results of one class: lines ``IMAGE score x1 y1 x2 y2``.

    Returns:
        dict: Arrays (D, 5) by name of the image: x, y, w, h, score; w is x2 -
        x1.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: The file is broken; the error names the line.
    """
    rows: dict[str, list] = {}
    for number, line in _lines(Path(path)):
        name, *fields = line.rsplit(maxsplit=5)
        if len(fields) < 5:
            raise UserError(
                f'{path}, line {number}: must be "IMAGE score x1 y1 x2 y2". '
                f'Received: {line!r:.100}.'
            )
        values = _numbers(path, number, ' '.join(fields), 5)
        score, x1, y1, x2, y2 = values
        rows.setdefault(name, []).append([x1, y1, x2 - x1, y2 - y1, score])
    return {name: np.array(own) for name, own in rows.items()}


def read_voc_faces(
    folder: str | Path,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Read the faces, objects of any class, of a folder of VOC's XML files.

    Returns:
        tuple: By name of the image, faces (K, 4): x, y, w, h, where w is x2 -
        x1; and whether each is difficult, (K,).

    Raises:
        FileNotFoundError: There is no XML file.
        UserError: A file is broken.
    """
    paths = sorted(Path(folder).glob('*.xml'))
    if not paths:
        raise FileNotFoundError(f'{folder} must have XML files of PASCAL VOC.')
    faces, difficult = {}, {}
    for path in paths:
        try:
            things = ElementTree.parse(path).getroot().findall('object')
        except (SyntaxError, ValueError) as error:
            raise UserError(
                f'{path} cannot be read as XML: {error}.'
            ) from None
        sides = ('xmin', 'ymin', 'xmax', 'ymax')
        boxes = np.zeros((len(things), 4))
        for k, thing in enumerate(things):
            fields = [thing.findtext(f'bndbox/{side}') or '' for side in sides]
            text, place = ' '.join(fields), f'object {k + 1}'
            boxes[k] = _numbers(path, place, text, 4, exact=True)
        boxes[:, 2:] -= boxes[:, :2]
        faces[path.stem] = boxes
        flags = [thing.findtext('difficult') or '0' for thing in things]
        difficult[path.stem] = np.array(
            [flag.strip() == '1' for flag in flags]
        )
    return faces, difficult


def _lines(path: Path) -> list[tuple[int, str]]:
    """The lines that are not empty, with their numbers."""
    try:
        text = path.read_text(encoding='utf-8-sig')
    except UnicodeDecodeError as error:
        raise UserError(f'{path} cannot be read as text: {error}.') from None
    lines = enumerate(map(str.strip, text.splitlines()), 1)
    return [(number, line) for number, line in lines if line]


def _numbers(
    path: str | Path,
    number: int | str,
    line: str,
    count: int,
    exact: bool = False,
) -> list[float]:
    """The first numbers of a line.

    Raises:
        UserError: There are too few, or one is not finite.
    """
    fields = line.split()
    try:
        values = [float(field) for field in fields[:count]]
    except ValueError:
        values = []
    wrong = len(values) < count or (exact and len(fields) > count)
    if wrong or not np.isfinite(values).all():
        place = f'line {number}' if isinstance(number, int) else number
        raise UserError(
            f'{path}, {place}: must have {count} finite numbers. Received: '
            f'{line!r:.100}.'
        )
    return values
