"""Meters: seconds of functions, and memory of processes."""

import contextlib
import re
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from unittest import mock


@contextlib.contextmanager
def watch(
    functions: Iterable[tuple[object, str, str]],
    spent: dict[str, float],
    synchronize: Callable[[], object] = lambda: None,
) -> Iterator[None]:
    """Add up the seconds of functions, (owner, name, key), while it lasts.

    Time within a watched function that another one calls counts for the
    inner one alone. ``synchronize`` waits for what a device has yet to do.
    """
    inner = [0.0]  # seconds of what was called, by depth

    def timed(function, key):
        def call(*args, **kwargs):
            synchronize()
            inner.append(0.0)
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                synchronize()
                seconds = time.perf_counter() - start
                spent[key] = spent.get(key, 0.0) + seconds - inner.pop()
                inner[-1] += seconds

        return call

    with contextlib.ExitStack() as stack:
        for owner, name, key in functions:
            call = timed(getattr(owner, name), key)
            stack.enter_context(mock.patch.object(owner, name, call))
        yield


def memory(field: str, process: int | str = 'self') -> int | None:
    """Bytes of a field of a process's status; None where there is none.

    Linux has 'VmRSS' (resident), 'VmHWM' (its peak) and 'RssAnon' (resident
    and the process's own).
    """
    status = Path(f'/proc/{process}/status')
    if not status.exists():
        return None
    found = re.search(rf'{field}:\s*(\d+) kB', status.read_text())
    return int(found[1]) * 1024 if found else None
