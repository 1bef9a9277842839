"""Samples chips, which are mined anew each epoch, for each rank."""

import math
from collections.abc import Iterator
from itertools import islice

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from sniper_mmdet.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class ChipSampler(Sampler):
    """Yields rows of the epoch's chip table instead of indices.

    A row holds all that a worker needs. Workers, even persistent ones, do not
    have to know about a new epoch. All ranks mine the same table and take
    every ``world_size``-th row of the same shuffled order. An iteration
    therefore has the same chips on any number of processes and workers.

    Every epoch has the same number of samples, the number of chips of
    ``dataset.mine(0, 0)`` or ``epoch_size``, so that mmengine's iteration
    counts and schedules are right. An epoch with more chips leaves random ones
    out; an epoch with fewer chips repeats some.

    Args:
        dataset (ChipDataset): The dataset to mine.
        shuffle (bool): Whether to shuffle the chips. Defaults to True.
        seed (int, optional): Seed, the same on all ranks. Defaults to None: a
            random seed that is shared by all ranks.
        round_up (bool): Whether to repeat chips so that all ranks have the
            same number.
        epoch_size (int, optional): Chips per epoch of all ranks together.
            Defaults to None: the number of the first table.
        images_together (int, optional): Number of images from which successive
            chips come. The images take turns, and the next image replaces one
            that has no chip left. This serves
            ``LoadImageByWindow(cache_mb=...)``: with ``batch_size`` times
            workers times ranks, only one worker decodes an image. It needs
            ``shuffle``. Defaults to None: chips come from any image.

    Examples:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from sniper_mmdet.datasets import ChipDataset, ChipSampler
        >>> from sniper_mmdet.datasets.synthetic import (
        ...     SampleSettings, write_sample_data)
        >>> root = Path(tempfile.mkdtemp(), 'sample')
        >>> small = SampleSettings(
        ...     train=2, val=1, seed=0, size=(200, 260), objects=(3, 6),
        ...     max_size=80)
        >>> written = write_sample_data(root, small)
        >>> dataset = ChipDataset(
        ...     dict(type='sniper_mmdet.SampleDataset', data_root=str(root),
        ...          ann_file='train.json', data_prefix=dict(img='images/')),
        ...     scales=[0.5, 1.0], valid_ranges=[(40, None), (0, 64)],
        ...     chip_size=96, stride=10, pipeline=[
        ...         dict(type='LoadImageFromFile'),
        ...         dict(type='mmdet.LoadAnnotations', with_bbox=True),
        ...         dict(type='sniper_mmdet.CutChip'),
        ...         dict(type='mmdet.PackDetInputs')])
        loading annotations into memory...
        Done (t=...s)
        creating index...
        index created!
        >>> sampler = ChipSampler(dataset, seed=0)
        >>> rows = list(sampler)
        >>> len(rows) == len(dataset)
        True
        >>> sampler.set_epoch(1)
        >>> list(sampler) == rows
        False
    """

    def __init__(
        self,
        dataset,
        shuffle: bool = True,
        seed: int | None = None,
        round_up: bool = True,
        epoch_size: int | None = None,
        images_together: int | None = None,
    ) -> None:
        if not hasattr(dataset, 'mine'):
            raise TypeError(
                'ChipSampler needs a ChipDataset. Received: '
                f'{type(dataset).__name__}.'
            )
        self.dataset = dataset
        self.shuffle = shuffle
        self.seed = sync_random_seed() if seed is None else seed
        self.rank, self.world_size = get_dist_info()
        total = len(dataset)
        if total == 0:
            raise ValueError(dataset.why_no_chip())
        if epoch_size is not None:
            total = epoch_size
        if total < 1:
            raise ValueError(
                f'epoch_size must be a positive number. Received: {total}.'
            )
        if images_together is not None and images_together < 1:
            raise ValueError(
                'images_together must be a positive number. Received: '
                f'{images_together}.'
            )
        self.images_together = images_together
        if round_up:
            total = math.ceil(total / self.world_size) * self.world_size
        self.total_size = total
        self.num_samples = len(range(self.rank, total, self.world_size))
        self.epoch = 0
        self._epochs_skipped = self._skipped = 0
        self._mined = None, None, None

    @property
    def table(self) -> np.ndarray:
        """ndarray (C,): the chips of this epoch, of all ranks."""
        key, proposals = (self.seed, self.epoch), self.dataset.proposals
        if self._mined[0] != key or self._mined[1] is not proposals:
            self._mined = key, proposals, self.dataset.mine(*key)
        return self._mined[2]

    def __iter__(self) -> Iterator[np.void]:
        table = self.table
        order = self._order(table)[self.rank :: self.world_size]
        skipped, self._skipped = self._skipped, 0
        return iter(table[order[skipped:]])

    def _order(self, table: np.ndarray) -> np.ndarray:
        """Order of the table's rows, for all ranks together."""
        order = np.arange(len(table))
        if self.shuffle:
            rng = np.random.default_rng([self.seed, self.epoch, 1])
            rng.shuffle(order)
            if self.images_together:
                images = table['image'][order]
                order = order[in_turn(images, self.images_together)]
        return np.resize(order, self.total_size)

    def __len__(self) -> int:
        """Samples per epoch of this rank."""
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Iterate over the chips of this epoch from the next iteration on."""
        self.epoch = epoch + self._epochs_skipped

    def skip(self, samples: int) -> None:
        """Leave out this rank's first samples in the next iteration.

        A resumed run needs this. mmengine's iteration-based loop gives its
        place in the stream of all epochs, and counts epochs from there. The
        place is exact if no epoch ends in a smaller batch.
        """
        # If all samples are skipped the epoch is empty; it is not the next
        # one.
        epochs = max(samples - 1, 0) // self.num_samples
        self._skipped = samples - epochs * self.num_samples
        self._epochs_skipped += epochs
        self.epoch += epochs


def in_turn(images: np.ndarray, together: int) -> np.ndarray:
    """Order chips so that a number of images take turns.

    Each active image gives one chip per round. The next image takes the place
    of an image that has no chip left. Images begin in the order of their first
    chips.

    Args:
        images (ndarray (C,)): The image of each chip, in any order.
        together (int): Number of active images.

    Returns:
        ndarray (C,): Indices into ``images``; those of one image stay in
        order.
    """
    own = {}
    for place, image in enumerate(images.tolist()):
        own.setdefault(image, []).append(place)
    waiting = iter(own.values())
    places = [iter(chips) for chips in islice(waiting, together)]
    order = []
    while places:
        for k, chips in enumerate(places):
            chip = next(chips, None)
            while chip is None and (after := next(waiting, None)) is not None:
                places[k] = chips = iter(after)
                chip = next(chips, None)
            if chip is not None:
                order.append(chip)
        if len(order) == len(images):
            break
    return np.array(order, int)
