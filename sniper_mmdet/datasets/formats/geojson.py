"""Reads polygons on a map: GeoJSON, also before RFC 7946, and GeoPackage.

Other files that geopandas reads work, too. A feature of one or more polygons
is an object. One of its properties may be its class.
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

#: Default name of the property with the class.
CLASS_PROPERTY = 'class'
_POLYGONS = 'Polygon', 'MultiPolygon'
_JSON = '.geojson', '.json'


class MapObjects(NamedTuple):
    """Objects on a map.

    Attributes:
        crs (CRS): CRS of the coordinates.
        shapes (ndarray): shapely's polygons (N, ), one or more per object.
        classes (list[str]): Class of each object.
        places (list[str]): Place in the file of each object.
        others (list[str]): Places of features that are not polygons.
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
    """Read the polygons of a file, and fill their holes.

    Args:
        path (Path): GeoJSON, or a file that geopandas reads, such as a
            GeoPackage.
        class_property (str): The property with an object's class. Defaults to
            'class'.
        class_name (str, optional): One class for all objects instead. Defaults
            to None.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: The file cannot be read, has no known CRS or no polygon, a
            polygon lacks the property, or a package is not installed.
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
        except Exception as error:  # shapely raises several types
            raise UserError(
                f'{place} must have a geometry and properties of GeoJSON: '
                f'{type(error).__name__}: {error}'
            ) from None
        name = class_name or values.get(class_property)
        if not isinstance(name, str | int) or name == '':
            raise UserError(
                f'{place} must have its class as its property '
                f'{class_property!r}; --class-property names another one, '
                f'--class gives one class to all. Received: {name!r} among '
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
    """The outer rings of a geometry; raises if they are not finite."""
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
    except Exception as error:  # its engines raise several types
        raise UserError(f'{path} cannot be read: {error}') from None
    name = frame.crs and frame.crs.to_wkt()
    return _crs(name, path, name), frame.iterfeatures(na='null')


def _crs(name: str | None, path: Path, given: object) -> CRS:
    from rasterio.crs import CRS

    try:
        return CRS.from_user_input(name)
    except ValueError:  # rasterio's errors, too
        raise UserError(
            f'{path} must be in a CRS that is known. Received: {given!r}.'
        ) from None
