"""Super-classes of a config's classes."""

from pathlib import Path

from mmengine.config import Config

from sniper_mmdet.datasets.classes import classes_of, read_categories
from sniper_mmdet.engine.build_data import build_unread_dataset
from sniper_mmdet.engine.checkpoints import read_classes, read_weights
from sniper_mmdet.tuning.super_classes import cluster_classes, group_by_name
from sniper_mmdet.utils.errors import UserError


def groups_by_supercategory(
    cfg: Config, ann_file: str | Path
) -> tuple[list[str], list[int]]:
    """Names of the classes of a config's test data, and their super-classes.

    The supercategories of a COCO file become super-classes, which are numbers.

    Raises:
        UserError: The COCO file lacks a class, or the supercategory of one.
    """
    names = _names(cfg)
    known = {c['name']: c for c in read_categories(str(ann_file))}
    for name in names:
        if not known.get(name, {}).get('supercategory'):
            raise UserError(
                f'{ann_file} must have a supercategory of each class. '
                f'Received: none of {name!r}.'
            )
    return names, group_by_name([known[n]['supercategory'] for n in names])


def groups_by_features(
    cfg: Config, checkpoint: str | Path, num: int, seed: int = 0
) -> tuple[list[str], list[int]]:
    """Names of the classes of a checkpoint, and their super-classes.

    Classes with similar mean features have the same super-class, a number.

    Raises:
        OSError: There is no such file.
        UserError: The checkpoint lacks the mean features of a class.
        ValueError: There cannot be so many super-classes.
    """
    weights = read_weights(checkpoint)
    means = [v for k, v in weights.items() if k.endswith('.fine_means')]
    counts = [v for k, v in weights.items() if k.endswith('.fine_counts')]
    names = read_classes(checkpoint) or _names(cfg)
    if not means or len(means[0]) < len(names):
        raise UserError(
            f'{checkpoint} has no mean features of {len(names)} classes, as a '
            'sniper_mmdet.DecoupledBBoxHead follows them in training.'
        )
    unseen = [n for n, c in zip(names, counts[0], strict=False) if c == 0]
    if unseen:
        raise UserError(
            f'{checkpoint} has seen no object of {len(unseen)} classes, the '
            f'first is {unseen[0]!r}.'
        )
    means = means[0][: len(names)].numpy()
    return names, cluster_classes(means, num, seed)


def _names(cfg: Config) -> list[str]:
    dataset = build_unread_dataset(cfg, 'test')
    names = [] if dataset is None else classes_of(dataset)
    if not names:
        raise UserError(f'{cfg.filename} must name classes of its test data.')
    return names
