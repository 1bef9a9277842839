"""Data sets that are annotated by one text file per image."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mmengine.utils import ProgressBar

from sniper_mmdet.utils.image import IMAGE_SUFFIXES, find_files, image_size

from .coco import CocoWriter


def convert_text_files(
    images: Path,
    labels: Path,
    out: Path,
    classes: Sequence[str],
    read_line: Callable[[str, int, int], dict | None],
    skip_broken: bool = False,
    unlabelled: str = 'broken',
    repeated: str = 'kept',
) -> str:
    """Write the COCO file of a data set, whole or not at all.

    Args:
        images (Path): Folder of the images, read recursively.
        labels (Path): Folder of the text files: ``images/a/b.jpg`` has
            ``a/b.txt`` in it.
        out (Path): The COCO file.
        classes (Sequence[str]): Names.
        read_line (Callable): From a line and its image's width and height to
            the object on it, as :meth:`CocoWriter.add_object` takes it; None
            where a line holds no object. Raises ValueError with what a line
            must be.
        skip_broken (bool): Whether broken lines are left out, and images that
            cannot be read or lack a text file. Defaults to False.
        unlabelled (str): What an image without a text file is: 'broken', or
            'empty'. Defaults to 'broken'.
        repeated (str): Whether a line that is in its file already is 'kept'
            or 'dropped'. Defaults to 'kept'.

    Returns:
        str: How many boxes there are of each class, and what was left out.

    Raises:
        ValueError: What is broken, with its file and line.
    """
    if out.suffix != '.json':
        raise ValueError(f'--out must be a .json file. Received: {out}.')
    coco = CocoWriter(classes)
    names = find_files(images)
    if not names:
        raise ValueError(
            f'IMAGES must be a folder with images '
            f'({" ".join(sorted(IMAGE_SUFFIXES))}). Received: {images}.'
        )
    if not labels.is_dir():
        raise ValueError(
            f'the text files must be in a folder. Received: {labels}.'
        )
    texts = find_files(labels, {'.txt'})
    wanted = {name.with_suffix('.txt') for name in names}
    others = [name for name in texts if name not in wanted]
    if len(others) == len(texts):
        raise ValueError(
            f'{labels} must hold a text file of an image in {images}, such as '
            f'{names[0].with_suffix(".txt")}. '
            f'Received: {len(texts)} text files of other names.'
        )
    reader = _Reader(
        images,
        labels,
        set(texts),
        read_line,
        skip_broken,
        unlabelled == 'empty',
        repeated == 'dropped',
        coco,
    )
    bar = ProgressBar(len(names))
    try:
        for name in names:
            reader.read(name)
            bar.update()
    finally:
        # An error, too, starts on a new line.
        print(flush=True)
    if not coco.images:
        raise ValueError(
            f'each of the {len(names)} images in {images} is broken.'
        )
    coco.left_out['text files of no image'] = [
        str(labels / name) for name in others
    ]
    coco.write(out)
    return f'{coco.summary()}\n{out} is written.'


@dataclass
class _Reader:
    """Reads image by image; see :func:`convert_text_files`."""

    images: Path
    labels: Path
    texts: set[Path]
    read_line: Callable
    skip_broken: bool
    may_lack_text: bool
    drops_repeated: bool
    coco: CocoWriter
    image_of: dict[Path, Path] = field(default_factory=dict)  # by text file

    def read(self, name: Path) -> None:
        """Read an image's size and its text file.

        Raises:
            ValueError: What is broken, if that is not to be skipped.
        """
        path = self.labels / name.with_suffix('.txt')
        try:
            size = self._size(name)
            lines = self._lines(name, path)
        except ValueError as error:
            self._skip('broken images', str(error))
            return
        image = self.coco.add_image(name.as_posix(), *size)
        seen = set()
        for number, line in enumerate(lines, start=1):
            place = f'{path}, line {number}'
            if not line:
                continue
            if self.drops_repeated and line in seen:
                self.coco.left_out['repeated lines'].append(place)
                continue
            seen.add(line)
            try:
                found = self.read_line(line, *size)
            except ValueError as error:
                text = f'{place}: {error} Received: {line!r}.'
                self._skip('broken lines', text)
                continue
            if found:
                self.coco.add_object(image, place, **found)

    def _size(self, name: Path) -> tuple[int, int]:
        path = self.images / name
        try:
            return image_size(path)
        except OSError as error:
            raise ValueError(
                f'{path} cannot be read as an image: {error}'
            ) from None

    def _lines(self, name: Path, path: Path) -> list[str]:
        """Lines of an image's text file."""
        if path.relative_to(self.labels) not in self.texts:
            if self.may_lack_text:
                return []
            raise ValueError(f'{self.images / name} has no {path}.')
        first = self.image_of.setdefault(path, name)
        if first != name:
            raise ValueError(
                f'{self.images / name} must have a text file of its own, '
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

    def _skip(self, what: str, text: str) -> None:
        if not self.skip_broken:
            raise ValueError(text) from None
        self.coco.left_out[what].append(text)


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
