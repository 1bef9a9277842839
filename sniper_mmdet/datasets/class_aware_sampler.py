"""Samples chips of all classes equally often, also of rare classes."""

import numpy as np

from sniper_mmdet.chips.trained_classes import trained_classes
from sniper_mmdet.registry import DATA_SAMPLERS

from .chip_sampler import ChipSampler


@DATA_SAMPLERS.register_module()
class ClassAwareChipSampler(ChipSampler):
    """Yields chips class by class, as mmdet's ClassAwareSampler does.

    Differs from its parent: the classes take turns, in a new random order each
    time. A class gives the chips that train a box of it, and repeats one only
    after all. An epoch is as long as the parent's: chips of common classes are
    left out, and chips of rare classes are repeated.

    Args:
        negative_share (float, optional): Share of negative chips, which have
            no class, 0 to 1. Defaults to None: their share in the epoch's
            table.
        *args, **kwargs: Arguments of :class:`ChipSampler`, without ``shuffle``
            and ``images_together``.
    """

    def __init__(
        self, *args, negative_share: float | None = None, **kwargs
    ) -> None:
        if negative_share is not None and not 0 <= negative_share <= 1:
            raise ValueError(
                f'negative_share must be 0 to 1. Received: {negative_share}.'
            )
        for name in 'shuffle', 'images_together':
            if name in kwargs:
                raise ValueError(
                    f'ClassAwareChipSampler samples chips by class, without '
                    f'{name}. Received: {kwargs[name]}.'
                )
        super().__init__(*args, **kwargs)
        self.negative_share = negative_share

    def _order(self, table: np.ndarray) -> np.ndarray:
        data = self.dataset
        given = data.images, data.settings.pyramid, data.box_labels
        chips, labels = trained_classes(table, *given)
        positive = table['positive'][chips]
        chips, labels = chips[positive], labels[positive]
        rng = np.random.default_rng([self.seed, self.epoch, 1])
        negative = np.flatnonzero(~table['positive'])
        share = self.negative_share
        if share is None:
            share = len(negative) / len(table)
        total = self.total_size
        if not len(chips):
            share = 1.0
        count = round(share * total) if len(negative) else 0
        order = in_turns(chips, labels, total - count, rng)
        order = np.concatenate([order, _cycled(negative, count, rng)])
        if count:
            rng.shuffle(order)
        return order


def in_turns(
    chips: np.ndarray,
    labels: np.ndarray,
    total: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Order chips so that their classes take turns.

    Args:
        chips (ndarray (P,)): Chips. A chip of several classes is listed once
            per class.
        labels (ndarray (P,)): The class of each entry.
        total (int): Number of chips to sample.
        rng (Generator): Samples the order of classes, and of a class's chips.

    Returns:
        ndarray (total,): The sampled chips.
    """
    classes, of = np.unique(labels, return_inverse=True)
    if not total or not len(classes):
        return np.zeros(0, int)
    rounds = -(-total // len(classes))
    turns = np.tile(np.arange(len(classes)), (rounds, 1))
    turns = rng.permuted(turns, axis=1).ravel()[:total]
    own = np.argsort(of, kind='stable')
    starts = np.searchsorted(of[own], np.arange(len(classes) + 1))
    when = np.argsort(turns, kind='stable')
    counts = np.bincount(turns, minlength=len(classes))
    drawn = np.empty(total, int)
    place = 0
    for k, count in enumerate(counts.tolist()):
        mine = chips[own[starts[k] : starts[k + 1]]]
        drawn[when[place : place + count]] = _cycled(mine, count, rng)
        place += count
    return drawn


def _cycled(values, count, rng) -> np.ndarray:
    """Cycle through values, in a new random order each time."""
    if not count:
        return values[:0]
    rounds = -(-count // len(values))
    turns = rng.permuted(np.tile(values, (rounds, 1)), axis=1)
    return turns.ravel()[:count]
