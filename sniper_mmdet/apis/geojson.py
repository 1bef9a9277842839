"""Writes polygons as GeoJSON (RFC 7946) and GeoPackage."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sniper_mmdet.utils.files import write_whole

if TYPE_CHECKING:
    from rasterio.crs import CRS

#: Polygons (N, K, 2) without a closing point, and the properties of each.
Polygons = tuple[np.ndarray, list[dict]]


def write_geojson(
    path: Path, parts: Iterable[Polygons], digits: int, **members
) -> None:
    """Write a FeatureCollection part by part, whole or not at all.

    Args:
        path (Path): The file.
        parts (Iterable[Polygons]): Only one part is in memory at a time.
        digits (int): Number of decimals of coordinates.
        members: Further members of the collection.
    """
    head = json.dumps(dict(type='FeatureCollection', **members))[:-1]

    def save(part: Path) -> None:
        with part.open('w', encoding='utf-8') as file:
            file.write(f'{head}, "features": [')
            between = '\n'
            for feature in chain.from_iterable(map(features, parts)):
                file.write(between + json.dumps(feature))
                between = ',\n'
            file.write('\n]}\n')

    def features(polygons: Polygons) -> Iterator[dict]:
        rings = closed_rings(polygons[0]).round(digits)
        for ring, properties in zip(rings, polygons[1], strict=True):
            geometry = dict(type='Polygon', coordinates=[ring.tolist()])
            yield dict(
                type='Feature', geometry=geometry, properties=properties
            )

    write_whole(path, save)


def write_gpkg(path: Path, parts: Iterable[Polygons], crs: CRS | None) -> None:
    """Write a GeoPackage with geopandas, whole or not at all."""
    import geopandas
    import shapely

    corners, properties = zip(*parts, strict=True)
    frame = geopandas.GeoDataFrame(
        list(chain.from_iterable(properties)),
        geometry=shapely.polygons(closed_rings(np.concatenate(corners))),
        crs=crs and crs.to_wkt(),
    )
    write_whole(
        path, lambda part: frame.to_file(part, driver='GPKG', layer=path.stem)
    )


def crs_member(crs: CRS | None) -> dict | None:
    """The member "crs" of GeoJSON before RFC 7946; None: CRS unknown."""
    if crs is None:
        return None
    authority = crs.to_authority()
    name = crs.to_wkt()
    if authority:
        name = f'urn:ogc:def:crs:{authority[0]}::{authority[1]}'
    return dict(type='name', properties=dict(name=name))


def closed_rings(corners: np.ndarray) -> np.ndarray:
    """Polygons (N, K, 2) as closed rings (N, K + 1, 2), counterclockwise."""
    x, y = np.moveaxis(corners, 2, 0)
    area = (x * np.roll(y, -1, 1) - y * np.roll(x, -1, 1)).sum(1)
    turned = np.where((area < 0)[:, None, None], corners[:, ::-1], corners)
    return np.concatenate([turned, turned[:, :1]], axis=1)
