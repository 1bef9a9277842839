"""Fetches an archive over HTTP and unpacks it, without trusting either."""

import gzip
import hashlib
import os
import re
import shutil
import sys
import zlib
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath
from tarfile import TarError, TarFile, TarInfo
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from sniper_mmdet.utils.files import whole_file

_MB = 10**6
#: Bytes read at once; what of them came when the connection breaks is lost.
_PIECE = 1 << 16
_GZIP = b'\x1f\x8b'
#: Seconds to wait for a connection, and for each further piece.
_TIMEOUT = 20
#: Connections before a download is given up for this time.
_TRIES = 5
# Named as in the authors' own scripts: some servers refuse an unknown agent.
_AGENT = 'github sniper_mmdet'


def fetch(url: str, path: Path) -> None:
    """Fetch a .tar.gz, which appears whole or not at all.

    What came so far is kept in ``path.part``; the rest is asked for when the
    connection breaks, and at the next call. Redirections are followed.

    Raises:
        OSError: Nothing answers, or with an error, or the connection breaks
            again and again.
        ValueError: What comes is no such archive.
    """
    part = Path(f'{path}.part')
    path.parent.mkdir(parents=True, exist_ok=True)
    elsewhere = f'Download it elsewhere, put it at {path} and run this again.'
    for _ in range(_TRIES):
        start = part.stat().st_size if part.exists() else 0
        kept = f' {start / _MB:.1f} MB are kept in {part}.' if start else ''
        request = Request(url, headers={'User-Agent': _AGENT})
        if start:
            request.add_header('Range', f'bytes={start}-')
        try:
            response = urlopen(request, timeout=_TIMEOUT)
        except HTTPError as error:
            # Asked for what follows the end: all is there, or of another file.
            if error.code == 416 and start:
                if error.headers.get('Content-Range') == f'bytes */{start}':
                    os.replace(part, path)
                    return
                part.unlink()
                continue
            moved = f' leads to {error.url}, which' if error.url != url else ''
            raise OSError(
                f'{url}{moved} answered {error.code} {error.reason}. '
                f'{elsewhere}{kept}'
            ) from None
        except (OSError, HTTPException) as error:
            reason = getattr(error, 'reason', error)
            raise OSError(
                f'No network: {url} could not be reached ({reason}). '
                f'{elsewhere}{kept}'
            ) from None
        with response:
            if _receive(response, url, part, start, path):
                os.replace(part, path)
                return
    size = part.stat().st_size if part.exists() else 0
    raise OSError(
        f'The connection to {url} broke {_TRIES} times: {size / _MB:.1f} MB '
        f'are kept in {part}. Run this again to fetch the rest.'
    )


def _receive(
    response: HTTPResponse, url: str, part: Path, start: int, path: Path
) -> bool:
    """Write an answer at the end of part, or anew; whether it is whole."""
    begin, total = _span(response)
    if begin not in (0, start):
        part.unlink(missing_ok=True)
        return False
    piece = _read(response)
    if piece is None or (not begin and len(piece) < min(total or 0, 2)):
        return False
    if not begin and not piece.startswith(_GZIP):
        kind = response.headers.get_content_type()
        page = 'html' in kind or piece.lstrip().startswith(b'<')
        raise ValueError(
            f'{url} gave {"a web page" if page else "something"} ({kind}), '
            f'not an archive. Open {response.url} in a browser, save the '
            f'archive as {path} and run this again.'
        )
    done = begin
    with open(part, 'ab' if begin else 'wb') as file:
        while piece:
            file.write(piece)
            done += len(piece)
            if sys.stdout.isatty():
                of = f' of {total / _MB:.0f}' if total else ''
                print(f'\r{done / _MB:.0f}{of} MB', end='', flush=True)
            piece = _read(response)
    if sys.stdout.isatty():
        print()
    return piece is not None and total in (None, done)


def _span(response: HTTPResponse) -> tuple[int, int | None]:
    """Where an answer begins, and the size of the file if it is told."""
    if response.status == 206:
        given = response.headers.get('Content-Range', '')
        match = re.fullmatch(r'bytes (\d+)-\d+/(\d+|\*)', given)
        if match is None:
            return -1, None  # of a part that is nowhere
        begin, total = match.groups()
        return int(begin), None if total == '*' else int(total)
    length = response.headers.get('Content-Length')
    return 0, int(length) if length else None


def _read(response: HTTPResponse) -> bytes | None:
    """The next piece, empty at the end; None where the connection breaks."""
    try:
        return response.read(_PIECE)
    except (OSError, HTTPException):
        return None


def sha256(path: Path) -> str:
    """The digest of a file, hexadecimal."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while piece := file.read(_MB):
            digest.update(piece)
    return digest.hexdigest()


def unpack(path: Path, folder: Path, inside: str = '') -> list[Path]:
    """Unpack a .tar.gz of plain files; all of it is checked first.

    Links in the folder are followed, as that of a ``data`` that lies on
    another disk; so links of the archive, which could point anywhere, are
    refused. ``inside`` is a folder therein to unpack in, unless the archive
    has it too.

    Raises:
        ValueError: It is none, or damaged, or a member would leave the folder
            or is no plain file.
    """
    with open(path, 'rb') as file:
        start = file.read(16)
    if not start.startswith(_GZIP):
        raise ValueError(
            f'{path} is no .tar.gz, it starts with {start}: remove it and '
            'run this again.'
        )
    try:
        with TarFile.open(path, 'r:gz') as archive:
            members = [_checked(member, path) for member in archive]
            # To the very end, where the checksum is.
            while archive.fileobj.read(_MB):
                pass
            tops = {PurePosixPath(member.name).parts[:1] for member in members}
            if (inside,) not in tops:
                folder = folder / inside
            files = [member for member in members if member.isfile()]
            return [_write(archive, member, folder) for member in files]
    except (TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(
            f'{path} is damaged ({error}): remove it and run this again to '
            'fetch it anew.'
        ) from None


def _checked(member: TarInfo, path: Path) -> TarInfo:
    parts = re.split(r'[/\\]', member.name)
    if not parts[0] or ':' in parts[0] or '..' in parts:
        reason = 'would be written outside of the folder'
    elif not (member.isfile() or member.isdir()):
        reason = 'is neither a file nor a folder'
    else:
        return member
    raise ValueError(
        f'{path}: its member {member.name!r} {reason}. Nothing was unpacked.'
    )


def _write(archive: TarFile, member: TarInfo, folder: Path) -> Path:
    target = folder / member.name
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(target) as part, open(part, 'wb') as file:
        shutil.copyfileobj(archive.extractfile(member), file, _MB)
    return target
