"""Reading of the super-class of each class."""

import json
from collections.abc import Sequence
from pathlib import Path

from sniper_mmdet.utils.errors import UserError


def read_super_classes(
    given: Sequence[int] | str | Path | None, num_classes: int
) -> list[int]:
    """Return the super-class of each class, counted from 0; -1 is any.

    Args:
        given (Sequence[int] | str | Path, optional): The super-classes, or a
            json file with a list ``super_classes``. None: one super-class.
        num_classes (int): Number of classes.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: There is not one whole number for each class.
    """
    if given is None:
        return [0] * num_classes
    of = 'super_classes'
    if isinstance(given, str | Path):
        of = f'{given}'
        try:
            given = json.loads(Path(given).read_text())['super_classes']
        except (KeyError, TypeError, ValueError):
            raise UserError(
                f'{given} must be a json file with a list super_classes, as '
                'cluster_classes.py writes it.'
            ) from None
    groups = list(given)
    whole = all(type(group) is int and group >= -1 for group in groups)
    if not whole or len(groups) != num_classes or max(groups, default=-1) < 0:
        raise UserError(
            f'{of} must be {num_classes} whole numbers from -1 on, the '
            'super-class of each class, not all of them -1. Received: '
            f'{len(groups)}, {groups[:5]} ...'
        )
    return groups
