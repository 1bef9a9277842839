"""Files that are written: their names, and whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_whole(path: str | Path, save: Callable[[Path], object]) -> None:
    """Write a file; what is there under its name is whole.

    Args:
        path (str | Path): The file, in a folder that exists.
        save (Callable): Writes the file of the path that it is given, which
            ends as ``path`` does.
    """
    path = Path(path)
    part = path.with_name(f'.{os.getpid()}-{path.name}')
    try:
        save(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_figure(path: str | Path, figure: Figure) -> None:
    """Write a figure of matplotlib as a picture, whole."""
    write_whole(path, lambda part: figure.savefig(part, dpi=100))


def picture_name(path: str) -> str:
    """The name of a picture that can be drawn; .png if it is of no kind.

    Raises:
        ValueError: Matplotlib draws no such picture, or there is no such
            folder.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    kinds = FigureCanvasAgg.get_supported_filetypes()
    path = path if Path(path).suffix else f'{path}.png'
    if Path(path).suffix[1:].lower() not in kinds:
        raise ValueError(
            f'--out must be a picture, one of .{", .".join(sorted(kinds))}. '
            f'Received: {path}.'
        )
    if not Path(path).absolute().parent.is_dir():
        raise ValueError(
            f'--out must be in a folder that exists. Received: {path}.'
        )
    return path
