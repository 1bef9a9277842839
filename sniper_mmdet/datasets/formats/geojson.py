"""Polygons on a map: GeoJSON, of RFC 7946 or before, and what geopandas reads.

A feature that is a polygon, or several of them, is an object; one of its
properties may be its class.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import shapely
from shapely.geometry import shape

from sniper_mmdet.images.georeference import WGS84, require_rasterio
from sniper_mmdet.utils.errors import UserError

if TYPE_CHECKING:
    from rasterio.crs import CRS

#: The property that is the class, where none is named.
CLASS_PROPERTY = 'class'
_POLYGONS = 'Polygon', 'MultiPolygon'
_JSON = '.geojson', '.json'


class MapObjects(NamedTuple):
    """Objects on a map.

    Attributes:
        crs (CRS): Of the coordinates.
        shapes (ndarray): Polygons of shapely, (N, ), one or several each.
        classes (list[str]): The class of each.
        places (list[str]): Where each was read.
        others (list[str]): The same of features that are no polygons.
    """

    crs: CRS
    shapes: np.ndarray
    classes: list[str]
    places: list[str]
    others: list[str]


def read_map(
    path: Path,
    class_property: str = CLASS_PROPERTY,
    class_name: str | None = None,
) -> MapObjects:
    """Read the polygons of a file; holes in them are filled.

    Args:
        path (Path): GeoJSON, or what geopandas reads, as a GeoPackage.
        class_property (str): The property that is an object's class. Defaults
            to 'class'.
        class_name (str, optional): The class of all objects instead. Defaults
            to None.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: It cannot be read, has no known CRS or no polygon, or a
            polygon lacks the property; or what reads it is not installed.
    """
    require_rasterio(f'the CRS of {path}')
    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist.')
    read = _read_json if path.suffix.lower() in _JSON else _read_geopandas
    crs, features = read(path)
    found = MapObjects(crs, [], [], [], [])
    for number, feature in enumerate(features, start=1):
        place = f'{path}, feature {number}'
        try:
            geometry, values = feature['geometry'], feature['properties'] or {}
            if geometry is None or geometry['type'] not in _POLYGONS:
                found.others.append(place)
                continue
            found.shapes.append(_filled(geometry))
        except Exception as error:  # whatever shapely raises
            raise UserError(
                f'{place} must have a geometry and properties of GeoJSON: '
                f'{type(error).__name__}: {error}'
            ) from None
        name = class_name or values.get(class_property)
        if not isinstance(name, str | int) or name == '':
            raise UserError(
                f'{place} must have its class as its property '
                f'{class_property!r}; another is named by --class-property, '
                f'one class for all by --class. Received: {name!r} among '
                f'{", ".join(values) or "no properties"}.'
            )
        found.classes.append(str(name))
        found.places.append(place)
    if not found.shapes:
        raise UserError(
            f'{path} must have polygons. Received: {len(found.others)} '
            'features, and none is one.'
        )
    return found._replace(shapes=np.array(found.shapes))


def _filled(geometry: dict) -> shapely.MultiPolygon:
    """The outer rings of a geometry; those that are not finite are errors."""
    parts = shapely.get_parts(shapely.force_2d(shape(geometry)))
    rings = shapely.get_exterior_ring(parts)
    if not np.isfinite(shapely.get_coordinates(rings)).all():
        raise ValueError('coordinates must be finite.')
    return shapely.multipolygons(shapely.polygons(rings))


def _read_json(path: Path) -> tuple[CRS, list[dict]]:
    try:
        content = json.loads(path.read_text(encoding='utf-8-sig'))
        if content['type'] != 'FeatureCollection':
            raise ValueError(f'its type is {content["type"]!r}')
        features = list(content['features'])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f'{path} must be a FeatureCollection of GeoJSON: '
            f'{type(error).__name__}: {error}.'
        ) from None
    name = WGS84
    if 'crs' in content:
        try:
            name = content['crs']['properties']['name']
        except (KeyError, TypeError):
            name = None
    return _crs(name, path, content.get('crs')), features


def _read_geopandas(path: Path) -> tuple[CRS, Iterator[dict]]:
    if find_spec('geopandas') is None:
        raise UserError(
            f'{path} needs geopandas, which is not installed; install it '
            'with: pip install geopandas'
        )
    import geopandas

    try:
        frame = geopandas.read_file(path)
    except Exception as error:  # whatever its engines raise
        raise UserError(f'{path} cannot be read: {error}') from None
    name = frame.crs and frame.crs.to_wkt()
    return _crs(name, path, name), frame.iterfeatures(na='null')


def _crs(name: str | None, path: Path, given: object) -> CRS:
    from rasterio.crs import CRS

    try:
        return CRS.from_user_input(name)
    except ValueError:  # rasterio's too
        raise UserError(
            f'{path} must be in a CRS that is known. Received: {given!r}.'
        ) from None
