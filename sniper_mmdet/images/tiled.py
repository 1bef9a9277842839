"""Folders of images, written anew so that they are read by window."""

import multiprocessing
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

from sniper_mmdet.utils.choices import check_choice
from sniper_mmdet.utils.errors import UserError
from sniper_mmdet.utils.image import find_files
from sniper_mmdet.utils.progress import Progress

from .opening import require_rasterio
from .renamed import load_coco, write_renamed
from .source import ImageError

#: What tiles can be compressed by.
COMPRESSIONS = 'jpeg', 'deflate', 'zstd', 'none'
# A JPEG takes some time to begin with.
_BLOCKS = dict(jpeg=256)


class Converted(NamedTuple):
    """What became of a folder's images.

    Attributes:
        written (int): How many were written.
        skipped (int): How many were there already.
        left_out (list[str]): Why others were left out, a sentence each.
        bytes_before (int): Of the images that are written or were there.
        bytes_after (int): Of their TIFFs.
    """

    written: int
    skipped: int
    left_out: list[str]
    bytes_before: int
    bytes_after: int


def convert_folder(
    source: str | Path,
    out: str | Path,
    compress: str = 'jpeg',
    quality: int = 90,
    block: int | None = None,
    num_procs: int = 1,
    on_error: str = 'stop',
    ann: str | Path | None = None,
    out_ann: str | Path | None = None,
) -> Converted:
    """Write each image of a folder as a TIFF in tiles, with overviews.

    ``a/b.jpg`` becomes ``a/b.tif``. What is there already, whole and made in
    the same way of a file of as many bytes, is left as it is. A process has
    one image at a time in memory, whole, and twice for a moment.

    Args:
        source (str | Path): The folder, read recursively.
        out (str | Path): Folder of the TIFFs, not in ``source``.
        compress (str): 'jpeg'; or 'deflate', 'zstd', which is read faster, or
            'none', the fastest, which keep all pixels as they are, of 16 bits
            too, in larger files. Defaults to 'jpeg'.
        quality (int): Of JPEG, 1 to 100. Defaults to 90.
        block (int, optional): Sides of a tile, a multiple of 16. Defaults to
            None: 256 of JPEG, 128 of others, which are fastest.
        num_procs (int): How many processes convert. Defaults to 1.
        on_error (str): Whether to 'stop' at an image that cannot be
            converted, or to 'skip' it. Defaults to 'stop'.
        ann, out_ann (str | Path, optional): COCO file of images, which are
            named from ``source``, and where to write it with their new names.
            Images that are left out are left out of it, with what is
            annotated in them. Default to None.

    Raises:
        ImageError: An image cannot be converted.
        FileError: A file cannot be written.
        UserError: rasterio is missing, or a setting is wrong; two images
            would get one name; an annotated image is missing.
    """
    require_rasterio('writing images in tiles')
    check_choice('compress', compress, *COMPRESSIONS)
    check_choice('on_error', on_error, 'stop', 'skip')
    _check(quality in range(1, 101), 'quality must be 1 to 100', quality)
    block = _BLOCKS.get(compress, 128) if block is None else block
    rule = 'block must be a multiple of 16'
    _check(block > 0 and block % 16 == 0, rule, block)
    _check(num_procs > 0, 'num_procs must be at least 1', num_procs)
    source, out = Path(source), Path(out)
    names = new_names(source, out)
    coco = None if ann is None else load_coco(ann, source, names)
    for folder in {out / name.parent for name in names}:
        folder.mkdir(parents=True, exist_ok=True)
    convert = partial(_convert, source, out, (compress, quality, block))
    count, failed, sizes = [0, 0], {}, [0, 0]
    progress = Progress(len(names))
    # Closed at an error, so that no process goes on with other images.
    with (
        closing(progress),
        closing(_map(convert, names.items(), num_procs)) as results,
    ):
        for (name, new), result in zip(names.items(), results, strict=True):
            progress.update()
            if isinstance(result, ImageError):
                if on_error == 'stop':
                    raise result
                failed[name] = str(result)
                continue
            count[result] += 1
            for k, path in enumerate((source / name, out / new)):
                sizes[k] += path.stat().st_size
    if coco is not None:
        write_renamed(coco, out_ann, names, failed)
    return Converted(count[True], count[False], list(failed.values()), *sizes)


def new_names(source: Path, out: Path) -> dict[Path, Path]:
    """The TIFFs of a folder's images, by these; relative to their folders.

    Raises:
        UserError: There is no image, or two would get one name; or the TIFFs
            would be among the images.
    """
    names = {name: name.with_suffix('.tif') for name in find_files(source)}
    _check(names, 'there must be a folder of images', source)
    root = source.resolve()
    paths = ((out / new).resolve() for new in names.values())
    inside = any(path.is_relative_to(root) for path in paths)
    _check(not inside, f'no TIFF may be put into {source}', out)
    owners = {}
    for name, new in names.items():
        if (owner := owners.setdefault(new, name)) != name:
            raise UserError(
                f'{source / owner} and {source / name} would both be {new}: '
                'rename one of them.'
            )
    return names


def _check(holds: object, rule: str, given: object) -> None:
    if not holds:
        raise UserError(f'{rule}. Received: {given}.')


def _convert(
    source: Path,
    out: Path,
    how: tuple[str, int, int],
    name: tuple[Path, Path],
) -> bool | ImageError:
    """Whether an image was written, or why it cannot be."""
    from .tiff import write_tiled

    try:
        return write_tiled(source / name[0], out / name[1], *how)
    except ImageError as error:
        return error


def _map(function: partial, items: Iterable, num_procs: int) -> Iterator:
    """Results of a function, in order, by several processes if asked."""
    if num_procs == 1:
        yield from map(function, items)
        return
    # A fork would copy threads' locks, of GDAL and OpenCV too.
    context = multiprocessing.get_context('spawn')
    try:
        with ProcessPoolExecutor(num_procs, context) as executor:
            yield from executor.map(function, items)
    except BrokenProcessPool:
        raise UserError(
            'a process was killed, as it is when memory is used up; less is '
            f'needed with a lower num_procs. Received: {num_procs}.'
        ) from None
