"""Finds the image files of a dataset, and their sizes, once."""

import hashlib
import os
from collections.abc import Sequence
from multiprocessing import Pool
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sniper_mmdet.utils.image import IMAGE_SUFFIXES, image_size

from .array_cache import Arrays, cached_arrays

# Number of files from which on several processes read headers.
_MANY = 20000
# Version of the cached arrays.
_VERSION = 1


class ImageIndex(NamedTuple):
    """The image files of a dataset.

    Attributes:
        folder (str): The folder of all images.
        places (ndarray (N,)): int32, index into ``ends``; -1: no file.
        ends (list[tuple[str, str]]): Relative folder, and suffix.
        sizes (ndarray (N, 2)): int32, width and height from the headers; 0:
            the header cannot be read.
    """

    folder: str
    places: np.ndarray
    ends: list[tuple[str, str]]
    sizes: np.ndarray

    def path(self, index: int, name: str) -> str:
        """Path of an image, given its name without folder and suffix."""
        folder, suffix = self.ends[self.places[index]]
        return os.path.join(self.folder, folder, name + suffix)


def find_images(
    folder: str,
    names: np.ndarray,
    known: np.ndarray | None = None,
    cache: Path | None = None,
) -> ImageIndex:
    """Find the files of images in a folder, recursively, and their sizes.

    Of several files with one name, that nearest to the folder counts. Only
    headers are read; no image is decoded.

    Args:
        folder (str): The folder to search.
        names (ndarray (N,)): Bytes, names without folder and suffix.
        known (ndarray (N, 2), optional): Known sizes; 0: unknown. Defaults to
            None: no size is known.
        cache (Path, optional): Cache file of the result, see
            :func:`.cached_arrays`. It is valid until a file is added to a
            folder or removed.
    """
    known = np.zeros((len(names), 2), int) if known is None else known
    text = hashlib.sha256(names.tobytes())
    text.update(known.tobytes())
    about = dict(version=_VERSION, images=text.hexdigest())
    about.update(folder=os.path.realpath(folder))
    found = cached_arrays(
        cache, about, lambda: _find(folder, names, known), _unchanged
    )
    ends = np.char.decode(found['ends'], 'utf-8', 'surrogateescape').tolist()
    ends = [tuple(end) for end in ends]
    return ImageIndex(folder, found['places'], ends, found['sizes'])


def _unchanged(arrays: Arrays) -> bool:
    try:
        times = [os.stat(path).st_mtime_ns for path in arrays['folders']]
    except OSError:
        return False
    return times == arrays['times'].tolist()


def _find(folder: str, names: np.ndarray, known: np.ndarray) -> Arrays:
    folders, stems, ends, numbers = _listed(folder)
    order = np.argsort(stems, kind='stable')  # the nearest first
    places = np.full(len(names), -1, np.int32)
    if len(stems):
        at = np.searchsorted(stems, names, sorter=order)
        at = np.minimum(at, len(stems) - 1)
        same = stems[order[at]] == names
        places[same] = numbers[order[at]][same]
    sizes = known.astype(np.int32)
    unknown = np.flatnonzero((sizes < 1).any(1) & (places >= 0))
    index = ImageIndex(folder, places, ends, sizes)
    paths = [index.path(k, os.fsdecode(names[k])) for k in unknown]
    sizes[unknown] = 0
    if paths:
        sizes[unknown] = _sizes(paths)
    times = [os.stat(path).st_mtime_ns for path in folders]
    encoded = [[os.fsencode(part) for part in end] for end in ends]
    return dict(
        places=places,
        sizes=sizes,
        ends=np.array(encoded, 'S').reshape(-1, 2),
        folders=np.array([os.fsencode(path) for path in folders]),
        times=np.array(times, np.int64),
    )


def _listed(folder: str) -> tuple[list, np.ndarray, list, np.ndarray]:
    """List all images below a folder, those with few folders first.

    Returns:
        tuple: The folders; the images' names, bytes; ends, (folder, suffix);
        and for each image the index of its ends.
    """
    folders, stems, numbers = [], [], []
    ends: dict[tuple[str, str], int] = {}
    level = [''] if os.path.isdir(folder) else []
    seen = set()  # links may form a cycle
    while level:
        below = []
        for relative in sorted(level):
            real = os.path.realpath(os.path.join(folder, relative))
            if real in seen:
                continue
            seen.add(real)
            folders.append(os.path.join(folder, relative))
            with os.scandir(folders[-1]) as entries:
                for entry in entries:
                    stem, suffix = os.path.splitext(entry.name)
                    if suffix.lower() in IMAGE_SUFFIXES:
                        end = relative, suffix
                        numbers.append(ends.setdefault(end, len(ends)))
                        stems.append(os.fsencode(stem))
                    elif entry.is_dir():
                        below.append(os.path.join(relative, entry.name))
        level = below
    return folders, np.array(stems, 'S'), list(ends), np.array(numbers, int)


def _sizes(paths: Sequence[str]) -> np.ndarray:
    if len(paths) < _MANY or not hasattr(os, 'fork'):
        return np.array([*map(_size, paths)], np.int32)
    with Pool(min(os.cpu_count() or 1, 16)) as pool:
        return np.array(pool.map(_size, paths, chunksize=256), np.int32)


def _size(path: str) -> tuple[int, int]:
    try:
        return image_size(path)
    except (OSError, ValueError):
        return 0, 0
