"""Files that are written: whole or not at all, by one process at a time."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

try:
    import fcntl
except ImportError:  # Windows has no locks of this kind
    fcntl = None

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: What systems call a disk, a quota or a limit of size that is used up.
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
#: Locked by this process.
_held: set[BinaryIO] = set()


class FileError(OSError):
    """A file cannot be written; the message is a sentence that names it."""


def cannot_write(error: Exception) -> bool:
    """Whether an error says that a file cannot be written, or has no room."""
    full = getattr(error, 'errno', None) in _NO_ROOM
    return full or isinstance(error, FileError)


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """A file to write to that gets its name once it is whole on the disk.

    Its folder must exist. What is to be written ends as ``path`` does, is
    there already and empty, and is removed where an error ends the context;
    what a killed process left is written over. Links are followed; what is
    no file, such as /dev/null, is written to itself.

    Raises:
        FileError: It cannot be written, or another process writes it.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        yield path
        return
    target = Path(os.path.realpath(path))
    part = target.with_name(f'.part-{target.name}')
    try:
        with claimed(part, path):
            os.truncate(part, 0)
            yield part
            with part.open('rb+') as file:
                os.fsync(file.fileno())
            os.replace(part, target)
    except OSError as error:
        if error.errno not in _NO_ROOM or isinstance(error, FileError):
            raise
        raise FileError(
            f'{path} cannot be written: {error.strerror}. Nothing of it is '
            'kept, and what was there before is as it was.'
        ) from None


@contextmanager
def claimed(path: str | Path, what: str | Path) -> Iterator[None]:
    """A file that is this process's own until the context ends, then removed.

    That is kept by a lock, which ends with the process however that ends.

    Args:
        path (str | Path): The file; made if it is not there.
        what (str | Path): What errors name: the thing that it stands for.

    Raises:
        FileError: It cannot be made, or is another process's.
    """
    path = Path(path)
    if fcntl is None:
        path.touch()  # and no more: there an open file cannot be renamed
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
        return
    try:
        file = _locked(path)
        while not _is_at(file, path):  # whose it was took it away meanwhile
            file.close()
            file = _locked(path)
    except BlockingIOError:
        raise FileError(
            f'{what} is being written by another process: wait for its end, '
            'or choose another place.'
        ) from None
    except OSError as error:
        reason = error.strerror
        raise FileError(f'{what} cannot be written: {reason}.') from None
    _held.add(file)
    try:
        yield
    finally:
        if _is_at(file, path):
            path.unlink()
        _held.discard(file)
        file.close()


def write_whole(path: str | Path, save: Callable[[Path], object]) -> None:
    """Write a file by a function of its path; see :func:`whole_file`."""
    with whole_file(path) as part:
        save(part)


def write_figure(path: str | Path, figure: Figure) -> None:
    """Write a figure of matplotlib as a picture, whole."""
    with whole_file(path) as part:
        figure.savefig(part, dpi=100)


def _locked(path: Path) -> BinaryIO:
    """A file, opened and locked where its file system has locks.

    Raises:
        OSError: It cannot be opened; BlockingIOError: another holds the lock.
    """
    file = path.open('ab')
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise
    except OSError:
        pass
    return file


def _is_at(file: BinaryIO, path: Path) -> bool:
    """Whether an open file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _release_in_worker() -> None:
    """A lock must end with the process that took it, not with its workers."""
    while _held:
        _held.pop().close()


if fcntl is not None:
    os.register_at_fork(after_in_child=_release_in_worker)
