"""Ways to test one detector, measured side by side."""

import copy
import time
from collections.abc import Callable, Sequence
from functools import partial
from unittest import mock

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import METRICS

from sniper_mmdet.chips import ImagePyramid
from sniper_mmdet.datasets.classes import classes_of
from sniper_mmdet.datasets.reading import build_read
from sniper_mmdet.engine.build_data import build_unread_dataset
from sniper_mmdet.engine.checkpoints import load_detector, read_classes
from sniper_mmdet.engine.data_checks import check_split
from sniper_mmdet.engine.detector_checks import check_heads, check_names
from sniper_mmdet.models import AutoFocus, PyramidDetector

#: Takes a list of images (3, H, W) and one of samples; returns the samples.
Way = Callable[[list, list], list]


def load_autofocus(cfg: Config, checkpoint: str) -> AutoFocus:
    """The AutoFocus detector of a config, ready to test.

    Raises:
        OSError: There is no such checkpoint.
        ValueError: The config or the checkpoint is of another model, or its
            classes are not those of the test data.
    """
    model = load_detector(cfg, checkpoint, AutoFocus)
    dataset = build_unread_dataset(cfg, 'test')
    if dataset is not None:
        check_heads(model, dataset)
        trained, tested = read_classes(checkpoint), classes_of(dataset)
        check_names(trained, 'checkpoint', tested, 'test data')
    return model


def require_coco(cfg: Config) -> None:
    """See that :func:`measure` gives COCO results.

    Raises:
        ValueError: It does not.
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
    """The bare detector at each level, and over the whole pyramid."""
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
    """Test in several ways, which take turns image by image.

    Args:
        cfg (Config): With ``test_dataloader`` and ``test_evaluator``, of
            which the first counts.
        ways (dict[str, Way]): By name.
        num (int | Sequence[int]): Images, or which; 0 for all. Defaults to 0.

    Returns:
        dict[str, dict]: By name: ``images``; ``seconds`` an image, loading
        left out; what the evaluator says; and, of results with a field
        ``focus``, ``pixels`` and ``pyramid_pixels`` of all images, by level.
    """
    dataset = build_read(cfg.test_dataloader.dataset)
    evaluator = first_evaluator(cfg)
    metrics = {n: METRICS.build(copy.deepcopy(evaluator)) for n in ways}
    for metric in metrics.values():
        metric.dataset_meta = dataset.metainfo
    check_split(dataset, list(metrics.values()), [evaluator] * len(metrics))
    if isinstance(num, int):
        num = range(min(len(dataset), num or len(dataset)))
    count = len(num)
    result = {name: dict(images=count, seconds=0.0) for name in ways}
    for turn in range(-1, count):  # the first warms up, and does not count
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
            # COCO's would count what was not looked at as missed.
            metric.img_ids = seen
        result[name].update(metric.evaluate(count))
    return result


def coco_row(row: dict) -> dict[str, float]:
    """AP, AP50, AP_S of COCO and seconds an image, of :func:`measure`."""
    ends = dict(AP='', AP50='_50', AP_S='_s')
    # CocoMetric has none where nothing is found.
    found = {k: row.get(f'coco/bbox_mAP{end}', 0.0) for k, end in ends.items()}
    return dict(found, seconds=row['seconds'])


def first_evaluator(cfg: Config) -> dict:
    """The settings of the metric that counts."""
    evaluator = cfg.get('test_evaluator') or {}
    return evaluator[0] if isinstance(evaluator, Sequence) else evaluator
