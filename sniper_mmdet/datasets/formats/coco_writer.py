"""Annotations of one text file an image, written as a COCO file."""

import argparse
import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from mmengine.utils import ProgressBar

from sniper_mmdet.utils.files import write_whole
from sniper_mmdet.utils.image import IMAGE_SUFFIXES, find_files, image_size

#: How many of those that are left out are named.
_NAMED = 10


def converter_parser(doc: str, labels: str) -> argparse.ArgumentParser:
    """The arguments that all converters have.

    Args:
        doc (str): The converter's docstring.
        labels (str): What its second argument is called.
    """
    parser = argparse.ArgumentParser(
        description=doc,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'images', metavar='IMAGES', type=Path, help='folder, read recursively'
    )
    parser.add_argument(
        'labels',
        metavar=labels,
        type=Path,
        help='folder of the text files: IMAGES/a/b.jpg has a/b.txt in it',
    )
    parser.add_argument(
        '--out', required=True, type=Path, help='COCO file (.json)'
    )
    parser.add_argument(
        '--skip-broken',
        action='store_true',
        help='leave out broken lines, and images that cannot be read or lack '
        f'a text file, instead of stopping; the first {_NAMED} are named, all '
        'are counted',
    )
    return parser


def convert(
    args: argparse.Namespace,
    classes: Sequence[str],
    read_line: Callable[[str, int, int], dict | None],
    unlabelled: str = 'broken',
    repeated: str = 'kept',
) -> None:
    """Write the COCO file of a data set, whole or not at all.

    Category ids are those of the classes' order, from 1. Boxes are clipped to
    their image, in hundredths of a pixel; those left less than a pixel wide
    or high, which mmdet's CocoDataset would drop without a word, are left out.

    Args:
        args (argparse.Namespace): Of :func:`converter_parser`.
        classes (Sequence[str]): Names.
        read_line (Callable): From a line and its image's width and height to
            ``label`` (index of the class), ``box`` (x1, y1, x2, y2; original
            pixels) and further fields of the annotation; None where a line
            holds no object. Raises ValueError with what a line must be.
        unlabelled (str): What an image without a text file is: 'broken', or
            'empty'. Defaults to 'broken'.
        repeated (str): Whether a line that is in its file already is 'kept'
            or 'dropped'. Defaults to 'kept'.

    Raises:
        ValueError: What is broken, with its file and line.
    """
    if args.out.suffix != '.json':
        raise ValueError(f'--out must be a .json file. Received: {args.out}.')
    twice = [name for name, n in Counter(classes).items() if n > 1]
    if twice:
        raise ValueError(f'the class {twice[0]!r} is named twice.')
    names = find_files(args.images)
    if not names:
        raise ValueError(
            f'IMAGES must be a folder with images '
            f'({" ".join(sorted(IMAGE_SUFFIXES))}). Received: {args.images}.'
        )
    if not args.labels.is_dir():
        raise ValueError(
            f'the text files must be in a folder. Received: {args.labels}.'
        )
    texts = find_files(args.labels, {'.txt'})
    wanted = {name.with_suffix('.txt') for name in names}
    others = [name for name in texts if name not in wanted]
    if len(others) == len(texts):
        raise ValueError(
            f'{args.labels} must hold a text file of an image in '
            f'{args.images}, such as {names[0].with_suffix(".txt")}. '
            f'Received: {len(texts)} text files of other names.'
        )
    reader = _Reader(args, set(texts), read_line, unlabelled, repeated)
    bar = ProgressBar(len(names))
    try:
        for name in names:
            reader.read(name)
            bar.update()
    finally:
        # An error, too, starts on a new line.
        print(flush=True)
    if not reader.images:
        raise ValueError(
            f'each of the {len(names)} images in {args.images} is broken.'
        )
    reader.left_out['text files of no image'] = [
        str(args.labels / name) for name in others
    ]
    coco = dict(
        images=reader.images,
        annotations=reader.annotations,
        categories=[dict(id=i, name=n) for i, n in enumerate(classes, 1)],
    )
    write_json(args.out, coco)
    print(_summary(coco, reader.clipped, reader.left_out))
    print(f'{args.out} is written.')


class _Reader:
    """Images and annotations as they are read; see :func:`convert`."""

    def __init__(self, args, texts, read_line, unlabelled, repeated) -> None:
        self.args = args
        self.texts = texts
        self.read_line = read_line
        self.unlabelled = unlabelled
        self.repeated = repeated
        self.images, self.annotations = [], []
        self.clipped = 0
        #: What was left out, by what it is: each with its place.
        self.left_out = defaultdict(list)
        self._image_of = {}  # by text file

    def read(self, name: Path) -> None:
        """Read an image's size and its text file.

        Raises:
            ValueError: What is broken, if that is not to be skipped.
        """
        path = self.args.labels / name.with_suffix('.txt')
        try:
            width, height = _size(self.args.images / name)
            lines = self._lines(name, path)
        except ValueError as error:
            self._skip('broken images', error)
            return
        image = dict(
            id=len(self.images) + 1,
            file_name=name.as_posix(),
            width=width,
            height=height,
        )
        self.images.append(image)
        seen = set()
        for number, line in enumerate(lines, start=1):
            place = f'{path}, line {number}'
            if not line:
                continue
            if self.repeated == 'dropped' and line in seen:
                self.left_out['repeated lines'].append(place)
                continue
            seen.add(line)
            try:
                found = self.read_line(line, width, height)
            except ValueError as error:
                error = f'{place}: {error} Received: {line!r}.'
                self._skip('broken lines', ValueError(error))
                continue
            if found:
                self._add(found, image, place)

    def _lines(self, name: Path, path: Path) -> list[str]:
        """Lines of an image's text file."""
        if path.relative_to(self.args.labels) not in self.texts:
            if self.unlabelled == 'broken':
                raise ValueError(f'{self.args.images / name} has no {path}.')
            return []
        first = self._image_of.setdefault(path, name)
        if first != name:
            raise ValueError(
                f'{self.args.images / name} must have a text file of its own, '
                f'but {path} is also that of {first}.'
            )
        try:
            # A byte order mark, as Windows writes it, is no part of a number.
            text = path.read_text(encoding='utf-8-sig')
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(
                f'{path} cannot be read as text: {error}'
            ) from None
        return [line.strip() for line in text.splitlines()]

    def _skip(self, what: str, error: ValueError) -> None:
        if not self.args.skip_broken:
            raise error from None
        self.left_out[what].append(str(error))

    def _add(self, found: dict, image: dict, place: str) -> None:
        """Take what a line was read as, if it is in the image."""
        box = [round(v, 2) for v in found.pop('box')]
        x1, y1 = max(box[0], 0), max(box[1], 0)
        x2, y2 = min(box[2], image['width']), min(box[3], image['height'])
        w, h = round(x2 - x1, 2), round(y2 - y1, 2)
        if w < 1 or h < 1:
            self.left_out['boxes of no pixel in their image'].append(place)
            return
        self.clipped += [x1, y1, x2, y2] != box
        area = round(w * h, 4)
        if 'segmentation' in found:
            # The polygon is not clipped. Of one whose lines cross it may be
            # 0, and CocoDataset would drop it without a word.
            area = min(_polygon_area(found['segmentation'][0]), area) or area
        self.annotations.append(
            dict(
                # pycocotools takes an annotation of id 0 for none.
                id=len(self.annotations) + 1,
                image_id=image['id'],
                category_id=found.pop('label') + 1,
                bbox=[x1, y1, w, h],
                area=area,
                iscrowd=found.pop('iscrowd', 0),
                **found,
            )
        )


def _size(path: Path) -> tuple[int, int]:
    try:
        return image_size(path)
    except OSError as error:
        raise ValueError(
            f'{path} cannot be read as an image: {error}'
        ) from None


def numbers(fields: Sequence[str]) -> list[float]:
    """Text as numbers.

    Raises:
        ValueError: Not a number, or not finite.
    """
    try:
        values = [float(field) for field in fields]
    except ValueError:
        raise ValueError('must hold numbers.') from None
    if not all(map(math.isfinite, values)):
        raise ValueError('must hold finite numbers.')
    return values


def outline(points: Sequence[float]) -> dict:
    """A polygon's ``box`` and ``segmentation``.

    Args:
        points (Sequence[float]): x and y of each corner in turn, px.
    """
    x, y = points[::2], points[1::2]
    return dict(
        box=(min(x), min(y), max(x), max(y)),
        segmentation=[[round(v, 2) for v in points]],
    )


def _polygon_area(points: Sequence[float]) -> float:
    x, y = np.array(points).reshape(-1, 2).T
    return round(abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)).item() / 2, 4)


def write_json(path: Path, content: dict) -> None:
    """Write a json file, and the folders that it is in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(
        path,
        lambda part: part.write_text(json.dumps(content), encoding='utf-8'),
    )


def _summary(coco: dict, clipped: int, left_out: dict[str, list[str]]) -> str:
    """The table of categories, and what was left out."""
    boxes, ignored, filled = Counter(), Counter(), set()
    for annotation in coco['annotations']:
        kind = ignored if annotation['iscrowd'] else boxes
        kind[annotation['category_id']] += 1
        filled.add(annotation['image_id'])
    rows = [('id', 'category', 'boxes', 'ignored')]
    rows += [
        (c['id'], c['name'], boxes[c['id']], ignored[c['id']])
        for c in coco['categories']
    ]
    rows.append(('', 'all', boxes.total(), ignored.total()))
    wide = max(len(row[1]) for row in rows)
    table = [f'{r[0]:>4}  {r[1]:<{wide}}  {r[2]:>8}  {r[3]:>8}' for r in rows]
    count = len(coco['images'])
    lines = [
        *table,
        f'{count} images, {count - len(filled)} of them without a box; '
        f'{clipped} boxes clipped to their image.',
    ]
    for what, places in left_out.items():
        if places:
            lines += places[:_NAMED] + ['...'] * (len(places) > _NAMED)
            lines.append(f'{len(places)} {what} left out.')
    return '\n'.join(lines)
