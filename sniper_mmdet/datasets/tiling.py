"""Large scenes that are joined from the images of a COCO data set."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from mmengine.utils import track_iter_progress
from pycocotools.coco import COCO

from .formats.coco import write_json


def tile_images(
    ann: str | Path,
    image_dir: str | Path,
    out_dir: str | Path,
    grid: Sequence[int] = (3, 3),
    seed: int = 0,
) -> tuple[int, int, int]:
    """Join images, drawn at random, in cells of the size of the largest.

    What a smaller image leaves of its cell is black; images that fill no
    whole scene are left out.

    Args:
        ann (str | Path): COCO file of the images.
        image_dir (str | Path): Their folder.
        out_dir (str | Path): Gets ``images/NAME_0000.png`` and so on, and
            their COCO file, ``NAME.json``, NAME being that of ``ann``.
        grid (Sequence[int]): Columns and rows. Defaults to (3, 3).
        seed (int): Of the order. Defaults to 0.

    Returns:
        tuple: Number of scenes, of boxes in them, and of images left out.

    Raises:
        OSError: An image cannot be read, or a scene not be written.
        ValueError: There are too few images, or one of another size than the
            COCO file says.
    """
    source = COCO(ann)
    found = list(source.imgs.values())
    columns, rows = grid
    count = columns * rows
    if len(found) < count:
        raise ValueError(
            f'{ann} has {len(found)} images, and a scene takes {count}.'
        )
    order = np.random.default_rng(seed).permutation(len(found))
    width, height = (
        max(image[key] for image in found) for key in ('width', 'height')
    )
    corners = [
        (x * width, y * height) for y in range(rows) for x in range(columns)
    ]
    out, name = Path(out_dir), Path(ann).stem
    (out / 'images').mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for i in track_iter_progress(range(len(found) // count)):
        image = dict(
            id=i + 1,
            file_name=f'{name}_{i:04d}.png',
            width=columns * width,
            height=rows * height,
        )
        images.append(image)
        scene = np.zeros((image['height'], image['width'], 3), np.uint8)
        for (x, y), j in zip(corners, order[i * count :], strict=False):
            pixels = _read(Path(image_dir), found[j], ann)
            h, w = pixels.shape[:2]
            scene[y : y + h, x : x + w] = pixels
            annotations += [
                # pycocotools takes an annotation of id 0 for none.
                dict(_moved(a, x, y), id=len(annotations) + k, image_id=i + 1)
                for k, a in enumerate(source.imgToAnns[found[j]['id']], 1)
            ]
        path = out / 'images' / image['file_name']
        if not cv2.imwrite(str(path), scene):
            raise OSError(f'{path} cannot be written.')
    content = dict(
        images=images,
        annotations=annotations,
        categories=source.dataset['categories'],
    )
    write_json(out / f'{name}.json', content)
    return len(images), len(annotations), len(found) % count


def _read(folder: Path, image: dict, ann: str | Path) -> np.ndarray:
    path = folder / image['file_name']
    pixels = cv2.imread(str(path))
    if pixels is None:
        raise OSError(f'{path} cannot be read as an image.')
    h, w = pixels.shape[:2]
    if (w, h) != (image['width'], image['height']):
        raise ValueError(
            f'{path} is {w}x{h} px, and {image["width"]}x{image["height"]} in '
            f'{ann}.'
        )
    return pixels


def _moved(annotation: dict, x: int, y: int) -> dict:
    """An annotation of an image whose corner has come to (x, y)."""
    left, top, width, height = annotation['bbox']
    result = dict(annotation, bbox=[left + x, top + y, width, height])
    outline = annotation.get('segmentation')
    if isinstance(outline, list):
        result['segmentation'] = [
            (np.reshape(part, (-1, 2)) + (x, y)).ravel().tolist()
            for part in outline
        ]
    elif outline:  # run lengths would have to be drawn anew
        del result['segmentation']
    return result
