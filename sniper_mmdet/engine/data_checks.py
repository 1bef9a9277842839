"""What a run reads, seen to go together before it starts.

A label is a number. Where data sets, their files, the metrics and the detector
mean different classes by it, nothing fails: the results are wrong.
"""

import os
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import PurePath

from mmdet.evaluation import CocoMetric, LVISMetric, VOCMetric
from mmdet.models import RPN, BaseMOTModel
from mmengine.logging import print_log
from mmengine.registry import DATASETS
from mmengine.runner import Runner
from torch import nn

from sniper_mmdet.datasets.annotations import dataset_name, read_annotations
from sniper_mmdet.datasets.classes import (
    check_classes,
    check_order,
    classes_of,
    moved,
    parts_of,
)
from sniper_mmdet.evaluation import VisDroneMetric
from sniper_mmdet.evaluation.ground_truth import (
    check_annotations,
    number_annotations,
)

#: Images, at most, by which two files are compared.
_COMPARED = 10000
#: What boxes, and masks, are evaluated by.
_FIELDS = 'bbox', 'area', 'segmentation'


class DataError(ValueError):
    """What a run reads does not go together."""


def check_run(runner: Runner, splits: Sequence[str]) -> None:
    """Check the data sets, the metrics and the detector of some splits.

    What the runner has not built yet is built.

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
    """The loop of a split, None without one; its data's faults have a name."""
    try:
        return getattr(runner, f'{split}_loop')
    except Exception:
        dataset = runner.cfg[f'{split}_dataloader']['dataset']
        try:
            read_annotations(dataset, DATASETS.build, dataset)
        except AssertionError as error:  # ids that repeat
            raise DataError(f'{dataset_name(dataset)}: {error}') from None
        raise


def check_split(dataset, evaluator=(), settings=()) -> None:
    """Check a data set and the metrics that evaluate on it.

    The ground truth that a metric has read from a file is numbered anew where
    it must be, see :func:`number_annotations`.

    Args:
        dataset (BaseDataset): Of mmdet, or one around others.
        evaluator (Evaluator | Sequence[BaseMetric]): Its metrics.
        settings (dict | Sequence[dict]): What these were built of.

    Raises:
        ValueError: Names the files, and what does not go together.
    """
    metrics = getattr(evaluator, 'metrics', evaluator)
    if isinstance(settings, dict):
        settings = settings.get('metrics', settings)
    settings = [settings] if isinstance(settings, dict) else settings or ()
    given = [one if isinstance(one, dict) else {} for one in settings]
    of_each = [dataset] * len(metrics)
    if hasattr(evaluator, 'dataset_prefixes'):  # parts with metrics of theirs
        of_each = dataset.datasets
    for part in of_each or [dataset]:
        check_classes(part)
    pairs = zip_longest(metrics, given[: len(metrics)], fillvalue={})
    for part, (metric, own) in zip(of_each, pairs, strict=False):
        _check_metric(part, metric, own.get('ann_file'))


def _check_metric(dataset, metric, path: str | None) -> None:
    kinds = CocoMetric, LVISMetric, VisDroneMetric, VOCMetric
    if not isinstance(metric, kinds):
        return
    lvis = getattr(metric, '_lvis_api', None)
    truth = getattr(metric, '_coco_api', None) or lvis
    if truth is None:
        _check_own_truth(dataset, metric)
        return
    path = path or getattr(metric, 'ann_file', 'the ann_file of the metric')
    _check_images(dataset, truth.imgs, path)
    if isinstance(metric, CocoMetric):
        _check_categories(metric, truth, classes_of(dataset), path)
    if getattr(metric, 'format_only', False):
        return
    if lvis is None:  # whose annotations have no iscrowd
        masks = 'segm' in getattr(metric, 'metrics', ())
        check_annotations(truth, path, _FIELDS[: 3 if masks else 2])
    number_annotations(truth)


def _check_own_truth(dataset, metric) -> None:
    """See that a metric can evaluate by what the data set itself holds."""
    if getattr(metric, 'format_only', False):
        return
    name = _name(dataset)
    indices = range(len(dataset))
    if not any(dataset.get_data_info(k).get('instances') for k in indices):
        raise DataError(
            f'{name} has no box of a class to evaluate by; are the classes '
            f'named as in the annotations? metainfo.classes is '
            f'{classes_of(dataset)}.'
        )
    if isinstance(metric, VOCMetric):
        return
    for part in parts_of(dataset):
        steps = getattr(getattr(part, 'pipeline', None), 'transforms', [])
        keys = getattr(steps[-1], 'meta_keys', None) if steps else None
        if keys is not None and 'instances' not in keys:
            raise DataError(
                f'{type(metric).__name__} without ann_file needs "instances" '
                f'among the meta_keys of the last transform of {name}. '
                f'Received: {keys}.'
            )


def _check_categories(metric, truth, classes: list[str], path: str) -> None:
    """See that CocoMetric's labels, numbered by its file, are the classes."""
    ids = truth.getCatIds(catNms=classes)
    if len(ids) < len(classes):  # say what there is, not what fits
        ids = truth.getCatIds()
    check_order(classes, [truth.cats[one]['name'] for one in ids], path)
    if metric.classwise and ids != sorted(ids):
        raise DataError(
            f'{path}: for CocoMetric(classwise=True), which names its results '
            'in the order of the ids, categories must be in that order. '
            f'Received: the ids {ids}.'
        )


def _check_images(dataset, images: dict, path: str) -> None:
    """See that a metric's file has the images of a data set, and no others."""
    files = [getattr(one, 'ann_file', None) for one in parts_of(dataset)]
    count, name = len(dataset), _name(dataset)
    if [os.path.realpath(str(one)) for one in files] == [
        os.path.realpath(path)
    ]:
        if count < len(images):
            print_log(
                f'{path} has {len(images)} images, and the data set takes '
                f'{count} of them: objects of the others count as missed.',
                'current',
            )
        return
    must = f'{path}, by which {name} is evaluated, must have the same images.'
    for index in range(0, count, -(-count // _COMPARED) or 1):
        info = dataset.get_data_info(index)
        key, file = info.get('img_id'), info.get('img_path')
        own = images.get(key, {}).get('file_name', file)
        if key not in images or PurePath(own).stem != PurePath(file).stem:
            found = f'is {own}' if key in images else 'is not there'
            raise DataError(
                f'{must} Received: image {key!r} {found}, and {file} in the '
                'data set.'
            )
    if count < len(images):
        raise DataError(
            f'{must} Received: {len(images)} images there, whose objects all '
            f'count, and {count} in the data set.'
        )


def _name(dataset) -> str:
    return dataset_name(next(parts_of(dataset)))


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
    meta = next(parts_of(dataset)).metainfo
    counts = {len(classes), len(meta.get('thing_classes', classes))}
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
            f'metainfo.classes of {_name(dataset)}: {classes}. '
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
