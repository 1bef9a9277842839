"""Turn YOLO's text labels into a COCO file.

    python tools/dataset_converters/yolo_to_coco.py \
        data/mine/images/train data/mine/labels/train \
        --classes data/mine/data.yaml --out data/mine/annotations/train.json

A line is "class cx cy width height" or a polygon, "class x1 y1 x2 y2 x3 y3
...", in shares of the image's width and height; a polygon gives the box around
it and is kept in "segmentation". An image without a text file is one without
boxes. The class k of the labels has the id k + 1.
"""

from pathlib import Path

import yaml

from sniper_mmdet.utils.coco_writer import (
    convert,
    converter_parser,
    numbers,
    outline,
)


def read_classes(given: list[str]) -> list[str]:
    """Names of classes from the command line or the file named there.

    Raises:
        ValueError: The file does not name them.
    """
    path = Path(given[0])
    if len(given) > 1 or path.suffix not in (
        '.yaml',
        '.yml',
        '.txt',
        '.names',
    ):
        return given
    if not path.is_file():
        raise ValueError(
            f'--classes must be a file or names. Received: {path}.'
        )
    text = path.read_text(encoding='utf-8-sig')
    if path.suffix in ('.txt', '.names'):
        names = [line.strip() for line in text.splitlines() if line.strip()]
    else:
        names = _read_yaml(path, text)
    if not names:
        raise ValueError(f'{path} must name a class.')
    return names


def _read_yaml(path, text):
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f'{path} cannot be read as YAML: {error}') from None
    names = content.get('names') if isinstance(content, dict) else None
    if isinstance(names, dict) and set(names) == set(range(len(names))):
        names = [names[label] for label in range(len(names))]
    if not isinstance(names, list):
        raise ValueError(
            f'{path}: names must be a list, or a dict of the labels 0, 1, 2 '
            f'and so on. Received: {names!r}.'
        )
    return [str(name) for name in names]


def make_reader(classes):
    """What reads an object of YOLO's text files; see ``convert``."""

    def read_line(line: str, width: int, height: int) -> dict:
        label, *shares = numbers(line.split())
        if label not in range(len(classes)):
            raise ValueError(f'the class must be 0 to {len(classes) - 1}.')
        if len(shares) != 4 and (len(shares) < 6 or len(shares) % 2):
            raise ValueError(
                'must be "class cx cy width height", or a class and the x y '
                'of three or more points.'
            )
        # Boxes may stick out; but nothing does by more than the image's side.
        if min(shares) < -1 or max(shares) > 2:
            raise ValueError('must be in shares of the image, not in pixels.')
        pixels = [
            s * (height if i % 2 else width) for i, s in enumerate(shares)
        ]
        if len(pixels) > 4:
            return dict(label=int(label), **outline(pixels))
        cx, cy, w, h = pixels
        if w < 0 or h < 0:
            raise ValueError('width and height must not be negative.')
        box = (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)
        return dict(label=int(label), box=box)

    return read_line


def main():
    parser = converter_parser(__doc__, 'LABELS')
    parser.add_argument(
        '--classes',
        nargs='+',
        required=True,
        metavar='NAME',
        help='names of the classes in the order of their labels, or a file '
        "of them: data.yaml with 'names', or .txt or .names with one a line",
    )
    args = parser.parse_args()
    classes = read_classes(args.classes)
    convert(args, classes, make_reader(classes), unlabelled='empty')


if __name__ == '__main__':
    try:
        main()
    except (OSError, ValueError) as error:
        raise SystemExit(f'yolo_to_coco: {error}') from None
