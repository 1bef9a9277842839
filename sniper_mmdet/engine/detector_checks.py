"""The classes of a detector, seen to be those of its data."""

from collections.abc import Sequence

from mmdet.models import RPN, BaseMOTModel
from torch import nn

from sniper_mmdet.datasets.annotations import dataset_name
from sniper_mmdet.datasets.classes import classes_of, moved, parts_of
from sniper_mmdet.utils.errors import UserError


class DataError(UserError):
    """What a run reads does not go together."""


def check_heads(model: nn.Module, dataset) -> None:
    """See that the heads of a detector tell as many classes as data name.

    Left out are an RPN, and heads that are one for all classes.

    Args:
        model (nn.Module): Wrapped or not.
        dataset (BaseDataset): What it is trained or tested on.

    Raises:
        ValueError: Names the key of the config.
    """
    classes = classes_of(dataset)
    if not classes or not has_classes(model):
        return
    # What is a thing and what is stuff have heads of their own.
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
    """Whether a detector's labels are the classes of its data.

    Those of an RPN are one, those of a tracker are of its detector's data, and
    those of GLIP and its like are what a text names.
    """
    return not any(
        isinstance(module, (RPN, BaseMOTModel)) or 'language_model' in path
        for path, module in model.named_modules()
    )


def check_names(
    classes: Sequence[str], of: str, others: Sequence[str], of_others: str
) -> None:
    """See that no class is another label somewhere else.

    Raises:
        ValueError: Names both orders.
    """
    if moved(classes, others):
        raise DataError(
            f'the classes of the {of} and of the {of_others} must be in one '
            f'order: {list(classes)} and {list(others)}. Give '
            'metainfo.classes, and the categories of the files, the order '
            'that the detector is trained with.'
        )
