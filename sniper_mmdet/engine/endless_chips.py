"""What an IterBasedTrainLoop takes its batches from."""

from collections.abc import Iterator
from itertools import chain, repeat

from mmengine.runner import IterBasedTrainLoop
from torch.utils.data import DataLoader


class EndlessChips:
    """Batches of chips, epoch after epoch.

    In place of mmengine's own iterator, which brings a resumed run to its
    place by as many batches of today's size as it had iterations: to another
    one if the size differs or epochs end in a smaller batch, and in mmengine
    before 0.10.12 by loading them all. Here the sampler stands there already.

    Args:
        loader (DataLoader): Of chips.
        sampler (ChipSampler): The loader's; stands at the first chip.
        passed (int): Batches that the loop asks for before it trains on one.
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
        """What mmengine calls to bring a resumed run to its place."""

    @classmethod
    def put_into(cls, loop: IterBasedTrainLoop, sampler) -> None:
        """Let a loop that is about to run take its batches from here."""
        # mmengine before 0.10.12 asks for each batch that is to be passed.
        asks = not hasattr(loop.dataloader_iterator, 'skip_iter')
        passed = loop.iter if asks else 0
        loop.dataloader_iterator = cls(loop.dataloader, sampler, passed)
