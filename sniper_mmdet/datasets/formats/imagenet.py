"""Reads ImageNet's detection data: lists, class files and box files."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

from sniper_mmdet.utils.errors import UserError

from .array_pickle import load_arrays

#: A corner beyond this is an error of the file, as in the original.
_FURTHEST = 4000
_WNID = re.compile(r'n\d{8}')


def read_wnids(path: str | Path) -> tuple[list[str], list[int]]:
    """Read the classes in order, and the cluster of each, from 0.

    Args:
        path (str | Path): A text file whose lines begin with a WNID; all
            classes are then in cluster 0. Or the original's
            ``3kcls_cluster_result1.txt``, a pickle of the WNIDs per cluster.

    Raises:
        FileNotFoundError: No such file.
        UserError: The file is neither, or names a class twice.
    """
    first = Path(path).read_bytes()[:9].decode('latin1')
    if _WNID.match(first):
        lines = Path(path).read_text().splitlines()
        groups = {0: [line.split()[0] for line in lines if line.strip()]}
    else:
        groups = load_arrays(str(path))
    try:
        items = list(groups.items())
        wnids = [str(name) for _, names in items for name in names]
    except (AttributeError, TypeError):
        wnids = ['']
    wrong = [name for name in wnids if not _WNID.fullmatch(name)]
    if wrong or not wnids:
        raise UserError(
            f'{path} must be lines that begin with a WNID such as n02084071, '
            f'or a pickle of lists of WNIDs. Received: {wrong[:3]}.'
        )
    if len(set(wnids)) < len(wnids):
        twice = next(name for name in wnids if wnids.count(name) > 1)
        raise UserError(f'{path} names the class {twice} twice.')
    return wnids, [k for k, (_, names) in enumerate(items) for _ in names]


def read_list(path: str | Path) -> list[str]:
    """Read names ``WNID/name`` of images, separated by spaces or lines.

    Raises:
        FileNotFoundError: No such file.
        UserError: A name has another form.
    """
    names = Path(path).read_text().split()
    for name in names:
        if name.count('/') != 1 or name[-1:] == '/':
            raise UserError(
                f'{path} must name images as WNID/name. Received: {name!r}.'
            )
    return names


def read_boxes(
    path: str | Path, classes: Sequence[str]
) -> tuple[tuple[int, int], list[tuple[int, list[int]]]]:
    """Read the size and the usable boxes of an XML file of ImageNet.

    As in the original (lib/dataset/imagenet.py), a box is left out if a corner
    is beyond 4000 px or beyond the width or height in the file, if a side has
    no length, or if its class is unknown. Coordinates are as in the file; 1 is
    not subtracted.

    Args:
        path (str | Path): The file.
        classes (Sequence[str]): WNIDs, or a dict from WNID to label.

    Returns:
        tuple: Width and height; label and (x1, y1, x2, y2) of each box.

    Raises:
        FileNotFoundError: No such file.
        UserError: The file is damaged, or lacks a field.
    """
    if not isinstance(classes, dict):
        classes = {name: k for k, name in enumerate(classes)}
    try:
        root = ElementTree.parse(path).getroot()
        width, height = (
            int(root.find(f'size/{side}').text) for side in ('width', 'height')
        )
        found = []
        for item in root.findall('object'):
            x1, y1, x2, y2 = box = [
                int(float(item.find(f'bndbox/{corner}').text))
                for corner in ('xmin', 'ymin', 'xmax', 'ymax')
            ]
            label = classes.get(item.find('name').text.strip())
            inside = max(box) <= _FURTHEST and x2 <= width and y2 <= height
            if label is not None and inside and x2 > x1 and y2 > y1:
                found.append((label, box))
    except FileNotFoundError:
        raise
    except (AttributeError, TypeError, ValueError, SyntaxError) as error:
        raise UserError(
            f'{path} must be a box file of ImageNet, with size and bndbox: '
            f'{error}.'
        ) from None
    return (width, height), found
