"""The source of batches of an IterBasedTrainLoop."""

from collections.abc import Iterator
from itertools import chain, repeat

from mmengine.runner import IterBasedTrainLoop
from torch.utils.data import DataLoader


class EndlessChips:
    """Batches of chips, epoch after epoch.

    It replaces mmengine's own iterator, which moves a resumed run to its place
    by skipping as many batches of the present size as it had iterations. The
    place is wrong if the batch size differs, or if epochs end in a smaller
    batch. mmengine before 0.10.12 also loads all these batches. Here the
    sampler already is at its place.

    Args:
        loader (DataLoader): Loader of chips.
        sampler (ChipSampler): Sampler of the loader, at its first chip.
        passed (int): Batches that the loop takes before it trains on one.
            Defaults to 0.
    """

    def __init__(self, loader: DataLoader, sampler, passed: int = 0) -> None:
        self._loader, self._sampler = loader, sampler
        self._batches = chain(repeat(None, passed), self._epochs())

    def _epochs(self) -> Iterator[dict]:
        while len(self._loader):
            yield from self._loader
            self._sampler.set_epoch(self._sampler.epoch + 1)

    def __iter__(self) -> Iterator[dict]:
        return self

    def __next__(self) -> dict:
        return next(self._batches)

    def skip_iter(self, num_iters: int) -> None:
        """Called by mmengine to move a resumed run to its place."""

    @classmethod
    def put_into(cls, loop: IterBasedTrainLoop, sampler) -> None:
        """Make a loop that is about to run take its batches from here."""
        # mmengine before 0.10.12 loads each batch that it skips.
        asks = not hasattr(loop.dataloader_iterator, 'skip_iter')
        passed = loop.iter if asks else 0
        loop.dataloader_iterator = cls(loop.dataloader, sampler, passed)
