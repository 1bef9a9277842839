"""Builds the datasets of a config, without a runner."""

from mmengine.config import Config

from sniper_mmdet.datasets.reading import build_read, build_unread
from sniper_mmdet.registry import DATASETS
from sniper_mmdet.utils.type_names import name_of


def set_proposals(cfg: Config, path: str) -> None:
    """Make a config mine negative chips from a proposal file.

    Raises:
        ValueError: The config does not train on chips.
    """
    _chip_dataset(cfg)['proposals'] = path


def build_chip_dataset(cfg: Config, proposals: str | None = None):
    """Build the training ChipDataset of a config.

    ``proposals`` replaces the config's proposal file.

    Raises:
        ValueError: The config does not train on chips.
    """
    dataset = _chip_dataset(cfg)
    if proposals is not None:
        dataset = {**dataset, 'proposals': proposals}
    dataset = DATASETS.build(dataset)
    dataset.full_init()
    return dataset


def build_image_dataset(cfg: Config, split: str):
    """Build the whole-image dataset of a split: 'train', 'val' or 'test'.

    A ChipDataset is built without proposals.

    Raises:
        ValueError: The config has no such split, or one of its files is
            broken.
    """
    dataset = (cfg.get(f'{split}_dataloader') or {}).get('dataset')
    if dataset is None:
        raise ValueError(f'{cfg.filename} has no {split}_dataloader.dataset.')
    if _is_chip_dataset(dataset):
        # Its proposals are not needed, and the file may not exist yet.
        return DATASETS.build({**dataset, 'proposals': None})
    return build_read(dataset)


def build_unread_dataset(cfg: Config, split: str):
    """Build the dataset of a split for its metainfo, without reading files.

    Returns None if the config has no such split, or if the class must read its
    files and these do not exist.
    """
    loader = cfg.get(f'{split}_dataloader') or {}
    dataset = loader.get('dataset') or {}
    if 'type' not in dataset:
        return None
    try:
        return build_unread(dataset)
    except (OSError, ValueError):
        return None


def build_boxes_dataset(cfg: Config, split: str):
    """Build a ChipDataset with the keys, sizes and boxes of a split.

    It wraps a plain dataset, too, but is not meant to cut chips then.

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
    return name_of(dataset) == 'ChipDataset'
