"""Drawn images: unique file names, and errors that do not end a run."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath

from mmengine.logging import print_log

#: Suffixes that every build of OpenCV can write in colour.
_WRITTEN = {'.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp'}


class PictureNames:
    """Gives the drawing of each image a unique file name.

    The name is that of the image, with its folders. ``.jpg``, or another
    suffix, is appended to a name whose suffix OpenCV cannot write, as
    ``a.pgm.jpg``, and a number is added to a name that is taken, as
    ``a-2.jpg``. Case is ignored, as on some file systems.
    """

    def __init__(self) -> None:
        self._taken = set()

    def __call__(
        self, image: str | PurePath, ending: str | None = None
    ) -> PurePath:
        path = name = PurePath(image)
        if ending is None and path.suffix.lower() not in _WRITTEN:
            ending = '.jpg'
        if ending:
            path = name = path.with_name(f'{path.name}{ending}')
        number = 1
        while str(name).casefold() in self._taken:
            number += 1
            name = path.with_stem(f'{path.stem}-{number}')
        self._taken.add(str(name).casefold())
        return name


@contextmanager
def drawing(what: object) -> Iterator[None]:
    """A context that logs errors of drawing and continues."""
    try:
        yield
    except Exception as error:  # errors of OpenCV and matplotlib
        reason = ' '.join(str(error).split())
        text = f'{what} could not be drawn: {type(error).__name__}: {reason}'
        print_log(text, 'current', logging.WARNING)
