"""Pictures that are written: their names, and errors that end no run."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath

from mmengine.logging import print_log

#: Endings that OpenCV writes colours as, whatever it was built with.
_WRITTEN = {'.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp'}


class PictureNames:
    """Gives the picture of each image a name of its own.

    It is the image's own name, with its folders; ``.jpg``, or another ending,
    is put after one whose ending OpenCV cannot write, as ``a.pgm.jpg``, and a
    number into one that is taken, as ``a-2.jpg``. Upper and lower case are
    alike, as they are on some file systems.
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
    """Log an error while something is drawn, and go on: results are kept."""
    try:
        yield
    except Exception as error:  # whatever OpenCV and matplotlib raise
        reason = ' '.join(str(error).split())
        text = f'{what} could not be drawn: {type(error).__name__}: {reason}'
        print_log(text, 'current', logging.WARNING)
