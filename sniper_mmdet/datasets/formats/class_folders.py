"""Images in one folder per class, FOLDER/CLASS/*.jpg, without boxes."""

from collections.abc import Sequence
from pathlib import Path

from sniper_mmdet.utils.errors import UserError
from sniper_mmdet.utils.image import find_files

#: One image is not enough to learn or to test a class.
LEAST_PICTURES = 2


def read_class_folders(
    folder: str | Path,
    classes: Sequence[str] | None = None,
    least: int = LEAST_PICTURES,
) -> dict[str, list[Path]]:
    """List the images of each class, in the order of the folders' names.

    Args:
        folder (str | Path): A folder with one folder per class.
        classes (Sequence[str], optional): Classes to read. Defaults to None:
            all.
        least (int): Least number of images per class. Defaults to 2.

    Raises:
        FileNotFoundError: No such folder.
        UserError: There is no class; or a class is missing, is there twice, or
            has too few images.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f'{folder} is not a folder.')
    found = sorted(
        path
        for path in folder.iterdir()
        if path.is_dir() and not path.name.startswith(('.', '__MACOSX'))
    )
    if not found:
        raise UserError(
            f'{folder} must have a folder of images for each class. '
            'Received: none.'
        )
    names = [path.name for path in found]
    wanted = names if classes is None else list(classes)
    for name in wanted:
        if name not in names:
            raise UserError(
                f'{folder} has no folder of the class {name!r}. It has: '
                f'{", ".join(names[:10])}.'
            )
    once = {}
    for name in wanted:
        # File systems and people treat capitals and spaces differently.
        first = once.setdefault(' '.join(name.lower().split()), name)
        if first is not name:
            raise UserError(
                f'{folder} has a class twice: {first!r} and {name!r}.'
            )
    pictures = {}
    for name in wanted:
        files = find_files(folder / name)
        if len(files) < least:
            raise UserError(
                f'{folder / name} must hold at least {least} images of the '
                f'class. Received: {len(files)}.'
            )
        pictures[name] = [folder / name / file for file in files]
    return pictures
