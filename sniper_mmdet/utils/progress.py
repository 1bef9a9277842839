"""Progress of a loop: a bar on a terminal, elsewhere a line now and then."""

import sys
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

from mmengine.utils import ProgressBar

_T = TypeVar('_T')
#: Seconds between lines without a terminal.
SECONDS = 30.0


def announce(step: str) -> None:
    """Print a step of a tool on stderr, from the first process only."""
    if _is_first_process():
        print(f'==> {step}', file=sys.stderr, flush=True)


class Progress:
    """Progress of a loop on stderr, printed by the first process only.

    Args:
        total (int): Expected number of steps; 0 if unknown.
    """

    def __init__(self, total: int) -> None:
        self.total, self.done, self._shown = total, 0, 0
        self.file, self.bar = sys.stderr, None
        self._silent = not _is_first_process()
        self._start = self._told = time.monotonic()
        if total and not self._silent and self.file.isatty():
            self.bar = ProgressBar(total, file=self.file)

    def update(self, num: int = 1) -> None:
        """Count finished steps."""
        self.done += num
        if self.bar:
            self.bar.update(num)
        elif time.monotonic() - self._told >= SECONDS:
            self._tell()

    def close(self) -> None:
        """Print the end of the loop, so that an error starts on a new line."""
        if self.bar:
            self.file.write('\n')
        elif self.done > self._shown:
            self._tell()

    def _tell(self) -> None:
        if self._silent:
            return
        self._told, self._shown = time.monotonic(), self.done
        total = f'/{self.total}' if self.total else ''
        seconds = self._told - self._start
        line = f'{self.done}{total}, elapsed: {seconds:.0f}s'
        if self.done < self.total:
            left = seconds * (self.total / self.done - 1)
            line += f', eta: {left:.0f}s'
        self.file.write(f'{line}\n')
        self.file.flush()


def _is_first_process() -> bool:
    if 'torch' not in sys.modules:  # its import is slow
        return True
    from mmengine.dist import is_main_process

    return is_main_process()


def track(items: Sequence[_T]) -> Iterator[_T]:
    """Yield the items, and print the progress."""
    progress = Progress(len(items))
    try:
        for item in items:
            yield item
            progress.update()
    finally:
        progress.close()
