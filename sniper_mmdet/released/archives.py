"""Safe unpacking of an archive."""

import gzip
import os
import re
import shutil
import zlib
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from tarfile import TarError, TarFile, TarInfo

from sniper_mmdet.utils.files import FileError, whole_file

_MB = 10**6
_GZIP = b'\x1f\x8b'
#: Bounds of the unpacked size: a multiple of the archive's size, and a size
#: that is always allowed. Weights and proposals hardly compress; gzip can
#: compress a thousandfold.
_MOST_TIMES = 20
_MOST = 1000 * _MB


def unpack(path: Path, folder: Path, inside: str = '') -> list[Path]:
    """Unpack a .tar.gz of plain files, after a check of all its members.

    Either all files appear, or none. Links in the folder are followed, such as
    a ``data`` that lies on another disk. Links in the archive could point
    anywhere and are refused. ``inside`` is a subfolder to unpack into: if the
    archive has it too, the archive must have nothing else. Files that macOS
    adds to archives, ``._NAME``, are left out.

    Raises:
        FileError: The disk has no room for the files.
        ValueError: The file is not an archive, is damaged or unpacks to too
            much, or a member would leave the folder or is not a plain file.
    """
    with open(path, 'rb') as file:
        start = file.read(16)
    if not start.startswith(_GZIP):
        raise ValueError(
            f'{path} is no .tar.gz, it starts with {start}: remove it and '
            'run this again.'
        )
    try:
        with _Bounded(path) as stream, TarFile(fileobj=stream) as archive:
            members = [_checked(member, path) for member in archive]
            # Read to the very end, where the checksum is.
            while stream.read(_MB):
                pass
            files = {
                PurePosixPath(member.name): member
                for member in members
                if not PurePosixPath(member.name).name.startswith('._')
            }
            tops = {name.parts[0] for name in files if name.parts}
            if inside not in tops:
                folder = folder / inside
            elif others := sorted(tops - {inside}):
                raise _refused(
                    path, others[0], f'is outside of its folder {inside}'
                )
            files = {
                folder / name: member
                for name, member in files.items()
                if member.isfile()
            }
            for target, member in files.items():
                if not files.keys().isdisjoint(target.parents):
                    raise _refused(path, member.name, 'is in a file')
            _require_room(folder, sum(m.size for m in files.values()))
            with ExitStack() as stack:
                for target, member in files.items():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    part = stack.enter_context(whole_file(target))
                    with part.open('wb') as file:
                        content = archive.extractfile(member)
                        shutil.copyfileobj(content, file, _MB)
            return list(files)
    except (TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(
            f'{path} is damaged ({error}): remove it and run this again to '
            'fetch it anew.'
        ) from None


class _Bounded(gzip.GzipFile):
    """A .gz file with a limit on its unpacked size.

    Raises:
        ValueError: The unpacked size exceeds the limit.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, 'rb')
        self.most = max(_MOST, _MOST_TIMES * path.stat().st_size)

    def read(self, size: int) -> bytes:
        data = super().read(min(size, self.most + 1 - self.tell()))
        self._require(self.tell())
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_SET:  # reads up to there
            self._require(offset)
        return super().seek(offset, whence)

    def _require(self, end: int) -> None:
        if end > self.most:
            raise ValueError(
                f'{self.name} would unpack to more than '
                f'{self.most / _MB:.0f} MB, as no such archive does. Nothing '
                'was unpacked.'
            )


def _checked(member: TarInfo, path: Path) -> TarInfo:
    parts = re.split(r'[/\\]', member.name)
    if not parts[0] or ':' in parts[0] or '..' in parts:
        reason = 'would be written outside of the folder'
    # A sparse file can have any size, whatever the archive's.
    elif member.issparse() or not (member.isfile() or member.isdir()):
        reason = 'is neither a plain file nor a folder'
    else:
        return member
    raise _refused(path, member.name, reason)


def _refused(path: Path, name: str, reason: str) -> ValueError:
    return ValueError(
        f'{path}: its member {name!r} {reason}. Nothing was unpacked.'
    )


def _require_room(folder: Path, size: int) -> None:
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    if size > free:
        need = f'it takes {size / _MB:.0f} MB'
        raise FileError(folder, f'{need}, and {free / _MB:.0f} MB are free')
