"""A file cache of arrays that take long to read or to find."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from mmengine.logging import print_log

from sniper_mmdet.utils.files import FileError, claimed, write_whole

Arrays = dict[str, np.ndarray]


def cached_arrays(
    path: Path | None,
    about: dict,
    build: Callable[[], Arrays],
    is_fresh: Callable[[Arrays], bool] = lambda arrays: True,
) -> Arrays:
    """Load arrays from a file, or build them and write the file.

    Of several processes one builds, and the others wait for its file. If no
    file can be written, that is logged, and each process builds.

    Args:
        path (Path | None): The file, ``.npz``; None: no cache.
        about (dict): What the arrays depend on, numbers and text only. A file
            with another ``about`` is not used.
        build (Callable): Returns the arrays.
        is_fresh (Callable): Tests whether the arrays of a file are up to date.
    """
    if path is None:
        return build()
    text = json.dumps(about, sort_keys=True)

    def kept() -> Arrays | None:
        try:
            with np.load(path, allow_pickle=False) as file:
                if str(file['about']) != text:
                    return None
                arrays = {k: file[k] for k in file.files if k != 'about'}
        except (OSError, KeyError, ValueError, zipfile.BadZipFile):
            return None  # missing, damaged, or of another program
        return arrays if is_fresh(arrays) else None

    found = kept()
    if found is not None:
        return found
    try:
        with claimed(f'{path}.lock', path, wait=True):
            found = kept()
            if found is None:
                found = build()
                write_whole(
                    path, lambda part: np.savez(part, about=text, **found)
                )
    except FileError as error:
        print_log(f'{error} Each run builds it again.', 'current')
        found = build() if found is None else found
    return found
