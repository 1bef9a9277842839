"""Parts of a scene, and files with the detections of each part."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from sniper_mmdet.chips import ImagePyramid
from sniper_mmdet.chips.tiles import Tile, cut_into_tiles, tile_overlap
from sniper_mmdet.utils.errors import UserError
from sniper_mmdet.utils.files import write_whole

# Parts begin at multiples of it, original pixels. Most rasters have blocks of
# this size.
_STEP = 256
# Size of the largest object of an open range, in multiples of its lower end.
_LARGEST = 4


def parts_of_scene(
    size: tuple[int, int],
    pyramid: ImagePyramid,
    border: float,
    part_pixels: int,
) -> list[Tile]:
    """Cut a scene into parts, original pixels, that overlap.

    The overlap is wide enough for the largest objects.

    Args:
        size (tuple[int]): (width, height) of the scene.
        pyramid (:obj:`ImagePyramid`): Pyramid of the detector. In a range
            without an upper end the largest object is four times its lower
            end, or as large as the upper ends of the other ranges.
        border (float): Border of the detector, original pixels.
        part_pixels (int): Largest number of pixels of a part.

    Raises:
        UserError: A part would be no larger than the overlap.
    """
    bounds = pyramid.bounds
    ends = [*bounds[:, 1][np.isfinite(bounds[:, 1])], *_LARGEST * bounds[:, 0]]
    overlap = tile_overlap(max(ends), border, size, 1, part_pixels)
    try:
        return cut_into_tiles((0, 0, *size), part_pixels, overlap, _STEP)
    except ValueError as error:
        told = str(error).replace('max_pixels', 'part_pixels')
        raise UserError(told.replace('of a level', 'of a scene')) from None


class PartFiles:
    """A folder with the detections of each part of a scene.

    Args:
        folder (str | Path): A folder that is new, empty, or of the same scene
            and settings.
        plan (dict): All settings that the parts depend on, as json.

    Raises:
        UserError: The folder belongs to another scene or to other settings.
    """

    def __init__(self, folder: str | Path, plan: dict) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        path, plan = self.folder / 'plan.json', json.loads(json.dumps(plan))
        if path.exists():
            known = json.loads(path.read_text())
            other = [key for key in plan if plan[key] != known.get(key)]
            if other:
                raise UserError(
                    f'{self.folder} has parts of another scene or detector: '
                    f'{", ".join(other)} differ. Choose another folder, or '
                    'remove it.'
                )
        elif any(self.folder.iterdir()):
            raise UserError(
                f'{self.folder} must be new, empty, or have parts of a scene.'
            )
        else:
            text = json.dumps(plan, indent=1)
            write_whole(path, lambda part: part.write_text(text))

    def path(self, number: int) -> Path:
        """The file of a part."""
        return self.folder / f'part_{number:06d}.npz'

    def write(self, number: int, arrays: dict[str, np.ndarray]) -> None:
        """Write the detections of a part, whole or not at all."""

        def save(path: Path) -> None:
            with path.open('wb') as file:
                np.savez(file, **arrays)

        write_whole(self.path(number), save)

    def read(self, numbers: Sequence[int]) -> Iterator[dict]:
        """Yield the detections of parts."""
        for number in numbers:
            with np.load(self.path(number)) as file:
                yield dict(file)
