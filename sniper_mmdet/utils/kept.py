"""A store of arrays of bounded size."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any


class Kept:
    """Values that were used last, as many as a number of bytes has room for.

    Args:
        most (float): Bytes of all values together. A larger one is not kept.
    """

    def __init__(self, most: float) -> None:
        self.most = most
        self._bytes = 0
        self._values: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Hashable) -> Any | None:
        """The value, which is then the one that was used last, or None."""
        if key not in self._values:
            return None
        self._values.move_to_end(key)
        return self._values[key][0]

    def put(self, key: Hashable, value: Any, size: int) -> None:
        """Keep a value of so many bytes; the oldest make room for it."""
        self._bytes += size - self._values.pop(key, (None, 0))[1]
        self._values[key] = value, size
        while self._bytes > self.most:
            self._bytes -= self._values.popitem(last=False)[1][1]

    def forget(self, chosen: Callable[[Hashable], bool]) -> None:
        """Let go of the values whose keys are chosen."""
        for key in [key for key in self._values if chosen(key)]:
            self._bytes -= self._values.pop(key)[1]
