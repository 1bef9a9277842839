"""A cache of arrays with a bounded size."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any


class Kept:
    """The most recently used values, up to a number of bytes.

    Args:
        most (float): Upper bound of the bytes of all values together. A larger
            value is not kept.
    """

    def __init__(self, most: float) -> None:
        self.most = most
        self._bytes = 0
        self._values: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Hashable) -> Any | None:
        """Return the value of a key, and mark it as just used; or None."""
        if key not in self._values:
            return None
        self._values.move_to_end(key)
        return self._values[key][0]

    def put(self, key: Hashable, value: Any, size: int) -> None:
        """Keep a value of ``size`` bytes; the oldest make room for it."""
        self._bytes += size - self._values.pop(key, (None, 0))[1]
        self._values[key] = value, size
        while self._bytes > self.most:
            self._bytes -= self._values.popitem(last=False)[1][1]
