"""Joins images of a COCO dataset to large scenes."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from pycocotools.coco import COCO

from sniper_mmdet.chips.coco import load_coco
from sniper_mmdet.utils.files import scratch_folder
from sniper_mmdet.utils.image import read_image
from sniper_mmdet.utils.progress import track

from .formats.coco import CocoWriter


def tile_images(
    ann: str | Path,
    image_dir: str | Path,
    out_dir: str | Path,
    grid: Sequence[int] = (3, 3),
    seed: int = 0,
) -> tuple[int, int, int]:
    """Join random images in cells of the size of the largest image.

    The rest of a cell with a smaller image is black. Images that do not fill a
    whole scene are left out.

    Args:
        ann (str | Path): COCO file of the images.
        image_dir (str | Path): Their folder.
        out_dir (str | Path): Folder for ``images/NAME_0000.png`` and so on,
            and their COCO file ``NAME.json``; NAME is the name of ``ann``.
        grid (Sequence[int]): Columns and rows. Defaults to (3, 3).
        seed (int): Seed of the order. Defaults to 0.

    Returns:
        tuple: Number of scenes, of boxes in them, and of images that are left
        out.

    Raises:
        OSError: An image cannot be read, or (FileError) a file cannot be
            written.
        ValueError: The COCO file is broken, there are too few images, or an
            image has another size than in the file.
    """
    source = COCO()
    source.dataset, content = load_coco(ann)
    source.createIndex()
    found = content.images
    columns, rows = grid
    count = columns * rows
    if len(found) < count:
        raise ValueError(
            f'{ann} has {len(found)} images, and a scene takes {count}.'
        )
    order = np.random.default_rng(seed).permutation(len(found))
    width = max(image['width'] for image in found)
    height = max(image['height'] for image in found)
    cells = [(x, y) for y in range(rows) for x in range(columns)]
    out, name = Path(out_dir), Path(ann).stem
    (out / 'images').mkdir(parents=True, exist_ok=True)
    coco = CocoWriter([])
    coco.categories = source.dataset['categories']
    with scratch_folder(out / f'{name}.json') as folder:
        for i in track(range(len(found) // count)):
            path = folder / f'{name}_{i:04d}.png'
            coco.add_image(path.name, columns * width, rows * height)
            scene = np.zeros((rows * height, columns * width, 3), np.uint8)
            for cell, j in zip(cells, order[i * count :], strict=False):
                x, y = cell[0] * width, cell[1] * height
                pixels = _read(Path(image_dir), found[j], ann)
                h, w = pixels.shape[:2]
                scene[y : y + h, x : x + w] = pixels
                for annotation in source.imgToAnns[found[j]['id']]:
                    # pycocotools treats an annotation with id 0 as none.
                    ids = dict(id=len(coco.annotations) + 1, image_id=i + 1)
                    coco.annotations.append(_moved(annotation, x, y) | ids)
            # Encode in memory: OpenCV does not always report a full disk.
            path.write_bytes(cv2.imencode('.png', scene)[1])
        coco.write(folder / 'coco.json')
        # All at the end: the COCO file must not describe other scenes.
        (out / f'{name}.json').unlink(missing_ok=True)
        for image in coco.images:
            picture = image['file_name']
            # The folder of images may be a link to another disk.
            shutil.move(folder / picture, out / 'images' / picture)
        (folder / 'coco.json').replace(out / f'{name}.json')
    return len(coco.images), len(coco.annotations), len(found) % count


def _read(folder: Path, image: dict, ann: str | Path) -> np.ndarray:
    path = folder / image['file_name']
    pixels = read_image(path)
    h, w = pixels.shape[:2]
    if (w, h) != (image['width'], image['height']):
        raise ValueError(
            f'{path} is {w}x{h} px, and {image["width"]}x{image["height"]} in '
            f'{ann}.'
        )
    return pixels


def _moved(annotation: dict, x: int, y: int) -> dict:
    """Move an annotation with its image, whose corner is now at (x, y)."""
    left, top, width, height = annotation['bbox']
    result = dict(annotation, bbox=[left + x, top + y, width, height])
    outline = annotation.get('segmentation')
    if isinstance(outline, list):
        parts = [np.reshape(part, (-1, 2)) + (x, y) for part in outline]
        result['segmentation'] = [part.ravel().tolist() for part in parts]
    elif outline:  # run lengths would have to be decoded
        del result['segmentation']
    return result
