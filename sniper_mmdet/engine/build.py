"""Build what a config describes, outside of a runner."""

import copy
import os
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import RUNNERS, init_default_scope
from mmengine.runner import Runner

from sniper_mmdet.models.detectors.runnable import require_runnable
from sniper_mmdet.registry import DATASETS
from sniper_mmdet.utils.files import FileError, claimed, full_disk_at

from .checkpoints import unwrapped
from .hooks import CheckpointFitHook, DataCheckHook, ResumeHook

#: Where launchers tell a process its rank.
_RANKS = dict(pytorch='RANK', slurm='SLURM_PROCID', mpi='OMPI_COMM_WORLD_RANK')


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
    """The runner of a config, of its own type if it names one.

    What it resumes goes on with schedules at their place: a ResumeHook.
    Detections are drawn by our DetectionVisualizationHook where they would be
    by mmdet's, of which it has all settings. A CheckpointFitHook tells where
    a checkpoint is of another detector.

    Raises:
        ValueError: The detector cannot run with this mmdet.
    """
    hook = (cfg.get('default_hooks') or {}).get('visualization') or {}
    kind = hook.get('type')
    if getattr(kind, '__name__', kind) in (
        'DetVisualizationHook',
        'mmdet.DetVisualizationHook',
    ):
        hook['type'] = 'sniper_mmdet.DetectionVisualizationHook'
    named = 'runner_type' in cfg
    runner = RUNNERS.build(cfg) if named else Runner.from_cfg(cfg)
    require_runnable(unwrapped(runner.model))
    runner.register_hook(ResumeHook())
    runner.register_hook(CheckpointFitHook())
    return runner


@contextmanager
def own_work_dir(cfg: Config) -> Iterator[None]:
    """The work directory of a config, for one training at a time.

    Raises:
        FileError: Another training is going on there, or it cannot be written.
    """
    # Building a runner writes there, and comes before ranks are asked for.
    if os.environ.get(_RANKS.get(cfg.get('launcher'), ''), '0') != '0':
        yield
        return
    try:
        Path(cfg.work_dir).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(cfg.work_dir, error.strerror) from None
    lock = Path(cfg.work_dir, '.lock')
    with full_disk_at(cfg.work_dir), claimed(lock, cfg.work_dir):
        yield


def checked_runner(cfg: Config, *splits: str) -> Runner:
    """The runner of a config, the data of some splits read and checked.

    Raises:
        FileError: The work directory cannot be written.
        ValueError: See :mod:`~sniper_mmdet.engine.data_checks`.
    """
    with full_disk_at(cfg.work_dir):
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


def set_proposals(cfg: Config, path: str) -> None:
    """Let a config mine negative chips from a proposal file, of any path.

    Raises:
        ValueError: It does not train on chips.
    """
    _chip_dataset(cfg)['proposals'] = path


def build_chip_dataset(cfg: Config, proposals: str | None = None):
    """The training ChipDataset of a config.

    Its proposal file may be another than the config's.

    Raises:
        ValueError: The config trains on something else.
    """
    dataset = _chip_dataset(cfg)
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


def _chip_dataset(cfg: Config) -> dict:
    dataset = cfg.get('train_dataloader', {}).get('dataset', {})
    if not _is_chip_dataset(dataset):
        raise ValueError(
            f'{cfg.filename}: train_dataloader.dataset.type must be '
            f'sniper_mmdet.ChipDataset. Received: {dataset.get("type")}.'
        )
    return dataset


def _is_chip_dataset(dataset: dict) -> bool:
    return str(dataset.get('type')).split('.')[-1] == 'ChipDataset'
