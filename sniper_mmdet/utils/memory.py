"""How Python uses memory."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_garbage() -> Iterator[None]:
    """A time in which Python does not look for objects that are in circles.

    It looks through all objects again and again while millions are made, as
    of a large json. That takes longer than to make them.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
