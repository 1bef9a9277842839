"""Checks before a run that its datasets, metrics and detector agree.

A label is a number. If datasets, their files, metrics and the detector use it
for different classes, no error is raised, and the results are wrong.
"""

from collections.abc import Sequence
from itertools import cycle, zip_longest

from mmengine.runner import Runner

from sniper_mmdet.datasets.classes import check_classes, classes_of
from sniper_mmdet.datasets.reading import build_read

from .detector_checks import check_heads, check_names
from .metric_checks import check_metric


def check_run(runner: Runner, splits: Sequence[str]) -> None:
    """Check the datasets, the metrics and the detector of some splits.

    Parts that the runner has not built yet are built.

    Raises:
        ValueError: See the other functions here.
    """
    known = {}
    for split in splits:
        loop = _built(runner, split)
        if loop is None:
            continue
        dataset = loop.dataloader.dataset
        settings = runner.cfg.get(f'{split}_evaluator')
        check_split(dataset, getattr(loop, 'evaluator', ()), settings)
        check_heads(runner.model, dataset)
        for other, classes in known.items():
            names = classes_of(dataset)
            check_names(classes, f'{other} data', names, f'{split} data')
        known[split] = classes_of(dataset)


def _built(runner: Runner, split: str):
    """The loop of a split, with checked data; None if there is no loop."""
    loader = getattr(runner, f'_{split}_dataloader')
    if isinstance(loader, dict) and isinstance(loader.get('dataset'), dict):
        loader['dataset'] = dict(type=build_read, config=loader['dataset'])
    return getattr(runner, f'{split}_loop')


def check_split(dataset, evaluator=(), settings=()) -> None:
    """Check a dataset and the metrics that evaluate on it.

    Args:
        dataset (BaseDataset): A dataset of mmdet, or a wrapper of others.
        evaluator (Evaluator | Sequence[BaseMetric]): The metrics.
        settings (dict | Sequence[dict]): Configs of the metrics.

    Raises:
        ValueError: They do not agree; the error names the files.
    """
    metrics = getattr(evaluator, 'metrics', evaluator)
    if isinstance(settings, dict):
        settings = settings.get('metrics', settings)
    settings = [settings] if isinstance(settings, dict) else settings or ()
    given = [one if isinstance(one, dict) else {} for one in settings]
    parts = [dataset]
    if hasattr(evaluator, 'dataset_prefixes'):  # each part has its own metrics
        parts = dataset.datasets
    for part in parts:
        check_classes(part)
    pairs = zip_longest(metrics, given[: len(metrics)], fillvalue={})
    for part, (metric, own) in zip(cycle(parts), pairs, strict=False):
        check_metric(part, metric, own.get('ann_file'))
