"""Meters for seconds of functions and memory of processes."""

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
    """Add up the seconds of functions (owner, name, key) in a context.

    Where one watched function calls another, the time of the inner call counts
    for the inner function alone. ``synchronize`` waits until a device has done
    its work.
    """
    inner = [0.0]  # seconds of inner calls, by depth

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
    """Bytes of a field of a process's status; None if there is no such field.

    Linux has 'VmRSS' (resident memory), 'VmHWM' (its peak) and 'RssAnon'
    (resident memory of the process's own).
    """
    status = Path(f'/proc/{process}/status')
    if not status.exists():
        return None
    found = re.search(rf'{field}:\s*(\d+) kB', status.read_text())
    return int(found[1]) * 1024 if found else None
