"""Builds configs, runners and datasets."""

import os
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import RUNNERS, init_default_scope
from mmengine.runner import Runner
from torch import nn

from sniper_mmdet.models.detectors.runnable import require_runnable
from sniper_mmdet.utils.files import FileError, claimed, full_disk_at

from .build_data import (  # noqa: F401  # also available here
    build_boxes_dataset,
    build_chip_dataset,
    build_image_dataset,
    build_unread_dataset,
    set_proposals,
)
from .checkpoints import unwrapped
from .hooks import CheckpointFitHook, DataCheckHook, ResumeHook

#: Environment variables in which launchers give a process its rank.
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

    ``--work-dir`` overrides the config's own work_dir. Without either the file
    name of the config gives the folder.
    """
    cfg = load_config(args.config, args.cfg_options)
    cfg.launcher = args.launcher
    own = cfg.get('work_dir') or f'./work_dirs/{Path(args.config).stem}'
    cfg.work_dir = args.work_dir or own
    return cfg


def build_runner(cfg: Config) -> Runner:
    """Build the runner of a config, of the config's own type if it has one.

    Three hooks are added. ResumeHook moves the schedules of a resumed run to
    their place. DetectionVisualizationHook replaces mmdet's hook and has all
    its settings. CheckpointFitHook reports a checkpoint of another detector.

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
    runner.register_hook(CheckpointFitHook())
    runner.register_hook(ResumeHook())
    return runner


@contextmanager
def own_work_dir(cfg: Config) -> Iterator[None]:
    """Lock the work directory of a config for one training at a time.

    Raises:
        FileError: Another training runs there, or it cannot be written.
    """
    # Building a runner writes there, before the ranks are known.
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
    """Build the runner of a config, and read and check the data of splits.

    A runner that builds its detector when it runs is checked then.

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
    if isinstance(runner.model, nn.Module):
        hook.check(runner, *splits)
    return runner


def require_pretrained(cfg: Config) -> None:
    """Check that the file that initialises the backbone exists.

    Raises:
        FileNotFoundError: It does not.
    """
    model = cfg.get('model', {})
    if str(model.get('type')).endswith('AutoFocus') and model.get('frozen'):
        return  # a checkpoint has all its weights
    backbone = model.get('backbone') or {}
    path = (backbone.get('init_cfg') or {}).get('checkpoint') or ''
    if not path or '://' in path or Path(path).exists():
        return
    raise FileNotFoundError(
        f'{path}, which model.backbone.init_cfg names, is missing. python '
        'tools/download_weights.py pretrained downloads the networks from '
        'which the released detectors start; --cfg-options '
        'model.backbone.init_cfg=None starts from random weights.'
    )
