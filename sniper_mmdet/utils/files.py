"""Writing of files: whole or not at all, by one process at a time."""

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
except ImportError:  # Windows has no such locks
    fcntl = None

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Error numbers of a full disk, a used up quota or a limit of size.
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
#: Files that this process has locked.
_held: set[BinaryIO] = set()


def file_state(path: str | Path) -> tuple[int, int]:
    """Return size and time of a file, to see later whether it has changed."""
    state = os.stat(path)
    return state.st_size, state.st_mtime_ns


class FileError(OSError):
    """A file cannot be written; the text is a sentence that names it.

    Args:
        path (str | Path): The file, or another name for the error message.
        reason (str): Reason of the failure.
    """

    def __init__(self, path: str | Path, reason: object) -> None:
        super().__init__(f'{path} cannot be written: {reason}.')
        self.path = path
        self.reason = str(reason)

    def __reduce__(self) -> tuple:  # the text alone cannot be unpickled
        return type(self), (self.path, self.reason)


def why_not_written(error: Exception) -> str | None:
    """Return the reason if an error says that a file cannot be written."""
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return f'{error.strerror}; a previous file is unchanged'
    return error.reason if isinstance(error, FileError) else None


@contextmanager
def whole_file(path: str | Path, wait: bool = False) -> Iterator[Path]:
    """A context with a file that gets its name when it is complete on disk.

    The folder must exist. The context gives an empty file with the suffix of
    ``path``. An error removes it; the remains of a killed process are
    overwritten. Links are followed. A path that is not a file, such as
    /dev/null, is written directly. For ``wait`` see :func:`claimed`.

    Raises:
        FileError: The file cannot be written, or another process writes it.
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
    """A context that names a folder in errors of a full disk.

    It is for code that writes there by itself, such as a runner that writes
    logs and its config, and whose errors name no file.

    Raises:
        FileError: A file cannot be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise FileError(path, error.strerror) from None


@contextmanager
def scratch_folder(path: str | Path) -> Iterator[Path]:
    """A context with a temporary folder beside ``path``, for its parts.

    The end of the context removes it; the remains of a killed process are
    removed by the next one.

    Raises:
        FileError: The folder cannot be written, or another process writes
            there.
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
    """A context with a file that only this process may use, then removed.

    A lock guards the file. The lock ends with the process, however that ends.

    Args:
        path (str | Path): The file; it is made if it does not exist.
        what (str | Path): Name for error messages, that of the guarded file.
        wait (bool): Whether to wait for another process that has the file.
            Defaults to False: raise an error.

    Raises:
        FileError: The file cannot be made, or another process has it.
    """
    path = Path(path)
    if fcntl is None:
        path.touch()  # no lock: Windows cannot rename an open file
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
        return
    try:
        file = _locked(path, wait)
        while not _is_at(file, path):  # its owner removed it meanwhile
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
    """Write a file by a function of its path; the last writer counts.

    See :func:`whole_file`.
    """
    with whole_file(path, wait=True) as part:
        save(part)


def write_json(path: Path, content: dict | list) -> None:
    """Write a json file; its folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content)
    write_whole(path, lambda part: part.write_text(text, encoding='utf-8'))


def write_figure(path: str | Path, figure: Figure) -> None:
    """Write a figure of matplotlib to an image file, whole."""
    write_whole(path, lambda part: figure.savefig(part, dpi=100))


def _locked(path: Path, wait: bool) -> BinaryIO:
    """Open a file, and lock it if the file system has locks.

    Raises:
        OSError: The file cannot be opened; BlockingIOError: another process
            holds the lock.
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
    """Whether a path still leads to an open file."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _release_in_worker() -> None:
    """Release locks in a worker: they belong to the parent process."""
    while _held:
        _held.pop().close()


if fcntl is not None:
    os.register_at_fork(after_in_child=_release_in_worker)
