"""Writes detections as files for a map, one per image."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from mmdet.structures import DetDataSample
from mmengine.logging import print_log

from sniper_mmdet.images import ImageError
from sniper_mmdet.images.georeference import (
    WGS84,
    Georeference,
    require_rasterio,
)
from sniper_mmdet.utils.choices import check_choice
from sniper_mmdet.utils.errors import UserError

from .geojson import Polygons, crs_member, write_geojson, write_gpkg

if TYPE_CHECKING:
    from rasterio.crs import CRS

#: Endings of files; any other path is a folder.
_FILES = '.geojson', '.gpkg'
# Number of boxes that are made polygons at once.
_TOGETHER = 10_000
# Decimals of degrees, and of metres: the last is below a millimetre.
_DEGREES, _METRES = 8, 3


class MapResults:
    """Writes the detections of each image to a file for a map.

    Each box is a polygon with the properties ``class``, ``score`` and, if the
    detector reports it, ``level``. If an image has no place in the CRS, the
    polygons are in pixels of the image, and a warning is logged.

    Args:
        path (str | Path): A GeoJSON file (.geojson), a GeoPackage (.gpkg), or
            a folder, which gets a GeoJSON file per image.
        classes (Sequence[str]): Names of the labels.
        crs (str): 'wgs84': longitude and latitude, as RFC 7946 demands; 'own':
            the CRS of the image, which the member "crs" names; or 'pixels': x
            to the right and y down. "crs" is null if the CRS is not known.
            Defaults to 'wgs84'.
        several (bool): Whether there are several images. Defaults to False.

    Raises:
        UserError: A package is not installed, or ``path`` is neither a file
            nor a folder to write to.
        ValueError: ``crs`` is none of its choices.
    """

    def __init__(
        self,
        path: str | Path,
        classes: Sequence[str],
        crs: str = 'wgs84',
        several: bool = False,
    ) -> None:
        self.path, self.classes, self.crs = Path(path), classes, crs
        check_choice('crs', crs, 'wgs84', 'own', 'pixels')
        if crs != 'pixels':
            require_rasterio(f'a map in the CRS {crs!r}')
        suffix = self.path.suffix.lower()
        self.is_file = suffix in _FILES
        if suffix == '.gpkg' and find_spec('geopandas') is None:
            raise UserError(
                f'{path} needs geopandas, which is not installed; install it '
                'with: pip install geopandas'
            )
        if self.is_file and several:
            raise UserError(
                'detections of several images must go to a folder, one file '
                f'per image. Received: {path}.'
            )
        wrong = self.path.is_dir() if self.is_file else self.path.is_file()
        if wrong or suffix == '.json':
            raise UserError(
                f'a map must be a file ({" or ".join(_FILES)}) or a folder. '
                f'Received: {path}.'
            )

    def add(self, result: DetDataSample, name: str | PurePath) -> Path:
        """Write the file of one image, whole or not at all.

        Args:
            result (:obj:`DetDataSample`): A result of :func:`detect`.
            name (str | PurePath): Name of the image. Its file in a folder is
                called ``{name}.geojson``.

        Returns:
            Path: The file.
        """
        path = self.path if self.is_file else self.path / f'{name}.geojson'
        path.parent.mkdir(parents=True, exist_ok=True)
        place = _place_of(result, self.crs, name)
        parts = self._polygons(result, place.move)
        if path.suffix.lower() == '.gpkg':
            write_gpkg(path, parts, place.crs)
        else:
            write_geojson(path, parts, place.digits, **place.members)
        return path

    def _polygons(
        self, result: DetDataSample, move: Callable
    ) -> Iterator[Polygons]:
        """Yield the polygons in groups of boxes, at least one group."""
        found = result.pred_instances.cpu()
        for start in range(0, max(len(found), 1), _TOGETHER):
            some = found[start : start + _TOGETHER]
            # The corners are x1 y1, x2 y1, x2 y2, x1 y2.
            corners = some.bboxes.double().numpy()[:, [0, 1, 2, 1, 2, 3, 0, 3]]
            corners = move(corners.reshape(-1, 2)).reshape(-1, 4, 2)
            columns = {
                'class': [self.classes[k] for k in some.labels.tolist()],
                'score': [round(score, 6) for score in some.scores.tolist()],
            }
            if 'levels' in some:
                columns['level'] = some.levels.tolist()
            yield (
                corners,
                [
                    {key: column[row] for key, column in columns.items()}
                    for row in range(len(some))
                ],
            )


class _Place(NamedTuple):
    """The coordinates of the pixels of an image.

    Attributes:
        move (Callable): Turns pixels (N, 2) into coordinates.
        crs (CRS | None): CRS of the coordinates; None if it is not known.
        digits (int): Number of decimals of a coordinate.
        members (dict): Members of the GeoJSON file about the coordinates.
    """

    move: Callable[[np.ndarray], np.ndarray]
    crs: CRS | None
    digits: int
    members: dict


def _place_of(result: DetDataSample, crs: str, name: object) -> _Place:
    """Choose coordinates for an image; a warning if not those asked for."""
    pixels = _Place(lambda points: points, None, _METRES, dict(crs=None))
    if crs == 'pixels':
        return pixels
    try:
        place = _georeference(result)
        if crs == 'own':
            if place.crs is None:
                _warn(f'{name}: its CRS is unknown; its numbers are kept')
            metres = place.crs is not None and place.crs.is_projected
            digits = _METRES if metres else _DEGREES
            member = dict(crs=crs_member(place.crs))
            return _Place(place.to_map, place.crs, digits, member)
        from rasterio.crs import CRS

        wgs84 = CRS.from_string(WGS84)
        width, height = place.size
        ends = np.array([(0, 0), (width, 0), (0, height), (width, height)])
        place.to_map(ends, wgs84)  # raises if it cannot
    except (ImageError, UserError) as error:
        _warn(f'{name} is written in pixels: {error}')
        return pixels
    return _Place(lambda p: place.to_map(p, wgs84), wgs84, _DEGREES, {})


def _georeference(result: DetDataSample) -> Georeference:
    """The georeference; a UserError or ImageError says why there is none."""
    if result.img_path is None or 'frame_id' in result:
        raise UserError('an array or a frame has no place on a map.')
    place = Georeference.of(result.img_path)
    if place is None:
        raise UserError('it has no georeference.')
    if place.size != tuple(result.ori_shape[::-1]):
        raise UserError(
            f'its file has {place.size[0]}x{place.size[1]} px, but it was '
            f'read as {result.ori_shape[1]}x{result.ori_shape[0]}.'
        )
    return place


def _warn(text: str) -> None:
    print_log(text, 'current', logging.WARNING)
