"""COCO files whose images get other names."""

import json
from collections.abc import Collection
from pathlib import Path

from sniper_mmdet.utils.errors import UserError
from sniper_mmdet.utils.files import write_json


def load_coco(ann: str | Path, source: Path, names: dict[Path, Path]) -> dict:
    """Load a COCO file, and check that all of its images exist.

    Args:
        ann (str | Path): The file.
        source (Path): Folder of the images, for error messages.
        names (dict): The images of the folder, relative to it.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: The file is not a COCO file, or images are missing.
    """
    try:
        coco = json.loads(Path(ann).read_text(encoding='utf-8'))
        wanted = [image['file_name'] for image in coco['images']]
        missing = [name for name in wanted if Path(name) not in names]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f'{ann} is not a COCO json with the file_name of each image: '
            f'{type(error).__name__}: {error}.'
        ) from None
    if missing:
        raise UserError(
            f'{len(missing)} of {len(wanted)} images of {ann} are not in '
            f'{source}; the first of them is {missing[0]}.'
        )
    return coco


def write_renamed(
    coco: dict,
    path: str | Path,
    names: dict[Path, Path],
    failed: Collection[Path],
) -> None:
    """Write a COCO file with new file names.

    Args:
        coco (dict): Content of the file; see :func:`load_coco`.
        path (str | Path): File to write; its folder is made.
        names (dict): New names by the old ones.
        failed (Collection[Path]): Images that are left out, with their
            annotations.
    """
    images, lost = [], set()
    for image in coco['images']:
        name = Path(image['file_name'])
        if name in failed:
            lost.add(image.get('id'))
        else:
            images.append(dict(image, file_name=names[name].as_posix()))
    changed = dict(coco, images=images)
    if lost:
        changed['annotations'] = [
            annotation
            for annotation in coco.get('annotations', [])
            if annotation.get('image_id') not in lost
        ]
    write_json(Path(path), changed)
