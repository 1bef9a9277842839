"""Checks that the classes of a detector are those of its data."""

from collections.abc import Sequence

from mmdet.models import RPN, BaseMOTModel
from torch import nn

from sniper_mmdet.datasets.annotations import dataset_name
from sniper_mmdet.datasets.classes import classes_of, moved, parts_of
from sniper_mmdet.utils.errors import UserError


class DataError(UserError):
    """Datasets, metrics, checkpoint and detector of a run do not agree."""


def check_heads(model: nn.Module, dataset) -> None:
    """Check that the heads of a detector have as many classes as the data.

    An RPN and class-agnostic heads are left out.

    Args:
        model (nn.Module): The detector, wrapped or not.
        dataset (BaseDataset): The dataset of training or tests.

    Raises:
        ValueError: A number differs; the error names the key of the config.
    """
    classes = classes_of(dataset)
    if not classes or not has_classes(model):
        return
    # Things and stuff have separate heads.
    data = next(parts_of(dataset))
    counts = {len(classes), len(data.metainfo.get('thing_classes', classes))}
    wrong = {}
    for path, module in model.named_modules():
        path = path.removeprefix('module.').removeprefix('detector.')
        name = path.rstrip('.0123456789').split('.')[-1]
        number = getattr(module, 'num_classes', None)
        if (
            name.endswith('head')
            and name not in ('rpn_head', 'semantic_head')
            and not getattr(module, 'class_agnostic', False)
            and isinstance(number, int)
            and number not in counts
        ):
            wrong[f'model.{path}.num_classes'] = number
    if wrong:
        raise DataError(
            f'{", ".join(wrong)} must be {len(classes)}, the number of '
            f'metainfo.classes of {dataset_name(data)}: {classes}. '
            f'Received: {", ".join(map(str, wrong.values()))}.'
        )


def has_classes(model: nn.Module) -> bool:
    """Test whether a detector's labels are the classes of its data.

    An RPN has one class, a tracker has the classes of its detector's data, and
    GLIP and similar detectors have the classes of a text.
    """
    return not any(
        isinstance(module, (RPN, BaseMOTModel)) or 'language_model' in path
        for path, module in model.named_modules()
    )


def check_names(
    classes: Sequence[str], of: str, others: Sequence[str], of_others: str
) -> None:
    """Check that no class has another label in a second list.

    Raises:
        ValueError: A class does; the error names both orders.
    """
    if moved(classes, others):
        raise DataError(
            f'the classes of the {of} and of the {of_others} must be in one '
            f'order: {list(classes)} and {list(others)}. Give '
            'metainfo.classes, and the categories of the files, the order '
            "of the detector's training."
        )
