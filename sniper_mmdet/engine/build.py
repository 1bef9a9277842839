"""Build what a config describes, outside of a runner."""

import copy
from argparse import Namespace
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import RUNNERS, init_default_scope
from mmengine.runner import Runner

from sniper_mmdet.registry import DATASETS

from .hooks.data_check_hook import DataCheckHook


def load_config(path: str, options: dict | None = None) -> Config:
    """Read a config, override options, and enter its default scope."""
    cfg = Config.fromfile(path)
    if options:
        cfg.merge_from_dict(options)
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    return cfg


def run_config(args: Namespace) -> Config:
    """The config of a run, from the command line of train.py or test.py.

    Its ``--work-dir`` counts before the config's own, and that before the
    config's file name.
    """
    cfg = load_config(args.config, args.cfg_options)
    cfg.launcher = args.launcher
    own = cfg.get('work_dir') or f'./work_dirs/{Path(args.config).stem}'
    cfg.work_dir = args.work_dir or own
    return cfg


def build_runner(cfg: Config) -> Runner:
    """The runner of a config, of its own type if it names one."""
    if 'runner_type' in cfg:
        return RUNNERS.build(cfg)
    return Runner.from_cfg(cfg)


def checked_runner(cfg: Config, *splits: str) -> Runner:
    """The runner of a config, the data of some splits read and checked.

    Raises:
        ValueError: See :mod:`~sniper_mmdet.engine.data_checks`.
    """
    runner = build_runner(cfg)
    found = [one for one in runner.hooks if isinstance(one, DataCheckHook)]
    hook = found[0] if found else DataCheckHook()
    if not found:
        runner.register_hook(hook)
    hook.check(runner, *splits)
    return runner


def require_pretrained(cfg: Config) -> None:
    """See that the file that the backbone starts from is there.

    Raises:
        FileNotFoundError: It is not.
    """
    backbone = cfg.get('model', {}).get('backbone') or {}
    path = (backbone.get('init_cfg') or {}).get('checkpoint') or ''
    if not path or '://' in path or Path(path).exists():
        return
    raise FileNotFoundError(
        f'{path}, which model.backbone.init_cfg names, is missing. The '
        'networks that the released detectors start from are fetched by '
        'python tools/download_weights.py pretrained; --cfg-options '
        'model.backbone.init_cfg=None starts from random weights.'
    )


def build_chip_dataset(cfg: Config, proposals: str | None = None):
    """The training ChipDataset of a config.

    Its proposal file may be another than the config's.

    Raises:
        ValueError: The config trains on something else.
    """
    dataset = cfg.get('train_dataloader', {}).get('dataset', {})
    if not _is_chip_dataset(dataset):
        raise ValueError(
            f'{cfg.filename}: train_dataloader.dataset.type must be '
            f'sniper_mmdet.ChipDataset. Received: {dataset.get("type")}.'
        )
    if proposals is not None:
        dataset = {**dataset, 'proposals': proposals}
    dataset = DATASETS.build(dataset)
    dataset.full_init()
    return dataset


def build_image_dataset(cfg: Config, split: str):
    """The data set of a split ('train', 'val' or 'test'), of whole images.

    If it is a ChipDataset, it is without proposals.

    Raises:
        ValueError: The config has no such split.
    """
    dataset = (cfg.get(f'{split}_dataloader') or {}).get('dataset')
    if dataset is None:
        raise ValueError(f'{cfg.filename} has no {split}_dataloader.dataset.')
    if _is_chip_dataset(dataset):
        # What it mines is of no matter, and may be what is yet to be made.
        dataset = {**dataset, 'proposals': None}
    return DATASETS.build(dataset)


def build_unread_dataset(cfg: Config, split: str):
    """The data set of a split, for what it is called: no file of it is read.

    None where the config has no such split.
    """
    loader = cfg.get(f'{split}_dataloader') or {}
    dataset = copy.deepcopy(loader.get('dataset') or {})
    if 'type' not in dataset:
        return None
    return DATASETS.build(dict(dataset, lazy_init=True))


def build_boxes_dataset(cfg: Config, split: str):
    """Keys, sizes and boxes of a split's images, whatever the data set.

    What is given is a ChipDataset; a plain data set's is to cut no chip.

    Raises:
        ValueError: The config has no such split.
    """
    dataset = build_image_dataset(cfg, split)
    if not hasattr(dataset, 'mine'):
        chips = dict(type='sniper_mmdet.ChipDataset', scales=[1.0])
        dataset = DATASETS.build(dict(chips, dataset=dataset))
    dataset.full_init()
    return dataset


def _is_chip_dataset(dataset: dict) -> bool:
    return str(dataset.get('type')).split('.')[-1] == 'ChipDataset'
