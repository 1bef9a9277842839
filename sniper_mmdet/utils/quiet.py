"""Silence for libraries that print their progress."""

import io
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

from mmengine.logging import MMLogger


@contextmanager
def quiet() -> Iterator[None]:
    """A context in which pycocotools prints nothing."""
    # A logger that is made here would write to this stream for ever.
    MMLogger.get_current_instance()
    with redirect_stdout(io.StringIO()):
        yield
