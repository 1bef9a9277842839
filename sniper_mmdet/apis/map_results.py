"""Detections as files for a map, one an image."""

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

#: Endings of what is a file, no folder.
_FILES = '.geojson', '.gpkg'
# Boxes of which polygons are made at once.
_TOGETHER = 10_000
# Decimals that are less than a millimetre: of degrees, and of metres.
_DEGREES, _METRES = 8, 3


class MapResults:
    """Writes what is found in each image to a file for a map.

    Each box is a polygon with the properties ``class``, ``score`` and, where
    the detector tells it, ``level``. Where an image has no place in the CRS,
    they are in its pixels, which is logged.

    Args:
        path (str | Path): A file, GeoJSON (.geojson) or GeoPackage (.gpkg),
            or a folder, which gets a GeoJSON file for each image.
        classes (Sequence[str]): Names of the labels.
        crs (str): 'wgs84', longitude and latitude, as RFC 7946 wants it;
            'own', the CRS of the image, which the member "crs" names; or
            'pixels', x to the right and y down. What is no known CRS has a
            "crs" of null. Defaults to 'wgs84'.
        several (bool): Whether there are several images. Defaults to False.

    Raises:
        UserError: What is needed is not installed, or ``path`` is no file or
            folder to write to.
        ValueError: There is no such choice of ``crs``.
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
                'what is found in several images must go to a folder, a file '
                f'each. Received: {path}.'
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
            result (:obj:`DetDataSample`): Of :func:`detect`.
            name (str | PurePath): Of the image. Its file in a folder has it,
                and ``.geojson`` after it.

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
        """Polygons of some boxes after the other; at least once."""
        found = result.pred_instances.cpu()
        for start in range(0, max(len(found), 1), _TOGETHER):
            some = found[start : start + _TOGETHER]
            # Corners in turn: x1 y1, x2 y1, x2 y2, x1 y2.
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
    """What pixels become.

    Attributes:
        move (Callable): From pixels (N, 2) to what is written.
        crs (CRS | None): Of that; None if it is not known.
        digits (int): How many decimals tell it.
        members (dict): What a GeoJSON file says of it.
    """

    move: Callable[[np.ndarray], np.ndarray]
    crs: CRS | None
    digits: int
    members: dict


def _place_of(result: DetDataSample, crs: str, name: object) -> _Place:
    """What the pixels of an image become; it is logged if not as asked for."""
    pixels = _Place(lambda points: points, None, _METRES, dict(crs=None))
    if crs == 'pixels':
        return pixels
    try:
        place = _georeference(result)
        if crs == 'own':
            if place.crs is None:
                _warn(f'{name}: its CRS is not known, only its own numbers')
            metres = place.crs is not None and place.crs.is_projected
            digits = _METRES if metres else _DEGREES
            member = dict(crs=crs_member(place.crs))
            return _Place(place.to_map, place.crs, digits, member)
        from rasterio.crs import CRS

        wgs84 = CRS.from_string(WGS84)
        width, height = place.size
        ends = np.array([(0, 0), (width, 0), (0, height), (width, height)])
        place.to_map(ends, wgs84)  # whether it can be
    except (ImageError, UserError) as error:
        _warn(f'{name} is written in pixels: {error}')
        return pixels
    return _Place(lambda p: place.to_map(p, wgs84), wgs84, _DEGREES, {})


def _georeference(result: DetDataSample) -> Georeference:
    """Raises UserError or ImageError with the reason if there is none."""
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
