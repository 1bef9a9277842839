"""Parts of a scene, and what was found in them, as files."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from sniper_mmdet.chips import ImagePyramid
from sniper_mmdet.chips.tiles import Tile, cut_into_tiles, tile_overlap
from sniper_mmdet.utils.errors import UserError
from sniper_mmdet.utils.files import write_whole

# Parts begin at multiples of it, original pixels: blocks of most rasters.
_STEP = 256
# The largest object of an open range: so many times its lower end.
_LARGEST = 4


def parts_of_scene(
    size: tuple[int, int],
    pyramid: ImagePyramid,
    border: float,
    part_pixels: int,
) -> list[Tile]:
    """Parts, original pixels, that overlap by what the largest objects need.

    Args:
        size (tuple[int]): (width, height) of the scene.
        pyramid (:obj:`ImagePyramid`): Of the detector. An object of a range
            that is open above is at most four times as large as its lower
            end, or else as the others' upper ends.
        border (float): Of the detector, original pixels.
        part_pixels (int): Of a part, at most.

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
    """A folder with what was found in each part of a scene.

    Args:
        folder (str | Path): New, empty, or of the same scene and settings.
        plan (dict): What parts depend on, as json has it.

    Raises:
        UserError: The folder is that of another scene or of other settings.
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
        """Write what was found, whole or not at all."""

        def save(path: Path) -> None:
            with path.open('wb') as file:
                np.savez(file, **arrays)

        write_whole(self.path(number), save)

    def read(self, numbers: Sequence[int]) -> Iterator[dict]:
        """What was found in parts."""
        for number in numbers:
            with np.load(self.path(number)) as file:
                yield dict(file)


def signature(path: str | Path) -> list[int]:
    """Size and time of a file, by which it is known again."""
    state = os.stat(path)
    return [state.st_size, state.st_mtime_ns]
