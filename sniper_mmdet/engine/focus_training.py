"""Trains the focus head of a frozen detector."""

from pathlib import Path

from mmengine.config import Config

from .build import checked_runner, own_work_dir


def train_focus_head(cfg: Config, checkpoint: str | Path) -> None:
    """Run the training of a config, and save its last checkpoint.

    Args:
        cfg (Config): Config of a frozen AutoFocus detector, with a
            ``work_dir`` and an IterBasedTrainLoop. There is no validation.
        checkpoint (str | Path): File for the trained detector.

    Raises:
        FileError: A file cannot be written.
        ValueError: See :mod:`~sniper_mmdet.engine.data_checks`.
    """
    for part in ('dataloader', 'evaluator', 'cfg'):
        cfg[f'val_{part}'] = None
    # The config of some 500 lines is a file in the work_dir. What training
    # reports is shown.
    cfg.log_level = 'WARNING'
    with own_work_dir(cfg):
        runner = checked_runner(cfg, 'train')
        for handler in runner.logger.handlers:
            handler.setLevel('INFO')
        runner.train()
    last = Path(cfg.work_dir, 'last_checkpoint').read_text()
    Path(last).replace(checkpoint)
