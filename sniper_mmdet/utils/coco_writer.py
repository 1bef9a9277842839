"""Annotations of one text file an image, written as a COCO file."""

import argparse
import json
import math
import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from mmengine.utils import track_iter_progress
from PIL import Image

from sniper_mmdet.utils.image import image_size

IMAGE_SUFFIXES = {'.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp'}


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
        help='leave out and count broken lines, and images that cannot be '
        'read or lack a text file, instead of stopping',
    )
    return parser


def convert(
    args: argparse.Namespace,
    classes: Sequence[str],
    read_line: Callable[[str, int, int], dict | None],
    unlabelled: str = 'broken',
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

    Raises:
        ValueError: What is broken, with its file and line.
    """
    if args.out.suffix != '.json':
        raise ValueError(f'--out must be a .json file. Received: {args.out}.')
    repeated = [name for name, n in Counter(classes).items() if n > 1]
    if repeated:
        raise ValueError(f'the class {repeated[0]!r} is named twice.')
    names = find_images(args.images)
    if not args.labels.is_dir():
        raise ValueError(
            f'the text files must be in a folder. Received: {args.labels}.'
        )
    texts = {p.relative_to(args.labels) for p in args.labels.rglob('*.txt')}
    if texts.isdisjoint(name.with_suffix('.txt') for name in names):
        raise ValueError(
            f'{args.labels} must hold a text file of an image in '
            f'{args.images}, such as {names[0].with_suffix(".txt")}. '
            f'Received: {len(texts)} text files of other names.'
        )
    images, annotations, left_out = [], [], Counter()
    for name in track_iter_progress(names):
        path = args.labels / name.with_suffix('.txt')
        try:
            width, height = size_of_any(args.images / name)
            lines = []
            if path.relative_to(args.labels) in texts:
                lines = _read_lines(path)
            elif unlabelled == 'broken':
                raise ValueError(f'{args.images / name} has no {path}.')
        except ValueError:
            if not args.skip_broken:
                raise
            left_out['broken images'] += 1
            continue
        images.append(
            dict(
                id=len(images) + 1,
                file_name=name.as_posix(),
                width=width,
                height=height,
            )
        )
        for number, line in enumerate(lines, start=1):
            try:
                found = read_line(line, width, height) if line else None
            except ValueError as error:
                if not args.skip_broken:
                    raise ValueError(
                        f'{path}, line {number}: {error} Received: {line!r}.'
                    ) from None
                left_out['broken lines'] += 1
                continue
            found = found and _annotation(found, width, height, left_out)
            if found:
                # pycocotools takes an annotation of id 0 for none.
                place = dict(id=len(annotations) + 1, image_id=len(images))
                annotations.append(place | found)
    if not images:
        raise ValueError(
            f'each of the {len(names)} images in {args.images} is broken.'
        )
    left_out['text files of no image'] = len(
        texts - {name.with_suffix('.txt') for name in names}
    )
    categories = [dict(id=i, name=n) for i, n in enumerate(classes, start=1)]
    coco = dict(images=images, annotations=annotations, categories=categories)
    write_whole(args.out, coco)
    print(f'\n{_summary(coco, left_out)}\n{args.out} is written.')


def find_images(folder: Path) -> list[Path]:
    """Images in a folder and those in it, relative to it, sorted.

    Raises:
        ValueError: There is none.
    """
    found = sorted(
        path.relative_to(folder)
        for path in folder.rglob('*')
        # Archives made on a Mac hold a ._NAME beside each file.
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not path.name.startswith('.')
    )
    if not found:
        raise ValueError(
            f'IMAGES must be a folder with images '
            f'({" ".join(sorted(IMAGE_SUFFIXES))}). Received: {folder}.'
        )
    return found


def size_of_any(path: Path) -> tuple[int, int]:
    """Width and height of an image, however large.

    Raises:
        ValueError: It cannot be read.
    """
    # Nothing is decoded: pictures from the air may be as large as they like.
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        return image_size(path)
    except (OSError, SyntaxError) as error:  # Pillow's, of a broken PNG
        raise ValueError(
            f'{path} cannot be read as an image: {error}'
        ) from None
    finally:
        Image.MAX_IMAGE_PIXELS = limit


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


def write_whole(path: Path, content: dict) -> None:
    """Write a json file; what is there under its name is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f'{path.name}.{os.getpid()}.tmp')
    try:
        scratch.write_text(json.dumps(content), encoding='utf-8')
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)


def _read_lines(path: Path) -> list[str]:
    try:
        # A byte order mark, as Windows writes it, is no part of a number.
        text = path.read_text(encoding='utf-8-sig')
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f'{path} cannot be read as text: {error}') from None
    return [line.strip() for line in text.splitlines()]


def _annotation(
    found: dict, width: int, height: int, counts: Counter
) -> dict | None:
    """What a line was read as, in COCO's form; None outside the image."""
    box = [round(v, 2) for v in found.pop('box')]
    x1, y1 = max(box[0], 0), max(box[1], 0)
    x2, y2 = min(box[2], width), min(box[3], height)
    w, h = round(x2 - x1, 2), round(y2 - y1, 2)
    if w < 1 or h < 1:
        counts['boxes of no pixel in their image'] += 1
        return None
    counts['clipped'] += [x1, y1, x2, y2] != box
    return dict(
        category_id=found.pop('label') + 1,
        bbox=[x1, y1, w, h],
        area=round(w * h, 4),
        iscrowd=found.pop('iscrowd', 0),
        **found,
    )


def _summary(coco: dict, left_out: Counter) -> str:
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
    clipped = left_out.pop('clipped', 0)
    count = len(coco['images'])
    return '\n'.join(
        [
            *table,
            f'{count} images, {count - len(filled)} of them without a box; '
            f'{clipped} boxes clipped to their image.',
            *(f'{n} {what} left out.' for what, n in left_out.items() if n),
        ]
    )
