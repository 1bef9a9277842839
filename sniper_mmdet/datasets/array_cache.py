"""Arrays that take long to read or to find, kept in a file."""

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
    """Arrays out of a file, or built and kept there, whole or not at all.

    Of several processes one builds, and the others wait for its file. Where
    none can be written, that is told, and each builds.

    Args:
        path (Path | None): The file, ``.npz``; None: nothing is kept.
        about (dict): What the arrays are of: what the file says must be the
            same. Numbers and text only.
        build (Callable): Reads or finds them.
        is_fresh (Callable): Whether those of a file still hold.
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
        print_log(f'{error} It is built anew in each run.', 'current')
        found = build() if found is None else found
    return found
