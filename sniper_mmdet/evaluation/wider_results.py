"""WIDER FACE's result files: EVENT/NAME.txt, of one image each.

Its lines are the image's name, how many faces were found, and of each
``x y w h score``.
"""

import re
from collections.abc import Sequence
from pathlib import Path, PurePath

import numpy as np

from sniper_mmdet.utils.errors import UserError
from sniper_mmdet.utils.files import write_whole


def wider_name(path: str) -> str:
    """What an image is called: EVENT/NAME, of its path."""
    return '/'.join(PurePath(path).with_suffix('').parts[-2:])


def as_written(
    boxes: np.ndarray, scores: np.ndarray, decimals: int = 0
) -> np.ndarray:
    """Detections as a result file has them.

    Args:
        boxes (ndarray (D, 4)): x1, y1, x2, y2.
        scores (ndarray (D,)): Are rounded to 6 digits.
        decimals (int): Digits of boxes. Of none, corners are cut to whole
            pixels, as in the results of SSH. Defaults to 0.

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
    """Write the file of an image.

    Args:
        folder (Path): Of all results.
        name (str): EVENT/NAME.
        rows (ndarray (D, 5)): x, y, w, h, score, of :func:`as_written`.
        decimals (int): Digits of boxes. Defaults to 0.
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
    """Read what was found in each image; nothing where there is no file.

    Args:
        folder (str | Path): Has EVENT/NAME.txt.
        names (Sequence[str]): EVENT/NAME of each image.

    Returns:
        list[ndarray (D, 5)]: x, y, w, h, score.

    Raises:
        FileNotFoundError: The folder has the file of no image.
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
            f'{path}: the second line must be how many faces were found. '
            f'Received: {count!r:.100}.'
        )
    lines = [line for line in body.splitlines() if line.strip()]
    if len(lines) != int(count):
        raise UserError(
            f'{path} must have a line for each of the {int(count)} faces '
            f'that its second line tells of. Received: {len(lines)} lines.'
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
