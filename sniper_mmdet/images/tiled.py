"""Conversion of folders of images to tiled TIFFs."""

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

#: Compressions of tiles.
COMPRESSIONS = 'jpeg', 'deflate', 'zstd', 'none'


class Converted(NamedTuple):
    """The result of the conversion of a folder.

    Attributes:
        written (int): Number of images that were written.
        skipped (int): Number of images that were there already.
        left_out (list[str]): Reasons why images were left out, one sentence
            each.
        bytes_before (int): Bytes of the images that were written or there.
        bytes_after (int): Bytes of their TIFFs.
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
    block: int = 128,
    num_procs: int = 1,
    on_error: str = 'stop',
    ann: str | Path | None = None,
    out_ann: str | Path | None = None,
) -> Converted:
    """Write each image of a folder as a tiled TIFF with overviews.

    ``a/b.jpg`` becomes ``a/b.tif``. A TIFF that exists already stays if it is
    complete and was made in the same way from a file of the same number of
    bytes. A process holds one whole image in memory, for a moment two copies
    of it.

    Args:
        source (str | Path): The folder, read recursively.
        out (str | Path): Folder for the TIFFs, not in ``source``.
        compress (str): 'jpeg', or 'deflate', 'zstd' or 'none', which keep all
            pixels as they are, also of 16 bits, in larger files. 'zstd' is
            read faster than 'deflate', 'none' fastest. Defaults to 'jpeg'.
        quality (int): Quality of JPEG, 1 to 100. Defaults to 90.
        block (int): Sides of a tile, a multiple of 16. Defaults to 128, the
            fastest for chips of 512 px.
        num_procs (int): Number of processes. Defaults to 1.
        on_error (str): Whether to 'stop' at an image that cannot be
            converted, or to 'skip' it. Defaults to 'stop'.
        ann, out_ann (str | Path, optional): COCO file whose file names are
            relative to ``source``, and file for a copy with the new names. The
            copy lacks images that are left out, with their annotations.
            Default to None.

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
    # An error closes the results, so that no process continues.
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
    """Map a folder's images to their TIFFs; paths are relative.

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
    """Convert an image; return whether it was written, or an error."""
    from .tiff import write_tiled

    try:
        return write_tiled(source / name[0], out / name[1], *how)
    except ImageError as error:
        return error


def _map(function: partial, items: Iterable, num_procs: int) -> Iterator:
    """Yield results of a function in order, by several processes if asked."""
    if num_procs == 1:
        yield from map(function, items)
        return
    # A fork would copy locks of threads, also those of GDAL and OpenCV.
    context = multiprocessing.get_context('spawn')
    try:
        with ProcessPoolExecutor(num_procs, context) as executor:
            yield from executor.map(function, items)
    except BrokenProcessPool:
        raise UserError(
            'a process was killed, probably for lack of memory; less is '
            f'needed with a lower num_procs. Received: {num_procs}.'
        ) from None
