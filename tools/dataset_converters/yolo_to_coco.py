"""Turn YOLO's text labels into a COCO file.

    python tools/dataset_converters/yolo_to_coco.py \
        data/mine/images/train data/mine/labels/train \
        --classes data/mine/data.yaml --out data/mine/annotations/train.json

A line is "class cx cy width height" or a polygon, "class x1 y1 x2 y2 x3 y3
...", in shares of the image's width and height; a polygon gives the box around
it and is kept in "segmentation". Pose labels, "class cx cy width height" and
keypoints, give the box only; they are read as such where data.yaml has a
kpt_shape, or with --keypoints. A line that is in its file already is dropped
and counted. An image without a text file is one without boxes. The class k of
the labels has the id k + 1.
"""

from pathlib import Path

import yaml

from sniper_mmdet.datasets.formats.coco_writer import (
    convert,
    converter_parser,
    numbers,
    outline,
)

#: How far, in shares of its sides, what is in an image may lie outside.
_MARGIN = 0.05


def read_classes(given: list[str]) -> tuple[list[str], list[int] | None]:
    """Names of classes from the command line or the file named there.

    Returns:
        tuple: The names; and the number of keypoints and of numbers for each,
        if the file says that there are.

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
        return given, None
    if not path.is_file():
        raise ValueError(
            f'--classes must be a file or names. Received: {path}.'
        )
    text = path.read_text(encoding='utf-8-sig')
    if path.suffix in ('.txt', '.names'):
        names = [line.strip() for line in text.splitlines() if line.strip()]
        keypoints = None
    else:
        names, keypoints = _read_yaml(path, text)
    if not names:
        raise ValueError(f'{path} must name a class.')
    return names, keypoints


def _read_yaml(path, text):
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
        _check_keypoints(keypoints, f'{path}: kpt_shape')
    return [str(name) for name in names], keypoints


def _check_keypoints(shape, name):
    if not (
        isinstance(shape, list)
        and len(shape) == 2
        and all(isinstance(n, int) for n in shape)
        and shape[0] > 0
        and shape[1] in (2, 3)
    ):
        raise ValueError(
            f'{name} must be the number of keypoints, and 2 or 3. '
            f'Received: {shape!r}.'
        )


def make_reader(classes, keypoints=None):
    """What reads an object of YOLO's text files; see ``convert``."""

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
        # Boxes may stick out; but nothing does by more than the image's side.
        if min(shares) < -1 or max(shares) > 2:
            raise ValueError('must be in shares of the image, not in pixels.')
        points = shares if len(shares) > 4 else shares[:2]
        if min(points) < -_MARGIN or max(points) > 1 + _MARGIN:
            raise ValueError(
                'the points of a polygon must be in the image (keypoints '
                'want kpt_shape in data.yaml, or --keypoints).'
                if len(shares) > 4
                else 'the centre must be in the image.'
            )
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
    parser.add_argument(
        '--keypoints',
        nargs=2,
        type=int,
        metavar=('K', 'D'),
        help='of pose labels: the number of keypoints, and 2, or 3 with '
        'visibility (default: kpt_shape of data.yaml)',
    )
    args = parser.parse_args()
    classes, keypoints = read_classes(args.classes)
    if args.keypoints:
        _check_keypoints(args.keypoints, '--keypoints')
        keypoints = args.keypoints
    convert(
        args,
        classes,
        make_reader(classes, keypoints),
        unlabelled='empty',
        repeated='dropped',
    )


if __name__ == '__main__':
    try:
        main()
    except (OSError, ValueError) as error:
        raise SystemExit(f'yolo_to_coco: {error}') from None
