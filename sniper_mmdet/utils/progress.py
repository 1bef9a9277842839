"""How far a loop is: a bar on a terminal, elsewhere a line now and then."""

import sys
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

from mmengine.utils import ProgressBar

_T = TypeVar('_T')
#: Seconds from one line to the next, where there is no terminal.
SECONDS = 30.0


class Progress:
    """What the first process tells of a loop on stderr; others tell nothing.

    Args:
        total (int): Steps that there should be; 0 where that is not known.
    """

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self.file, self.bar = sys.stderr, None
        self._silent = not _is_first_process()
        self._start = self._told = time.monotonic()
        if total and not self._silent and self.file.isatty():
            self.bar = ProgressBar(total, file=self.file)

    def update(self, num: int = 1) -> None:
        """Count steps that are done."""
        self.done += num
        if self.bar:
            self.bar.update(num)
        elif time.monotonic() - self._told >= SECONDS:
            self._tell()

    def close(self) -> None:
        """Tell where the loop ended; an error, too, starts on a new line."""
        if self.bar:
            self.file.write('\n')
        elif self.done:
            self._tell()

    def _tell(self) -> None:
        if self._silent:
            return
        self._told = time.monotonic()
        total = f'/{self.total}' if self.total else ''
        seconds = self._told - self._start
        self.file.write(f'{self.done}{total}, elapsed: {seconds:.0f}s\n')
        self.file.flush()


def _is_first_process() -> bool:
    if 'torch' not in sys.modules:  # its import takes seconds
        return True
    from mmengine.dist import is_main_process

    return is_main_process()


def track(items: Sequence[_T]) -> Iterator[_T]:
    """The items, one after the other, while it is told how far they are."""
    progress = Progress(len(items))
    try:
        for item in items:
            yield item
            progress.update()
    finally:
        progress.close()
