"""Build what a config describes, outside of a runner."""

from argparse import Namespace
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import init_default_scope

from sniper_mmdet.registry import DATASETS


def load_config(path: str, options: dict | None = None) -> Config:
    """Read a config, override options, and enter its default scope."""
    cfg = Config.fromfile(path)
    if options:
        cfg.merge_from_dict(options)
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    return cfg


def run_config(args: Namespace) -> Config:
    """The config of a run, from the command line of train.py or test.py.

    Args:
        args (Namespace): With ``config``, ``cfg_options``, ``launcher`` and
            ``work_dir``; which counts before the config's own, and that
            before the config's file name.
    """
    cfg = load_config(args.config, args.cfg_options)
    cfg.launcher = args.launcher
    name = Path(args.config).stem
    cfg.work_dir = (
        args.work_dir or cfg.get('work_dir') or f'./work_dirs/{name}'
    )
    return cfg


def build_chip_dataset(cfg: Config):
    """The training ChipDataset of a config.

    Raises:
        ValueError: The config trains on something else.
    """
    dataset = cfg.get('train_dataloader', {}).get('dataset', {})
    kind = dataset.get('type')
    if str(kind).split('.')[-1] != 'ChipDataset':
        raise ValueError(
            f'{cfg.filename}: train_dataloader.dataset.type must '
            f'be sniper_mmdet.ChipDataset. Received: {kind}.'
        )
    dataset = DATASETS.build(dataset)
    dataset.full_init()
    return dataset
