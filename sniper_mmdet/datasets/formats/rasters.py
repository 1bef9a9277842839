"""Converts objects on a map to boxes and outlines in pixels of rasters."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import shapely

from sniper_mmdet.images import RASTER_SUFFIXES
from sniper_mmdet.images.georeference import Georeference
from sniper_mmdet.utils.errors import UserError
from sniper_mmdet.utils.image import IMAGE_SUFFIXES, find_files
from sniper_mmdet.utils.progress import track

from .coco import CocoWriter
from .geojson import CLASS_PROPERTY, MapObjects, read_map

# Pixels by which rounding may move an outline out of its image.
_ROUNDING = 0.01
# Number of parts of each side of an image, to find its bounds.
_PARTS = 20


def convert_map(
    images: Path,
    annotations: Path,
    out: Path,
    class_property: str = CLASS_PROPERTY,
    class_name: str | None = None,
) -> str:
    """Write the COCO file of rasters, whole or not at all.

    An object that lies in several images becomes an object of each of them,
    without the part outside the image. Classes are sorted by name.

    Args:
        images (Path): An image, or a folder that is read recursively.
        annotations, class_property, class_name: See :func:`read_map`.
        out (Path): The COCO file.

    Returns:
        str: How many boxes there are of each class, and what was left out.

    Raises:
        FileNotFoundError: There is no such file or folder.
        UserError: See :func:`read_map`; or no image has a place on the map, or
            no polygon lies in an image.
        ImageError: An image cannot be read.
    """
    if out.suffix != '.json':
        raise UserError(f'--out must be a .json file. Received: {out}.')
    objects = read_map(annotations, class_property, class_name)
    paths = _find(images)
    coco = CocoWriter(sorted(set(objects.classes)))
    labels = {c['name']: c['id'] - 1 for c in coco.categories}
    tree = shapely.STRtree(objects.shapes)
    missed = np.ones(len(objects.shapes), bool)
    for path in track(paths):
        raster = Georeference.of(path)
        if raster is None or raster.crs is None:
            coco.left_out['images without a CRS or a place'].append(str(path))
            continue
        name = path.relative_to(images) if images.is_dir() else path.name
        image = coco.add_image(Path(name).as_posix(), *raster.size)
        for found in _in_raster(objects, tree, raster):
            missed[found.index] = False
            count = len(coco.annotations)
            coco.add_object(
                image,
                f'{objects.places[found.index]}, in {path}',
                labels[objects.classes[found.index]],
                found.box,
                segmentation=found.rings,
            )
            coco.clipped += found.is_cut and len(coco.annotations) > count
    if not coco.images:
        raise UserError(
            f'{images} must have an image with a CRS and a place in it, as a '
            f'GeoTIFF has. Received: {len(paths)} images without.'
        )
    if missed.all():
        raise UserError(
            f'a polygon of {annotations} must lie in an image of {images}, '
            f'and none does. Received: {len(missed)} polygons within '
            f'{_bounds(objects)} of {objects.crs}.'
        )
    outside = [objects.places[index] for index in missed.nonzero()[0]]
    coco.left_out['polygons that lie in no image'] = outside
    coco.left_out['features that are no polygons'] = objects.others
    coco.write(out)
    return f'{coco.summary()}\n{out} is written.'


def _find(images: Path) -> list[Path]:
    if not images.exists():
        raise FileNotFoundError(f'{images} is neither an image nor a folder.')
    if not images.is_dir():
        return [images]
    suffixes = IMAGE_SUFFIXES | RASTER_SUFFIXES
    paths = [images / name for name in find_files(images, suffixes)]
    if not paths:
        raise UserError(
            f'{images} must be a folder with images; known are '
            f'{" ".join(sorted(suffixes))}.'
        )
    return paths


class _Outline(NamedTuple):
    """The part of an object that a raster shows, px.

    Attributes:
        index (int): Index of the object.
        box (list[float]): (x1, y1, x2, y2).
        rings (list[list[float]]): x and y of each corner in turn.
        is_cut (bool): Whether a part lies outside.
    """

    index: int
    box: list[float]
    rings: list[list[float]]
    is_cut: bool


def _in_raster(
    objects: MapObjects, tree: shapely.STRtree, raster: Georeference
) -> Iterator[_Outline]:
    """Yield the objects that lie in a raster, clipped to it."""
    around = raster.to_map(_grid(*raster.size), objects.crs)
    low, high = around.min(0), around.max(0)
    indices = np.sort(tree.query(shapely.box(*low, *high)))
    # Points far away may have no coordinates in the raster's CRS.
    margin = high - low
    shapes, _ = _cut(
        objects.shapes[indices], *(low - margin), *(high + margin)
    )
    shapes = shapely.transform(
        shapes, lambda points: raster.to_pixels(points, objects.crs)
    )
    shapes, is_cut = _cut(shapes, 0, 0, *raster.size)
    for index, shape, cut in zip(indices, shapes, is_cut, strict=True):
        parts = shapely.get_parts(shape)
        parts = parts[shapely.area(parts) > 0]  # without points and lines
        if not len(parts):
            continue
        rings = [_rounded(shapely.get_coordinates(one)[:-1]) for one in parts]
        box = _rounded(shapely.total_bounds(parts))
        yield _Outline(index, box, rings, cut)


def _rounded(pixels: np.ndarray) -> list[float]:
    # Adding 0 removes the sign of -0.
    return (pixels.round(2) + 0.0).ravel().tolist()


def _grid(width: int, height: int) -> np.ndarray:
    """A grid of points (N, 2) over an image, with its corners."""
    parts = np.linspace(0, 1, _PARTS + 1)
    x, y = np.meshgrid(parts * width, parts * height)
    return np.stack([x, y], axis=-1).reshape(-1, 2)


def _cut(
    shapes: np.ndarray, x1: float, y1: float, x2: float, y2: float
) -> tuple[np.ndarray, np.ndarray]:
    """Clip shapes to bounds; returns them, and whether a part was outside."""
    least = np.array([x1, y1, -x2, -y2]) - _ROUNDING
    is_cut = (shapely.bounds(shapes) * (1, 1, -1, -1) < least).any(1)
    shapes = shapes.copy()
    shapes[is_cut] = shapely.clip_by_rect(shapes[is_cut], x1, y1, x2, y2)
    return shapes, is_cut


def _bounds(objects: MapObjects) -> str:
    bounds = shapely.total_bounds(objects.shapes)
    return f'({", ".join(f"{value:.6g}" for value in bounds)})'
