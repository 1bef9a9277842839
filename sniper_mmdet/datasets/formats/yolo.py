"""Reads YOLO's text labels, and the files with their class names.

A line is "class cx cy width height"; or, for a polygon, a class and x y of the
corners; or, for a pose, "class cx cy width height" and keypoints. All numbers
are shares of the image's width and height.
"""

from collections.abc import Sequence
from pathlib import Path

import yaml

from .coco import outline
from .text_files import LineReader, numbers

#: How far a point may lie outside its image, in shares of the image's sides.
_MARGIN = 0.05
_LISTS = ('.txt', '.names')
_FILES = ('.yaml', '.yml', *_LISTS)


def read_classes(given: list[str]) -> tuple[list[str], list[int] | None]:
    """Read class names from the command line, or from the file given there.

    Returns:
        tuple: The names; and, if the file has keypoints, their number and the
        numbers per keypoint.

    Raises:
        ValueError: The file does not name the classes.
    """
    path = Path(given[0])
    if len(given) > 1 or path.suffix not in _FILES:
        return given, None
    if not path.is_file():
        raise ValueError(
            f'--classes must be a file or names. Received: {path}.'
        )
    text = path.read_text(encoding='utf-8-sig')
    if path.suffix in _LISTS:
        names = [line.strip() for line in text.splitlines() if line.strip()]
        keypoints = None
    else:
        names, keypoints = _read_yaml(path, text)
    if not names:
        raise ValueError(f'{path} must name a class.')
    return names, keypoints


def _read_yaml(path: Path, text: str) -> tuple[list[str], list[int] | None]:
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f'{path} cannot be read as YAML: {error}') from None
    content = content if isinstance(content, dict) else {}
    names = content.get('names')
    if isinstance(names, dict) and set(names) == set(range(len(names))):
        names = [names[label] for label in range(len(names))]
    if not isinstance(names, list):
        raise ValueError(
            f'{path}: names must be a list, or a dict of the labels 0, 1, 2 '
            f'and so on. Received: {names!r}.'
        )
    count = content.get('nc', len(names))
    if count != len(names):
        raise ValueError(
            f'{path}: nc must be the number of names, {len(names)}. '
            f'Received: {count!r}.'
        )
    keypoints = content.get('kpt_shape')
    if keypoints is not None:
        check_keypoints(keypoints, f'{path}: kpt_shape')
    return [str(name) for name in names], keypoints


def check_keypoints(shape, name: str) -> None:
    """Check the number of keypoints, and the numbers per keypoint.

    Raises:
        ValueError: They are wrong; the error calls them ``name``.
    """
    whole = isinstance(shape, list) and all(isinstance(n, int) for n in shape)
    if not whole or len(shape) != 2 or shape[0] < 1 or shape[1] not in (2, 3):
        raise ValueError(
            f'{name} must be the number of keypoints, and 2 or 3. '
            f'Received: {shape!r}.'
        )


def make_reader(
    classes: Sequence[str], keypoints: Sequence[int] | None = None
) -> LineReader:
    """A reader of lines with these classes, see :func:`.convert_text_files`.

    Args:
        classes (Sequence[str]): Names of the classes.
        keypoints (Sequence[int], optional): For pose labels: the number of
            keypoints, and the numbers per keypoint, 2 or 3. Defaults to None.
    """

    def read_line(line: str, width: int, height: int) -> dict:
        label, *shares = numbers(line.split())
        if label not in range(len(classes)):
            raise ValueError(f'the class must be 0 to {len(classes) - 1}.')
        if keypoints:
            count = 4 + keypoints[0] * keypoints[1]
            if len(shares) != count:
                raise ValueError(
                    'must be "class cx cy width height" and keypoints: a '
                    f'class and {count} numbers.'
                )
            shares = shares[:4]
        if len(shares) != 4 and (len(shares) < 6 or len(shares) % 2):
            raise ValueError(
                'must be "class cx cy width height", or a class and the x y '
                'of three or more points.'
            )
        # Boxes may stick out, but not by more than the image's side.
        if min(shares) < -1 or max(shares) > 2:
            raise ValueError('must be in shares of the image, not in pixels.')
        points, what = shares[:2], 'the centre must be in the image.'
        if len(shares) > 4:
            points = shares
            what = (
                'the points of a polygon must be in the image (keypoints '
                'need kpt_shape in data.yaml, or --keypoints).'
            )
        if min(points) < -_MARGIN or max(points) > 1 + _MARGIN:
            raise ValueError(what)
        pixels = [s * (width, height)[i % 2] for i, s in enumerate(shares)]
        if len(pixels) > 4:
            return dict(label=int(label), **outline(pixels))
        cx, cy, w, h = pixels
        if w < 0 or h < 0:
            raise ValueError('width and height must not be negative.')
        box = (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)
        return dict(label=int(label), box=box)

    return read_line
