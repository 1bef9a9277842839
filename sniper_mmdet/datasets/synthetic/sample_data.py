"""The sample dataset: scenes of shapes, and their COCO files."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from sniper_mmdet.utils.files import (
    FileError,
    scratch_folder,
    why_not_written,
)
from sniper_mmdet.utils.progress import track

from ..formats.coco import CocoWriter
from .scenes import draw_scene
from .shapes import CLASSES, mean_area

#: Raise it with any change of the files that the same settings give.
VERSION = 1
SPLITS = ('train', 'val')
#: Share of an image that boxes can fill before random placement fails.
MAX_FILL = 0.35


@dataclass(frozen=True)
class SampleSettings:
    """Settings that decide the content of a sample dataset.

    Args:
        train (int): Number of training images.
        val (int): Number of validation images.
        seed (int): Seed of the random numbers.
        size (Sequence[int]): Least and largest side of an image, px.
        objects (Sequence[int]): Least and largest number of objects per image.
        max_size (int): Size of the largest object, px: the square root of its
            box's area.

    Raises:
        ValueError: A setting is out of bounds.
    """

    train: int = 120
    val: int = 24
    seed: int = 0
    size: Sequence[int] = (1000, 1600)
    objects: Sequence[int] = (8, 20)
    max_size: int = 400

    def __post_init__(self) -> None:
        for name, least in (('train', 1), ('val', 1), ('seed', 0)):
            value = getattr(self, name)
            if value < least:
                raise ValueError(
                    f'--{name} must be at least {least}. Received: {value}.'
                )
        for name, least, most in (('size', 128, 20000), ('objects', 1, None)):
            low, high = getattr(self, name)
            if not least <= low <= high <= (most or high):
                limit = f' and at most {most}' if most else ''
                raise ValueError(
                    f'--{name} must be LOW HIGH with LOW <= HIGH, at least '
                    f'{least}{limit}. Received: {low} {high}.'
                )
        side = self.size[0]
        if not 32 <= self.max_size <= 0.8 * side:
            raise ValueError(
                '--max-size must be at least 32 and at most 0.8 of the lower '
                f'--size, {int(0.8 * side)}. Received: {self.max_size}.'
            )
        most = int(MAX_FILL * side**2 / mean_area(self.max_size))
        if self.objects[1] > most:
            raise ValueError(
                f'--objects must be at most {most}, or they do not fit '
                '(larger images by --size or smaller objects by --max-size '
                f'hold more). Received: {self.objects[1]}.'
            )


def write_sample_data(
    out: Path, settings: SampleSettings, overwrite: bool = False
) -> bool:
    """Draw a dataset and write it, whole or not at all.

    The dataset has the folder ``images``, ``train.json``, ``val.json`` and
    ``settings.json``. The same settings give the same files.

    Args:
        out (Path): The folder of the dataset.
        settings (SampleSettings): Settings of the dataset.
        overwrite (bool): Whether to delete the folder, with all its content,
            if it holds anything else.

    Returns:
        bool: Whether the dataset was written; False if it existed already.

    Raises:
        FileError: The folder cannot be written.
        ValueError: The folder holds something else, and ``overwrite`` is
            False.
    """
    out = out.resolve()
    text = json.dumps(dict(version=VERSION, **asdict(settings)))
    try:
        if _is_done(out, text, overwrite):
            return False
        out.parent.mkdir(parents=True, exist_ok=True)
        # A folder beside it, so that a rename makes the whole set appear.
        with scratch_folder(out) as folder:
            part = folder / 'new'
            (part / 'images').mkdir(parents=True)
            for split in SPLITS:
                _write_split(part, split, settings)
            (part / 'settings.json').write_text(text)
            if out.exists():
                out.rename(folder / 'old')
            part.rename(out)
    except OSError as error:
        reason = why_not_written(error) or error
        raise FileError(f'OUT_DIR {out}', reason) from None
    return True


def _is_done(out: Path, text: str, overwrite: bool) -> bool:
    """Test whether the folder already holds these files."""
    if not out.exists():
        return False
    try:
        found = json.loads((out / 'settings.json').read_text())
    except (OSError, ValueError):
        found = None
    if found == json.loads(text):
        return True
    if not out.is_dir() or Path.cwd().is_relative_to(out):
        raise ValueError(
            'OUT_DIR must not be a file or hold the current '
            f'folder. Received: {out}.'
        )
    if not overwrite and any(out.iterdir()):
        what = 'is no sample dataset'
        if found is not None:
            what = 'holds a sample dataset of other settings'
        raise ValueError(
            f'OUT_DIR {what}: choose another one, or delete it '
            f'and all it holds by --overwrite. Received: {out}.'
        )
    return False


def _write_split(folder: Path, split: str, settings: SampleSettings) -> None:
    """Draw the images of a split, and write them and their COCO file."""
    coco = CocoWriter(tuple(CLASSES))
    for index in track(range(getattr(settings, split))):
        # Each image has its own random stream: further images do not change
        # it.
        rng = np.random.default_rng(
            [settings.seed, SPLITS.index(split), index]
        )
        scene = draw_scene(
            rng, settings.size, settings.objects, settings.max_size
        )
        path = folder / 'images' / f'{split}_{index:05d}.jpg'
        quality = cv2.IMWRITE_JPEG_QUALITY, 90
        path.write_bytes(cv2.imencode('.jpg', scene.image, quality)[1])
        coco.add_image(path.name, *scene.image.shape[1::-1])
        objects = scene.labels, scene.boxes, scene.outlines
        for found in map(to_annotation, *objects):
            ids = dict(id=len(coco.annotations) + 1, image_id=index + 1)
            coco.annotations.append(ids | found)
    info = dict(description='Drawn by make_sample_data.py')
    coco.write(folder / f'{split}.json', info=info, licenses=[])


def to_annotation(
    label: int, box: np.ndarray, outline: list[np.ndarray]
) -> dict:
    """A COCO annotation without ids; a seam connects the hole of a ring."""
    x1, y1, x2, y2 = (round(float(v), 2) for v in box)
    ends = [np.vstack([c, c[:1]]) for c in outline]
    polygon = outline[0] if len(outline) == 1 else np.vstack(ends)
    areas = [cv2.contourArea(c.astype(np.float32)) for c in outline]
    return dict(
        category_id=label + 1,
        iscrowd=0,
        bbox=[x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)],
        area=round(areas[0] - sum(areas[1:]), 2),
        segmentation=[polygon.ravel().round(2).tolist()],
    )
