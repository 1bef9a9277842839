"""Converts datasets with one text file per image."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from sniper_mmdet.utils.image import (
    IMAGE_SUFFIXES,
    find_all_files,
    find_files,
    image_size,
)
from sniper_mmdet.utils.progress import track

from .coco import CocoWriter

LineReader = Callable[[str, int, int], dict | None]


def convert_text_files(
    images: Path,
    labels: Path,
    out: Path,
    classes: Sequence[str],
    read_line: LineReader,
    skip_broken: bool = False,
    unlabelled: str = 'broken',
    repeated: str = 'kept',
) -> str:
    """Write the COCO file of a dataset, whole or not at all.

    Args:
        images (Path): Folder of the images, read recursively.
        labels (Path): Folder of the text files: ``images/a/b.jpg`` has
            ``a/b.txt`` in it.
        out (Path): The COCO file.
        classes (Sequence[str]): Names of the classes.
        read_line (Callable): Takes a line and its image's width and height,
            and returns the object, as arguments of
            :meth:`CocoWriter.add_object`; None if the line holds no object. It
            raises a ValueError that says what a line must be.
        skip_broken (bool): Whether to leave out broken lines, and images that
            cannot be read or lack a text file.
        unlabelled (str): How an image without a text file is treated: 'broken'
            or 'empty'.
        repeated (str): How a line that its file has twice is treated: 'kept'
            or 'dropped'.

    Returns:
        str: The number of boxes per class, and what was left out.

    Raises:
        ValueError: A line is broken; the error names its file and number.
    """
    if out.suffix != '.json':
        raise ValueError(f'--out must be a .json file. Received: {out}.')
    coco = CocoWriter(classes)
    texts = _Texts(images, labels, unlabelled == 'empty')

    def skip(what: str, text: str) -> None:
        if not skip_broken:
            raise ValueError(text) from None
        coco.left_out[what].append(text)

    def read(name: Path) -> None:
        try:
            size = image_size(images / name)
            lines = texts.lines(name)
        except OSError as error:
            text = f'{images / name} cannot be read as an image: {error}'
            return skip('broken images', text)
        except ValueError as error:
            return skip('broken images', str(error))
        image, seen = coco.add_image(name.as_posix(), *size), set()
        for number, line in enumerate(lines, start=1):
            place = f'{texts.path(name)}, line {number}'
            if not line:
                continue
            if repeated == 'dropped' and line in seen:
                coco.left_out['repeated lines'].append(place)
                continue
            seen.add(line)
            try:
                found = read_line(line, *size)
            except ValueError as error:
                skip('broken lines', f'{place}: {error} Received: {line!r}.')
                continue
            if found:
                coco.add_object(image, place, **found)

    for name in track(texts.images):
        read(name)
    if not coco.images:
        raise ValueError(
            f'each of the {len(texts.images)} images in {images} is broken.'
        )
    coco.left_out['files that are no image by their endings'] = texts.unknown
    coco.left_out['text files of no image'] = texts.others
    coco.write(out)
    return f'{coco.summary()}\n{out} is written.'


class _Texts:
    """The text files of images; see :func:`convert_text_files`."""

    def __init__(self, images: Path, labels: Path, may_lack: bool) -> None:
        self.folder, self.labels, self.may_lack = images, labels, may_lack
        self.images, others = find_all_files(images)
        #: Files that may be images of an unknown kind.
        self.unknown = [
            str(images / name)
            for name in others
            if name.suffix.lower() != '.txt'
        ]
        if not self.images:
            raise ValueError(
                f'IMAGES must be a folder with images '
                f'({" ".join(sorted(IMAGE_SUFFIXES))}). Received: {images}.'
            )
        if not labels.is_dir():
            raise ValueError(
                f'the text files must be in a folder. Received: {labels}.'
            )
        found = [labels / name for name in find_files(labels, {'.txt'})]
        wanted = set(map(self.path, self.images))
        self.others = [str(path) for path in found if path not in wanted]
        #: The first image of each text file.
        self.owners = dict.fromkeys(found)
        if len(self.others) == len(found):
            raise ValueError(
                f'{labels} must hold a text file of an image in {images}, '
                f'such as {self.images[0].with_suffix(".txt")}. '
                f'Received: {len(found)} text files of other names.'
            )

    def path(self, name: Path) -> Path:
        return self.labels / name.with_suffix('.txt')

    def lines(self, name: Path) -> list[str]:
        """Read the lines of an image's text file.

        Raises:
            ValueError: The file is broken, missing, or belongs to another
                image.
        """
        image, path = self.folder / name, self.path(name)
        if path not in self.owners:
            if self.may_lack:
                return []
            raise ValueError(f'{image} has no {path}.')
        first = self.owners[path] = self.owners[path] or name
        if first != name:
            raise ValueError(
                f'{image} must have a text file of its own, but {path} is '
                f'also that of {first}.'
            )
        try:
            # A byte order mark, which Windows writes, does not belong to a
            # number.
            content = path.read_text(encoding='utf-8-sig')
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(
                f'{path} cannot be read as text: {error}'
            ) from None
        return [line.strip() for line in content.splitlines()]


def numbers(fields: Sequence[str]) -> list[float]:
    """Convert text to numbers.

    Raises:
        ValueError: A field is not a number, or not finite.
    """
    try:
        values = [float(field) for field in fields]
    except ValueError:
        raise ValueError('must hold numbers.') from None
    if not all(map(math.isfinite, values)):
        raise ValueError('must hold finite numbers.')
    return values
