"""Build the datasets of a config, outside of a runner."""

from mmengine.config import Config

from sniper_mmdet.datasets.reading import build_read, build_unread
from sniper_mmdet.registry import DATASETS


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
    """The dataset of a split ('train', 'val' or 'test'), of whole images.

    If it is a ChipDataset, it is without proposals.

    Raises:
        ValueError: The config has no such split, or a file of it is broken.
    """
    dataset = (cfg.get(f'{split}_dataloader') or {}).get('dataset')
    if dataset is None:
        raise ValueError(f'{cfg.filename} has no {split}_dataloader.dataset.')
    if _is_chip_dataset(dataset):
        # What it mines is of no matter, and may be what is yet to be made.
        return DATASETS.build({**dataset, 'proposals': None})
    return build_read(dataset)


def build_unread_dataset(cfg: Config, split: str):
    """The dataset of a split, for what it is called: no file of it is read.

    None where the config has no such split, and where its class cannot wait
    and its files are not there.
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
    """Keys, sizes and boxes of a split's images, whatever the dataset.

    What is given is a ChipDataset; a plain dataset's is to cut no chip.

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
