"""Samples chips: mined anew each epoch, sharded over ranks."""

import math
from collections.abc import Iterator
from itertools import islice

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from sniper_mmdet.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class ChipSampler(Sampler):
    """Yields chips, as rows of the epoch's chip table, instead of indices.

    The row says all that a worker needs, so that workers, persistent ones
    too, need no word of a new epoch. All ranks mine the same table and take
    every ``world_size``-th row of the same shuffled order: the samples of an
    iteration are the same chips on any number of processes and workers.

    Every epoch has the same number of samples, so that mmengine's iteration
    counts and schedules are true: as many as ``dataset.mine(0, 0)`` gives, or
    ``epoch_size``. An epoch with more chips leaves some out at random; one
    with fewer repeats.

    Args:
        dataset (ChipDataset): What is mined.
        shuffle (bool): Defaults to True.
        seed (int, optional): The same on all ranks. Defaults to None: drawn
            and synchronised.
        round_up (bool): Repeat chips so that all ranks have equally many.
        epoch_size (int, optional): Chips an epoch, of all ranks together.
            Defaults to None: as many as the first table has.
        images_together (int, optional): Chips in a row are of so many images,
            one of each in turn, and of the next image where one has no more:
            for ``LoadImageByWindow(cache_mb=...)``. If it is ``batch_size``
            times workers times ranks, one worker alone decodes an image.
            Without effect unless ``shuffle``. Defaults to None: of any image.
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
        """ndarray (C,): all chips mined for this epoch, over all ranks."""
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
        """Rows of the table, for all ranks together."""
        order = np.arange(len(table))
        if self.shuffle:
            rng = np.random.default_rng([self.seed, self.epoch, 1])
            rng.shuffle(order)
            if self.images_together:
                images = table['image'][order]
                order = order[in_turn(images, self.images_together)]
        return np.resize(order, self.total_size)

    def __len__(self) -> int:
        """Samples of this rank an epoch."""
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """The next iteration is over the chips of this epoch."""
        self.epoch = epoch + self._epochs_skipped

    def skip(self, samples: int) -> None:
        """The next iteration leaves out this rank's first samples.

        For a run that is resumed. mmengine's iteration-based loop names its
        place in the stream of all epochs, and counts epochs from there;
        that is exact where no epoch ends in a smaller batch.
        """
        # All samples of an epoch leave an empty one, not the next.
        epochs = max(samples - 1, 0) // self.num_samples
        self._skipped = samples - epochs * self.num_samples
        self._epochs_skipped += epochs
        self.epoch += epochs


def in_turn(images: np.ndarray, together: int) -> np.ndarray:
    """An order in which so many images take turns.

    Each of the images that are under way has its place, and gives one chip a
    round; one that has no more leaves its place to the next image. Images
    begin in the order in which they come first.

    Args:
        images (ndarray (C,)): Each chip's image, in any order.
        together (int): How many images are under way.

    Returns:
        ndarray (C,): Places in ``images``; those of one image stay in order.
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
