"""The class hierarchy of OpenImages."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .errors import UserError, utf8_text


def related_classes(path: str | Path, mids: Sequence[str]) -> np.ndarray:
    """Return which classes are ancestors of others, as OpenImages defines it.

    Only ``Subcategory`` makes an ancestor: a ``Part`` is not a kind of its
    whole. Classes of the file that are not among ``mids``, such as its root,
    are skipped.

    Args:
        path (str | Path): JSON file of nodes with ``LabelName`` and
            ``Subcategory``.
        mids (Sequence[str]): Ids of the C classes.

    Returns:
        ndarray (C, C): bool; ``[i, j]`` is whether class j is i or an
        ancestor of i.

    Raises:
        UserError: The file is not such a file, or a class is its own ancestor.
    """
    try:
        tree = json.loads(Path(path).read_text(encoding='utf-8'))
    except ValueError as error:
        raise UserError(f'{path} is no json: {error}.') from None
    labels = {mid: label for label, mid in enumerate(mids)}
    found = np.eye(len(mids), dtype=bool)
    pending = [(tree, [])]
    seen = set()
    while pending:
        node, above = pending.pop()
        name = node.get('LabelName') if isinstance(node, dict) else None
        below = node.get('Subcategory', []) if name else None
        if not isinstance(name, str) or not isinstance(below, list):
            raise UserError(
                f'{path}: each entry must have a LabelName and may have a '
                f'list, Subcategory. Received: {node!r:.200}.'
            )
        if name in above:
            circle = ' > '.join([*above[above.index(name) :], name])
            raise UserError(
                f'{path}: a class must not be below itself. Received: '
                f'{circle}.'
            )
        if name in labels:
            seen.add(name)
            known = [labels[one] for one in above if one in labels]
            found[labels[name], known] = True
        pending += [(child, [*above, name]) for child in below]
    if not seen:
        raise UserError(
            f'{path} must have classes of the label file, such as '
            f'{mids[0]}. Received: {tree["LabelName"]!r} and its '
            'descendants, none of them.'
        )
    _require_no_circle(path, found, mids)
    return found


def _require_no_circle(path, found: np.ndarray, mids: Sequence[str]) -> None:
    """Raise an error if several places of a class together make a circle."""
    reached, count = found, 0
    while count < reached.sum():
        count = reached.sum()
        reached = (reached.astype(np.float32) @ reached) > 0
    circle = np.argwhere(reached & reached.T & ~np.eye(len(mids), dtype=bool))
    if len(circle):
        first, second = (mids[k] for k in circle[0])
        raise UserError(
            f'{path}: a class must not be below itself. Received: {first} '
            f'below {second} in one place, and above it in another.'
        )


def read_classes(path: Path | str) -> dict[str, str]:
    """Read the classes by MID, in the order of their labels.

    Lines are "MID,name". For the challenge MMDetection has "MID,name,number",
    with numbers from 1 that give the order. A header is not a class.

    Raises:
        UserError: A line is wrong; the error names it.
    """
    rows = []
    with (
        utf8_text(path),
        open(path, encoding='utf-8-sig', newline='') as file,
    ):
        for number, row in enumerate(csv.reader(file), start=1):
            if not row or (number == 1 and row[0].lower() == 'labelname'):
                continue
            if len(row) not in (2, 3) or (row[2:] and not row[2].isdigit()):
                raise UserError(
                    f'{path}, row {number}: must be MID,name or '
                    f'MID,name,number. Received: {",".join(row)!r:.200}.'
                )
            rows.append((int(row[2]) if row[2:] else number, row[0], row[1]))
    for column, what in ((1, 'MID'), (2, 'name')):
        seen = set()
        for row in rows:
            if row[column] in seen:
                raise UserError(
                    f'{path}: each class must have a {what} of its own. '
                    f'Received: {row[column]!r} twice.'
                )
            seen.add(row[column])
    if not rows:
        raise UserError(f'{path} must name a class. Received: an empty file.')
    return {mid: name for _, mid, name in sorted(rows)}


def read_hierarchy(hierarchy_file: str, label_file: str) -> np.ndarray:
    """Return :func:`related_classes` for all classes of a csv file.

    Args:
        hierarchy_file (str): See :func:`related_classes`.
        label_file (str): See :func:`read_classes`.

    Raises:
        UserError: A file has another content.
    """
    return related_classes(hierarchy_file, list(read_classes(label_file)))
