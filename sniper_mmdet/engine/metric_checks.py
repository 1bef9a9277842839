"""Checks that the ground truth of a metric belongs to the tested dataset."""

import os
from pathlib import PurePath

from mmdet.evaluation import CocoMetric, LVISMetric, VOCMetric
from mmengine.logging import print_log

from sniper_mmdet.datasets.annotations import dataset_name
from sniper_mmdet.datasets.classes import check_order, classes_of, parts_of
from sniper_mmdet.evaluation import VisDroneMetric
from sniper_mmdet.evaluation.ground_truth import (
    check_annotations,
    number_annotations,
)

from .detector_checks import DataError

#: Largest number of images by which two files are compared.
_COMPARED = 10000
#: Fields by which boxes and masks are evaluated.
_FIELDS = 'bbox', 'area', 'segmentation'


def check_metric(dataset, metric, path: str | None = None) -> None:
    """Check a metric of mmdet or of this package; others are left alone.

    Annotations that the metric has read from a file get new ids if necessary,
    see :func:`number_annotations`.

    Args:
        dataset (BaseDataset): The dataset of the test.
        metric (BaseMetric): The metric.
        path (str, optional): The metric's ``ann_file``. Defaults to None: it
            is not known.

    Raises:
        ValueError: They do not agree; the error names the files.
    """
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
        if getattr(dataset, '_indices', None) is not None:
            # The objects of images that are left out are not missed.
            infos = map(dataset.get_data_info, range(len(dataset)))
            metric.img_ids = [info['img_id'] for info in infos]
    if getattr(metric, 'format_only', False):
        return
    if lvis is None:  # annotations of LVIS have no iscrowd
        masks = 'segm' in getattr(metric, 'metrics', ())
        check_annotations(truth, path, _FIELDS[: 3 if masks else 2])
    if isinstance(metric, CocoMetric):
        known = set(truth.getCatIds(catNms=classes_of(dataset)))
        found = truth.dataset.get('annotations')
        if found and not any(
            one['category_id'] in known and not one['iscrowd'] for one in found
        ):
            raise _no_box(path, dataset)
    number_annotations(truth)


def _check_own_truth(dataset, metric) -> None:
    """Check that a metric can use the annotations of the dataset itself."""
    known = hasattr(dataset, 'get_data_info')
    if getattr(metric, 'format_only', False) or not known:
        return
    name = _name(dataset)
    paths, is_empty = {}, True
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        is_empty = is_empty and not info.get('instances', True)
        path = info.get('img_path')
        first = paths.setdefault(info.get('img_id', index), path)
        # A VOCMetric counts images by place.
        if first != path and not isinstance(metric, VOCMetric):
            raise DataError(
                f'{name}: images must have ids of their own where '
                f'{type(metric).__name__} has no ann_file. Received: '
                f'{info["img_id"]!r} for {first} and for {path}.'
            )
    if is_empty:
        raise _no_box(name, dataset)
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
    """Check that CocoMetric's labels, in its file's order, are the classes."""
    ids = truth.getCatIds(catNms=classes)
    found = [truth.cats[one]['name'] for one in ids]
    known = [one['name'] for one in truth.cats.values()]
    check_order(classes, found, known, path)
    if metric.classwise and ids != sorted(ids):
        raise DataError(
            f'{path}: categories must be in the order of their ids, by which '
            'CocoMetric(classwise=True) names its results. '
            f'Received: the ids {ids}.'
        )


def _check_images(dataset, images: dict, path: str) -> None:
    """Check that a metric's file has exactly the images of a dataset."""
    files = [getattr(one, 'ann_file', None) for one in parts_of(dataset)]
    count, name = len(dataset), _name(dataset)
    if {os.path.realpath(str(one)) for one in files} == {
        os.path.realpath(path)
    }:
        if count < len(images):
            print_log(
                f'{path} has {len(images)} images, and the dataset uses '
                f'{count} of them: objects of the others count as missed.',
                'current',
            )
        return
    if not hasattr(dataset, 'get_data_info'):  # not one of mmdet
        return
    must = f'{path}, which evaluates {name}, must have the same images.'
    for index in range(0, count, -(-count // _COMPARED) or 1):
        info = dataset.get_data_info(index)
        key, file = info.get('img_id'), info.get('img_path')
        own = images.get(key, {}).get('file_name') or file
        if key not in images or _stem(own) != _stem(file):
            found = f'is {own}' if key in images else 'is missing'
            raise DataError(
                f'{must} Received: image {key!r} {found}, and {file} in the '
                'dataset.'
            )
    if count < len(images):
        raise DataError(
            f'{must} Received: {len(images)} images there, whose objects all '
            f'count, and {count} in the dataset.'
        )


def _no_box(path: str, dataset) -> DataError:
    return DataError(
        f'{path} has no box of a class, besides crowds; are the classes named '
        'as in the annotations? metainfo.classes is '
        f'{classes_of(dataset)}.'
    )


def _stem(path: str | None) -> str:
    return PurePath(path or '').stem


def _name(dataset) -> str:
    return ' and '.join(dict.fromkeys(map(dataset_name, parts_of(dataset))))
