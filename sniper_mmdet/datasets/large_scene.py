"""Writes a scene of gigapixels, a COG, that holds images of a dataset."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from pycocotools.coco import COCO
from rasterio.enums import ColorInterp
from rasterio.shutil import copy
from rasterio.windows import Window

from sniper_mmdet.chips.coco import load_coco
from sniper_mmdet.utils.errors import UserError
from sniper_mmdet.utils.files import scratch_folder
from sniper_mmdet.utils.image import read_image, resize
from sniper_mmdet.utils.progress import track

from .formats.coco import CocoWriter

# Side of a tile of the file, pixels.
_BLOCK = 512
# Pixels of 0.3 m in UTM, from an invented corner.
_PLACE = Affine(0.3, 0, 400000, 0, -0.3, 5400000)
_CRS = 'EPSG:32610'
_COLOURS = ColorInterp.red, ColorInterp.green, ColorInterp.blue


def write_large_scene(
    ann: str | Path,
    image_dir: str | Path,
    out_dir: str | Path,
    side: int = 60000,
    num: int = 20,
    factor: float = 1.0,
    seed: int = 0,
) -> tuple[int, int]:
    """Write a scene that holds images of a dataset, far from each other.

    The rest has the images' mean colour with a little grain. The scene is
    written in rows of tiles: only a row and its images are in memory.

    Args:
        ann (str | Path): COCO file of the images.
        image_dir (str | Path): Their folder.
        out_dir (str | Path): Folder for ``NAME.tif`` and its COCO file
            ``NAME.json``; NAME is the name of ``ann``.
        side (int): Side of the scene, pixels. Defaults to 60000.
        num (int): Number of images in it, sampled at random. Defaults to 20.
        factor (float): Factor by which images are enlarged. Defaults to 1.0.
        seed (int): Seed of the choice of images, of their places and of the
            grain. Defaults to 0.

    Returns:
        tuple: Number of images and of boxes in the scene.

    Raises:
        OSError: An image cannot be read, or (FileError) a file cannot be
            written.
        UserError: There are too few images, or they do not fit.
        ValueError: The COCO file is broken.
    """
    source = COCO()
    source.dataset, content = load_coco(ann)
    source.createIndex()
    if len(content.images) < num:
        raise UserError(
            f'{ann} has {len(content.images)} images. Received: {num}.'
        )
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(content.images))[:num]
    images = [content.images[k] for k in chosen]
    sizes = [
        (round(one['width'] * factor), round(one['height'] * factor))
        for one in images
    ]
    places = _places(rng, side, np.max(sizes, 0), num)
    out, name = Path(out_dir), Path(ann).stem
    out.mkdir(parents=True, exist_ok=True)
    coco = CocoWriter([])
    coco.categories = source.dataset['categories']
    scene = coco.add_image(f'{name}.tif', side, side)
    for image, place in zip(images, places, strict=True):
        for one in source.imgToAnns[image['id']]:
            box = np.multiply(one['bbox'], factor)
            box[:2] += place
            ids = dict(id=len(coco.annotations) + 1, image_id=scene['id'])
            kept = {k: v for k, v in one.items() if k != 'segmentation'}
            kept.update(bbox=box.tolist(), area=float(box[2] * box[3]))
            coco.annotations.append(kept | ids)
    paths = [Path(image_dir, one['file_name']) for one in images]
    with scratch_folder(out / f'{name}.tif') as folder:
        rows = _rows(rng, side, paths, sizes, places)
        _write(folder / 'rows.tif', rows, side)
        _to_cog(folder / 'rows.tif', folder / 'scene.tif')
        coco.write(folder / 'scene.json')
        (out / f'{name}.json').unlink(missing_ok=True)
        (folder / 'scene.tif').replace(out / f'{name}.tif')
        (folder / 'scene.json').replace(out / f'{name}.json')
    return num, len(coco.annotations)


def _places(rng, side: int, largest, num: int) -> np.ndarray:
    """Corners x, y (N, 2) in cells of a grid, so that no images overlap."""
    columns, rows = (side // largest).tolist()
    if columns * rows < num:
        raise UserError(
            f'{num} images of up to {largest[0]}x{largest[1]} pixels do not '
            f'fit into a scene of {side}x{side}.'
        )
    cells = rng.permutation(columns * rows)[:num]
    cell = np.array([side // columns, side // rows])
    corners = np.stack([cells % columns, cells // columns], 1) * cell
    return corners + rng.integers(cell - largest + 1, size=(num, 2))


def _rows(rng, side, paths, sizes, places) -> Iterator[np.ndarray]:
    """Yield rows of tiles from the top: uint8 (h, W, 3), BGR."""
    first = read_image(paths[0])
    grain = rng.integers(-4, 5, (_BLOCK, _BLOCK, 3))
    tile = np.clip(first.mean((0, 1)) + grain, 0, 255).astype(np.uint8)
    empty = np.tile(tile, (1, -(-side // _BLOCK), 1))[:, :side]
    pixels = {}
    for top in range(0, side, _BLOCK):
        row = empty[: side - top].copy()
        for k, (x, y) in enumerate(places):
            width, height = sizes[k]
            start, end = max(y, top), min(y + height, top + len(row))
            if start >= end:
                pixels.pop(k, None)
                continue
            if k not in pixels:
                pixels[k] = resize(read_image(paths[k]), sizes[k])
            part = pixels[k][start - y : end - y]
            row[start - top : end - top, x : x + width] = part
        yield row


def _write(path: Path, rows: Iterator[np.ndarray], side: int) -> None:
    how = dict(driver='GTiff', dtype='uint8', count=3, crs=_CRS)
    how.update(width=side, height=side, transform=_PLACE, bigtiff='yes')
    how.update(tiled=True, blockxsize=_BLOCK, blockysize=_BLOCK)
    how.update(compress='jpeg', photometric='ycbcr', jpeg_quality=95)
    with rasterio.open(path, 'w', **how) as file:
        file.colorinterp = _COLOURS
        for top in track(range(0, side, _BLOCK)):
            row = next(rows)
            window = Window(0, top, side, len(row))
            file.write(row[..., ::-1].transpose(2, 0, 1), window=window)


def _to_cog(source: Path, path: Path) -> None:
    """Convert to a COG; GDAL makes its overviews."""
    with rasterio.Env(GDAL_CACHEMAX=2**27):
        copy(
            source,
            path,
            driver='COG',
            blocksize=_BLOCK,
            compress='jpeg',
            quality=90,
            bigtiff='yes',
            overview_resampling='average',
        )
