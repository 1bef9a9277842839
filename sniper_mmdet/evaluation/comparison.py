"""Compares COCO result files of several runs per name."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from mmengine.logging import print_log

from sniper_mmdet.utils.quiet import quiet

from .coco import average_precision, evaluate_boxes, false_positives
from .ground_truth import read_ground_truth


def compare_detections(
    ann: str,
    files: Sequence[tuple[str, str]],
    recall: float = 0.7,
    max_dets: int = 200,
) -> dict[str, dict]:
    """AP and false positives at a recall, with their spread over runs.

    Args:
        ann (str): COCO json of the images that were tested.
        files (Sequence[tuple]): Names and paths of COCO result files. Files
            with one name are runs that differ in their seed.
        recall (float): See :func:`false_positives`. Defaults to 0.7.
        max_dets (int): Detections per image that count. Defaults to 200.

    Returns:
        dict[str, dict]: By name: ``runs``, their number; mean and standard
        deviation of the values of :func:`average_precision`, and of ``FP``,
        false positives per image.

    Raises:
        ValueError: A file has another format, or other images.
    """
    truth = read_ground_truth(ann)
    runs = {}
    for name, path in files:
        with _reading(path, f'a COCO result file for {ann}'):
            detections = json.loads(Path(path).read_text())
            ids = [one['category_id'] for one in detections]
            others = [one for one in ids if one not in truth.cats]
            if others and len(others) == len(ids):
                raise ValueError(
                    'no category_id is that of a category of it. Received: '
                    f'{others[0]!r}, and categories {list(truth.cats)}.'
                )
            evaluation = evaluate_boxes(truth, detections, maxDets=[max_dets])
        if others:
            print_log(
                f'{path}: {len(others)} of {len(ids)} detections do not '
                f'count, as {ann} has no category {others[0]!r}.',
                'current',
            )
        row = average_precision(evaluation)
        row['FP'] = false_positives(evaluation, recall)
        runs.setdefault(name, []).append(row)
    table = {}
    for name, rows in runs.items():
        table[name] = dict(runs=len(rows))
        for key in rows[0]:
            values = np.array([row[key] for row in rows], float)
            spread = values.std(ddof=1) if len(rows) > 1 else 0.0
            table[name][key] = [float(values.mean()), float(spread)]
    return table


@contextlib.contextmanager
def _reading(path, kind) -> Iterator[None]:
    """Suppress output, and turn errors of a wrong file into one sentence."""
    try:
        with quiet():
            yield
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f'{path} is not {kind}: {type(error).__name__}: {error}'
        ) from None
