"""WIDER FACE's result files: EVENT/NAME.txt, one per image.

The lines of a file are the image's name, the number of detected faces, and
``x y w h score`` per face.
"""

import re
from collections.abc import Sequence
from pathlib import Path, PurePath

import numpy as np

from sniper_mmdet.utils.errors import UserError
from sniper_mmdet.utils.files import write_whole


def wider_name(path: str) -> str:
    """The name of an image, EVENT/NAME, from its path."""
    return '/'.join(PurePath(path).with_suffix('').parts[-2:])


def as_written(
    boxes: np.ndarray, scores: np.ndarray, decimals: int = 0
) -> np.ndarray:
    """Convert detections to the rows of a result file.

    Args:
        boxes (ndarray (D, 4)): x1, y1, x2, y2.
        scores (ndarray (D,)): Scores; they are rounded to 6 decimals.
        decimals (int): Decimals of boxes. With 0, corners are truncated to
            whole pixels, as in the results of SSH. Defaults to 0.

    Returns:
        ndarray (D, 5): x, y, w, h, score.
    """
    boxes = boxes.astype(float)
    boxes = boxes.round(decimals) if decimals else np.trunc(boxes)
    boxes += 0.0  # no -0
    sides = (boxes[:, 2:] - boxes[:, :2]).round(decimals)
    scores = scores.astype(float).round(6)
    return np.column_stack([boxes[:, :2], sides, scores])


def write_wider_result(
    folder: Path, name: str, rows: np.ndarray, decimals: int = 0
) -> None:
    """Write the result file of an image.

    Args:
        folder (Path): Folder of all results.
        name (str): EVENT/NAME.
        rows (ndarray (D, 5)): x, y, w, h, score, from :func:`as_written`.
        decimals (int): Decimals of boxes. Defaults to 0.
    """
    path = folder / f'{name}.txt'
    path.parent.mkdir(parents=True, exist_ok=True)
    form = ' '.join([f'{{:.{decimals}f}}'] * 4 + ['{:.6f}'])
    lines = [PurePath(name).name, str(len(rows))]
    lines += [form.format(*row) for row in rows.tolist()]
    text = '\n'.join(lines) + '\n'
    write_whole(path, lambda part: part.write_text(text, encoding='utf-8'))


def read_wider_results(
    folder: str | Path, names: Sequence[str]
) -> list[np.ndarray]:
    """Read the detections of each image; a missing file means none.

    Args:
        folder (str | Path): Folder with EVENT/NAME.txt.
        names (Sequence[str]): EVENT/NAME of each image.

    Returns:
        list[ndarray (D, 5)]: x, y, w, h, score.

    Raises:
        FileNotFoundError: The folder has no file of any image.
        UserError: A file is broken, or has a number that is not finite.
    """
    paths = [Path(folder, f'{name}.txt') for name in names]
    there = [path.is_file() for path in paths]
    if not any(there):
        raise FileNotFoundError(
            f'{folder} must have the result files of WIDER FACE, such as '
            f'{names[0]}.txt. Received: a file of none of {len(names)} images.'
        )
    return [
        _read(path) if is_file else np.zeros((0, 5))
        for path, is_file in zip(paths, there, strict=True)
    ]


def _read(path: Path) -> np.ndarray:
    try:
        text = path.read_text(encoding='utf-8-sig')
    except UnicodeDecodeError as error:
        raise UserError(f'{path} cannot be read as text: {error}.') from None
    if not text.strip():
        return np.zeros((0, 5))
    _, _, body = text.lstrip().partition('\n')
    count, _, body = body.partition('\n')
    if not re.fullmatch(r'\d{1,9}', count.strip()):
        raise UserError(
            f'{path}: the second line must be the number of faces. '
            f'Received: {count!r:.100}.'
        )
    lines = [line for line in body.splitlines() if line.strip()]
    if len(lines) != int(count):
        raise UserError(
            f'{path} must have a line for each of the {int(count)} faces of '
            f'its second line. Received: {len(lines)} lines.'
        )
    try:
        rows = np.array([line.split() for line in lines], float)
        rows = rows.reshape(-1, 5)
    except ValueError:
        rows = np.full((1, 5), np.nan)
    if not np.isfinite(rows).all():
        raise UserError(
            f'{path}: a line must be "x y w h score", finite numbers.'
        )
    return rows
