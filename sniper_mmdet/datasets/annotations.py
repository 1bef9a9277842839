"""Reads annotations, and reports errors in them."""

import os.path as osp
from collections.abc import Callable, Sequence

import numpy as np

from sniper_mmdet.chips.coco_content import first_of
from sniper_mmdet.utils.errors import UserError

NO_IMAGE = (
    'the dataset {} has no image with a box to train on: check the '
    'annotation file, the class names in metainfo and filter_cfg.'
)
NO_BOX = (
    'the dataset {} has no box to train: its {images} images have {ignored} '
    'boxes that are ignored (crowds, difficult), and no other. {left_out}'
    'Check that image_id and category_id are those of images and categories, '
    'and that the classes {classes} are spelled as in the annotations, with '
    'the same capital letters.'
)
_ERRORS = (
    AssertionError,
    AttributeError,
    IndexError,
    KeyError,
    OverflowError,
    SyntaxError,
    TypeError,
    ValueError,
)


def dataset_name(dataset) -> str:
    """Name of a dataset, or of its config, for error messages."""
    if isinstance(dataset, dict):
        path, kind = dataset.get('ann_file'), str(dataset.get('type'))
        root = dataset.get('data_root') or ''
    else:
        path, kind = getattr(dataset, 'ann_file', None), type(dataset).__name__
        root = ''
    # A user's own dataset may have any arguments.
    return osp.join(root, path) if path and isinstance(path, str) else kind


def read_annotations(
    dataset,
    function: Callable,
    *args,
    left_out: Callable[[], list[str]] = list,
):
    """Call a function that reads annotations, and name the file if it fails.

    Without this mmdet raises Python's error: "Expecting value: line 1 column
    1".

    Args:
        dataset (BaseDataset | dict): The dataset, or its config.
        function (Callable): The function that reads annotations.
        *args: Arguments of the function.
        left_out (Callable): Returns sentences about what is left out, for the
            error that no image is left.

    Raises:
        FileNotFoundError: A file of the dataset is missing.
        ValueError: The annotations are broken, or empty.
    """
    name = dataset_name(dataset)
    try:
        return function(*args)
    except FileNotFoundError as error:
        if error.filename is None:  # a sentence of this package
            raise
        of = '' if error.filename == name else f', a file of {name},'
        raise FileNotFoundError(
            f'{error.filename}{of} is missing: check data_root and the file '
            'names of the dataset in the config.'
        ) from None
    except _ERRORS as error:
        # mmengine concatenates the images of a dataset; it fails for none.
        if 'need at least one array' in str(error):
            sentences = [NO_IMAGE.format(name), *left_out()]
            raise ValueError(' '.join(sentences)) from None
        told = isinstance(error, ValueError) and name in str(error)
        if told or isinstance(error, UserError):
            raise
        raise ValueError(
            f'the dataset {name} cannot be loaded: {type(error).__name__}: '
            f'{error}'
        ) from error


def images_left_out(
    path: str,
    names: np.ndarray,
    count: int,
    reasons: Sequence[tuple[np.ndarray, str]],
) -> str:
    """A sentence about the images that a dataset leaves out by filter_cfg.

    Args:
        path (str): The dataset's file.
        names (ndarray (N,)): Names of all images.
        count (int): Number of images that are left out.
        reasons (Sequence): A mask (N,) and words for each reason.
    """
    parts = [
        f'{mask.sum()} {what} ({first_of(names[mask])})'
        for mask, what in reasons
        if mask.any()
    ]
    rest = count - sum(mask.sum() for mask, _ in reasons)
    if rest > 0:
        parts.append(f'{rest} by indices, or by the dataset itself')
    return (
        f'{path}: {count} of {len(names)} images are left out by filter_cfg: '
        f'{"; ".join(parts)}.'
    )
