"""Splits into images to tune on and images to measure on."""

import os.path as osp
from collections.abc import Sequence

import numpy as np
from mmengine.config import Config

from sniper_mmdet.apis.comparison import first_evaluator
from sniper_mmdet.datasets.annotations import dataset_name
from sniper_mmdet.datasets.coco_reader import reads_coco
from sniper_mmdet.datasets.reading import build_read, build_unread

#: A config with test data, and the indices of some of its images.
Images = tuple[Config, list[int]]


def splits(cfg: Config, split: str, num: int = 0) -> tuple[Images, Images]:
    """Choose images to tune on and images to measure on.

    Args:
        cfg (Config): Config with test data and a CocoMetric.
        split (str): 'val': tune on every second image of the test data,
            measure on the others; 'train': tune on the training data, measure
            on all test data.
        num (int): Number of images of each, at even intervals; 0 for all.
            Defaults to 0.

    Raises:
        OSError: An annotation file does not exist.
        ValueError: One of them has no box, or the training data do not allow a
            test.
    """
    tested = build_read(cfg.test_dataloader.dataset)
    every = range(len(tested))
    if split == 'train':
        trained = training_as_test(cfg)
        tuning = trained, build_read(trained.test_dataloader.dataset)
        parts = range(len(tuning[1])), every
    else:
        tuning, parts = (cfg, tested), (every[::2], every[1::2])
    own, others = (_drawn(part, num) for part in parts)
    _require_boxes(tuning[1], own, 'tune')
    _require_boxes(tested, others, 'measure')
    return (tuning[0], own), (cfg, others)


def training_as_test(cfg: Config) -> Config:
    """Make a config that tests on the whole images of the training data.

    Raises:
        ValueError: The training data are not one data set in COCO's format.
    """
    data = _innermost((cfg.get('train_dataloader') or {}).get('dataset') or {})
    if not data.get('ann_file') or not reads_coco(build_unread(data)):
        raise ValueError(
            f'{cfg.filename}: to tune on training data, train_dataloader must '
            'have one data set in the format of COCO. Received: '
            f'{data.get("type")}.'
        )
    pipeline = _innermost(cfg.test_dataloader.dataset).pipeline
    data = {key: data[key] for key in data if key != 'filter_cfg'}
    data.update(pipeline=pipeline, test_mode=True)
    path = osp.join(data.get('data_root') or '', data['ann_file'])
    evaluator = dict(first_evaluator(cfg), ann_file=path)
    test = dict(test_dataloader=dict(dataset=data), test_evaluator=evaluator)
    return Config(test)


def _innermost(dataset: dict) -> dict:
    while 'dataset' in dataset:
        dataset = dataset['dataset']
    return dataset


def _drawn(indices: Sequence[int], num: int) -> list[int]:
    """Return ``num`` indices at even intervals."""
    places = np.arange(len(indices))
    if 0 < num < len(indices):
        places = np.linspace(0, len(indices) - 1, num).round().astype(int)
    return [indices[place] for place in places.tolist()]


def _require_boxes(dataset, indices: list[int], task: str) -> None:
    infos = map(dataset.get_data_info, indices)
    boxes = [one for info in infos for one in info['instances']]
    if all(one['ignore_flag'] for one in boxes):
        raise ValueError(
            f'{dataset_name(dataset)}: the images to {task} on must have '
            f'boxes. Received: {len(indices)} image(s) with no box.'
        )
