"""Measures several ways to test one detector side by side."""

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from unittest import mock

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import METRICS

from sniper_mmdet.chips import ImagePyramid
from sniper_mmdet.datasets.classes import classes_of
from sniper_mmdet.datasets.reading import build_read
from sniper_mmdet.engine.build_data import build_unread_dataset
from sniper_mmdet.engine.checkpoints import load_detector, read_classes
from sniper_mmdet.engine.data_checks import check_split
from sniper_mmdet.engine.detector_checks import check_heads, check_names
from sniper_mmdet.models import AutoFocus, PyramidDetector
from sniper_mmdet.utils.cli import table
from sniper_mmdet.utils.progress import track
from sniper_mmdet.utils.quiet import quiet

# Metrics in %, and formats of all columns of a table.
_POINTS = 'AP', 'AP50', 'AP_S', 'AP_M', 'AP_L'
_FORMATS = dict.fromkeys(_POINTS, '.1f')
_FORMATS |= dict(side='.0f', share='.1%', seconds='.2f')
#: Takes a list of images (3, H, W) and a list of samples; returns the samples.
Way = Callable[[list, list], list]


def load_autofocus(cfg: Config, checkpoint: str) -> AutoFocus:
    """The AutoFocus detector of a config, ready to test.

    Raises:
        OSError: There is no such checkpoint.
        ValueError: The config or the checkpoint belongs to another model, or
            its classes are not those of the test data.
    """
    model = load_detector(cfg, checkpoint, AutoFocus)
    dataset = build_unread_dataset(cfg, 'test')
    if dataset is not None:
        check_heads(model, dataset)
        trained, tested = read_classes(checkpoint), classes_of(dataset)
        check_names(trained, 'checkpoint', tested, 'test data')
    return model


def require_coco(cfg: Config) -> None:
    """Check that :func:`measure` can report COCO metrics.

    Raises:
        ValueError: The config has another metric, or no test data.
    """
    kind = first_evaluator(cfg).get('type')
    if not str(kind).endswith('CocoMetric'):
        raise ValueError(
            f'{cfg.filename}: the first test_evaluator must be a CocoMetric. '
            f'Received: {kind}.'
        )
    if not cfg.get('test_dataloader'):
        raise ValueError(f'{cfg.filename} must have a test_dataloader.')


def reference_ways(model: AutoFocus) -> dict[str, Way]:
    """The plain detector at each level, and over the whole pyramid."""
    whole = partial(PyramidDetector.predict, model)
    levels = {
        f'level{k}': with_changes(model, whole, pyramid=ImagePyramid([scale]))
        for k, scale in enumerate(model.pyramid.scales)
    }
    return {**levels, 'pyramid': whole}


def with_changes(model: AutoFocus, way: Way, **changes) -> Way:
    """A way to test with some attributes of the model changed."""

    def run(images, samples):
        with mock.patch.multiple(model, **changes):
            return way(images, samples)

    return run


def measure(
    cfg: Config, ways: dict[str, Way], num: int | Sequence[int] = 0
) -> dict[str, dict]:
    """Test a detector in several ways, which take turns image by image.

    Args:
        cfg (Config): Has ``test_dataloader`` and ``test_evaluator``; the first
            evaluator counts.
        ways (dict[str, Way]): The ways by name.
        num (int | Sequence[int]): Number of images, or their indices; 0 for
            all. Defaults to 0.

    Returns:
        dict[str, dict]: For each way by name: ``images``, their number;
        ``seconds`` per image, without loading; the metrics of the evaluator;
        and, if results have a field ``focus``, ``pixels`` and
        ``pyramid_pixels`` of all images, by level.
    """
    dataset = build_read(cfg.test_dataloader.dataset)
    evaluator = first_evaluator(cfg)
    with quiet():
        metrics = {n: METRICS.build(copy.deepcopy(evaluator)) for n in ways}
    for metric in metrics.values():
        metric.dataset_meta = dataset.metainfo
    check_split(dataset, list(metrics.values()), [evaluator] * len(metrics))
    if isinstance(num, int):
        num = range(min(len(dataset), num or len(dataset)))
    count = len(num)
    result = {name: dict(images=count, seconds=0.0) for name in ways}
    turns = range(-1, count)  # the first is a warm-up and does not count
    for turn in track(turns):
        for name, way in ways.items():
            item = dataset[num[max(turn, 0)]]
            start = time.perf_counter()
            found = way([item['inputs']], [item['data_samples']])
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            seconds = time.perf_counter() - start
            if turn < 0:
                continue
            row = result[name]
            row['seconds'] += seconds / count
            metrics[name].process(None, [sample.to_dict() for sample in found])
            if 'focus' in found[0]:
                for key in ('pixels', 'pyramid_pixels'):
                    row[key] = row.get(key, 0) + np.array(found[0].focus[key])
    seen = [dataset.get_data_info(i)['img_id'] for i in num]
    for name, metric in metrics.items():
        if hasattr(metric, 'img_ids'):
            # COCO's metric would count objects of the other images as missed.
            metric.img_ids = seen
        with _silent():
            result[name].update(metric.evaluate(count))
    return result


@contextmanager
def _silent() -> Iterator[None]:
    """A context in which a metric prints no report of its own."""
    logger = MMLogger.get_current_instance()
    before = logger.level
    logger.setLevel('WARNING')
    try:
        with quiet():
            yield
    finally:
        logger.setLevel(before)


def coco_row(row: dict) -> dict[str, float | None]:
    """COCO's AP, also by size, and seconds per image, from :func:`measure`.

    The AP of a size is None if there is no object of that size.
    """
    ends = '', '_50', '_s', '_m', '_l'
    # CocoMetric reports none if nothing is found.
    values = (row.get(f'coco/bbox_mAP{end}', 0.0) for end in ends)
    found = (None if value < 0 else value for value in values)
    return dict(zip(_POINTS, found, strict=True), seconds=row['seconds'])


def coco_table(rows: dict[str, dict[str, float | None]]) -> str:
    """Format rows of :func:`coco_row`, with or without pixels; AP in %."""

    def shown(key, value):
        if value is None:
            return '-'
        return 100 * value if key in _POINTS else value

    return table(
        {
            name: {key: shown(key, value) for key, value in row.items()}
            for name, row in rows.items()
        },
        _FORMATS,
    )


def first_evaluator(cfg: Config) -> dict:
    """The settings of the first evaluator, which counts."""
    evaluator = cfg.get('test_evaluator') or {}
    return evaluator[0] if isinstance(evaluator, Sequence) else evaluator
