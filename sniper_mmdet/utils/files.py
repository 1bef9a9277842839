"""Files that are written: their names, and whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """A file to write to that gets its name once it is whole.

    Its folder must exist. What is to be written ends as ``path`` does, and is
    removed where an error ends the context.
    """
    path = Path(path)
    part = path.with_name(f'.{os.getpid()}-{path.name}')
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: str | Path, save: Callable[[Path], object]) -> None:
    """Write a file by a function of its path; see :func:`whole_file`."""
    with whole_file(path) as part:
        save(part)


def write_figure(path: str | Path, figure: Figure) -> None:
    """Write a figure of matplotlib as a picture, whole."""
    with whole_file(path) as part:
        figure.savefig(part, dpi=100)
