"""Reads what others annotated, and says what is wrong with it."""

import os.path as osp
from collections.abc import Callable, Sequence

import numpy as np

from sniper_mmdet.chips.coco_content import first_of
from sniper_mmdet.utils.errors import UserError

NO_IMAGE = (
    'the data set {} has no image with a box to train on: check the '
    'annotation file, the class names in metainfo and filter_cfg.'
)
NO_BOX = (
    'the data set {} has no box to train: its {images} images have {ignored} '
    'boxes that are ignored (crowds, difficult), and no other. {left_out}'
    'Check that image_id and category_id are those of images and categories, '
    'and that the classes {classes} are named as in the annotations, capital '
    'letters too.'
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
    """A data set, or its config, as an error calls it."""
    if isinstance(dataset, dict):
        path, kind = dataset.get('ann_file'), str(dataset.get('type'))
        root = dataset.get('data_root') or ''
    else:
        path, kind = getattr(dataset, 'ann_file', None), type(dataset).__name__
        root = ''
    # A data set of one's own may be given anything.
    return osp.join(root, path) if path and isinstance(path, str) else kind


def read_annotations(
    dataset,
    function: Callable,
    *args,
    left_out: Callable[[], list[str]] = list,
):
    """Call what reads annotations, and name them when it fails.

    mmdet's own errors are Python's: "Expecting value: line 1 column 1".

    Args:
        dataset (BaseDataset | dict): The data set, or its config.
        function (Callable): What reads them.
        *args: Of the function.
        left_out (Callable): Sentences on what is left out, for the error that
            no image is left.

    Raises:
        ValueError: The annotations are broken, or empty.
    """
    name = dataset_name(dataset)
    try:
        return function(*args)
    except _ERRORS as error:
        # mmengine joins the images of a data set, and joins no empty list.
        if 'need at least one array' in str(error):
            sentences = [NO_IMAGE.format(name), *left_out()]
            raise ValueError(' '.join(sentences)) from None
        told = isinstance(error, ValueError) and name in str(error)
        if told or isinstance(error, UserError):
            raise
        raise ValueError(
            f'the data set {name} cannot be loaded: {type(error).__name__}: '
            f'{error}'
        ) from error


def images_left_out(
    path: str,
    names: np.ndarray,
    count: int,
    reasons: Sequence[tuple[np.ndarray, str]],
) -> str:
    """A sentence on the images that a data set leaves out by filter_cfg.

    Args:
        path (str): The data set's file.
        names (ndarray (N,)): Of all images.
        count (int): How many are left out.
        reasons (Sequence): A mask (N,) and words for each.
    """
    parts = [
        f'{mask.sum()} {what} ({first_of(names[mask])})'
        for mask, what in reasons
        if mask.any()
    ]
    rest = count - sum(mask.sum() for mask, _ in reasons)
    if rest > 0:
        parts.append(f'{rest} by indices, or by the data set itself')
    return (
        f'{path}: {count} of {len(names)} images are left out by filter_cfg: '
        f'{"; ".join(parts)}.'
    )
