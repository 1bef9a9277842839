"""The hierarchy of classes as OpenImages has it."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .errors import UserError


def read_hierarchy(hierarchy_file: str, label_file: str) -> np.ndarray:
    """Which classes are ancestors of which, the official way.

    Only ``Subcategory`` makes one: a ``Part`` is no kind of its whole.

    Args:
        hierarchy_file (str): JSON of nodes, with ``LabelName`` and
            ``Subcategory``.
        label_file (str): csv of classes, a row each: id, name and, in the
            challenge's file, the number, from 1.

    Returns:
        ndarray (C, C): bool; ``[i, j]`` is whether class j is i or an
        ancestor of i.

    Raises:
        ValueError: A file is something else, or names a class that the other
            does not.
    """
    with open(label_file, newline='', encoding='utf-8') as file:
        rows = [row for row in csv.reader(file) if row]
    try:
        if all(len(row) > 2 for row in rows):
            rows.sort(key=lambda row: int(row[2]))
        index = {row[0]: i for i, row in enumerate(rows)}
        tree = json.loads(Path(hierarchy_file).read_text(encoding='utf-8'))
        pairs = list(_pairs(tree, ()))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f'{hierarchy_file} and {label_file} must be a hierarchy and the '
            f'classes of OpenImages: {type(error).__name__}: {error}'
        ) from None
    related = np.eye(len(index), dtype=bool)
    for name, ancestor in pairs:
        if name not in index:
            raise UserError(
                f'{hierarchy_file} has a class that {label_file} has not. '
                f'Received: {name!r}.'
            )
        # The root, Entity, is no class.
        if ancestor in index:
            related[index[name], index[ancestor]] = True
    return related


def _pairs(node: dict, above: tuple) -> Iterator[tuple[str, str]]:
    """A class and an ancestor of it, of each pair below a node."""
    above = (*above, node['LabelName'])
    for child in node.get('Subcategory', ()):
        for ancestor in above:
            yield child['LabelName'], ancestor
        yield from _pairs(child, above)
