"""Files that are written: whole or not at all, by one process at a time."""

from __future__ import annotations

import errno
import json
import os
import shutil
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
    """A file cannot be written: a sentence that names it.

    Args:
        path (str | Path): The file, or what errors are to name.
        reason (str): Why it cannot be written.
    """

    def __init__(self, path: str | Path, reason: object) -> None:
        super().__init__(f'{path} cannot be written: {reason}.')
        self.path = path
        self.reason = str(reason)

    def __reduce__(self) -> tuple:  # by its text another process cannot
        return type(self), (self.path, self.reason)


def why_not_written(error: Exception) -> str | None:
    """The reason, where an error says that a file cannot be written."""
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return f'{error.strerror}; what was there before is as it was'
    return error.reason if isinstance(error, FileError) else None


@contextmanager
def whole_file(path: str | Path, wait: bool = False) -> Iterator[Path]:
    """A file to write to that gets its name once it is whole on the disk.

    Its folder must exist. What is to be written ends as ``path`` does, is
    there already and empty, and is removed where an error ends the context;
    what a killed process left is written over. Links are followed; what is
    no file, such as /dev/null, is written to itself. ``wait`` is that of
    :func:`claimed`.

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
        with claimed(part, path, wait):
            os.truncate(part, 0)
            yield part
            with part.open('rb+') as file:
                os.fsync(file.fileno())
            os.replace(part, target)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise FileError(path, why_not_written(error)) from None


@contextmanager
def full_disk_at(path: str | Path) -> Iterator[None]:
    """Name a folder where a disk is full, and the error names no file.

    For what writes there by itself: a runner its logs and its config.

    Raises:
        FileError: Something cannot be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise FileError(path, error.strerror) from None


@contextmanager
def scratch_folder(path: str | Path) -> Iterator[Path]:
    """A new folder in that of ``path``, for what is to become part of it.

    It is removed when the context ends; what a killed process left in it, when
    the next one begins.

    Raises:
        FileError: It cannot be written, or another process writes there.
    """
    path = Path(path)
    folder = path.with_name(f'.part-{path.name}')
    with claimed(f'{folder}.lock', path):
        try:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            yield folder
        except OSError as error:
            if (reason := why_not_written(error)) is None:
                raise
            raise FileError(path, reason) from None
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def claimed(
    path: str | Path, what: str | Path, wait: bool = False
) -> Iterator[None]:
    """A file that is this process's own until the context ends, then removed.

    That is kept by a lock, which ends with the process however that ends.

    Args:
        path (str | Path): The file; made if it is not there.
        what (str | Path): What errors name: the thing that it stands for.
        wait (bool): For the end of another process that has it. Defaults to
            False: that is an error.

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
        file = _locked(path, wait)
        while not _is_at(file, path):  # whose it was took it away meanwhile
            file.close()
            file = _locked(path, wait)
    except BlockingIOError:
        reason = 'another process does so now; wait for its end, or choose '
        raise FileError(what, f'{reason}another place') from None
    except OSError as error:
        raise FileError(what, error.strerror) from None
    _held.add(file)
    try:
        yield
    finally:
        if _is_at(file, path):
            path.unlink()
        _held.discard(file)
        file.close()


def write_whole(path: str | Path, save: Callable[[Path], object]) -> None:
    """Write a file by a function of its path, at once: the last one counts.

    See :func:`whole_file`.
    """
    with whole_file(path, wait=True) as part:
        save(part)


def write_json(path: Path, content: dict | list) -> None:
    """Write a json file, and the folders that it is in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content)
    write_whole(path, lambda part: part.write_text(text, encoding='utf-8'))


def write_figure(path: str | Path, figure: Figure) -> None:
    """Write a figure of matplotlib as a picture, whole."""
    write_whole(path, lambda part: figure.savefig(part, dpi=100))


def _locked(path: Path, wait: bool) -> BinaryIO:
    """A file, opened and locked where its file system has locks.

    Raises:
        OSError: It cannot be opened; BlockingIOError: another holds the lock.
    """
    file = path.open('ab')
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
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
