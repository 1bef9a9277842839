"""What becomes of a file that is damaged, for readers of weights."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np


def read_and_measure(
    read: Callable, path: Path, data: bytes
) -> tuple[dict | None, int]:
    """Read a file and check what becomes of it.

    Returns:
        tuple: What was read or None, and how many bytes that took.
    """
    path.touch()
    with path.open('r+b') as file:  # emptying it first takes milliseconds
        file.write(data)
        file.truncate()
    found = None
    tracemalloc.start()
    try:
        found = read(path)
    except ValueError as error:
        message = str(error)
        assert message.startswith(f'{path} cannot be read: ')
        assert message.endswith('.') and '\n' not in message
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    if found is not None:
        assert all(type(name) is str for name in found)
        assert all(type(array) is np.ndarray for array in found.values())
        assert sum(a.nbytes for a in found.values()) < len(data)
    assert peak < 4 * len(data) + 60_000
    return found, peak
