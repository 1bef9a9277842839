"""Safe download of an archive over HTTP."""

import hashlib
import json
import os
import re
import shutil
import sys
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from sniper_mmdet.moved import getattr_of
from sniper_mmdet.utils.files import (
    FileError,
    claimed,
    why_not_written,
    write_whole,
)

__getattr__ = getattr_of(__name__)

_MB = 10**6
#: Bytes per read; a broken connection loses those of the current read.
_PIECE = 1 << 16
_GZIP = b'\x1f\x8b'
#: Seconds to wait for a connection, and for each further read.
_TIMEOUT = 20
#: Number of connections before a download gives up.
_TRIES = 5
# The name is that of the authors' scripts: some servers refuse an unknown
# agent.
_AGENT = 'github sniper_mmdet'


class _StayOnHttps(HTTPRedirectHandler):
    """Refuses redirections from https to protocols without encryption."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        if req.type == 'https' and not newurl.startswith('https:'):
            raise ValueError(
                f'{req.full_url} leads to {newurl}, which is not https: its '
                'content cannot be trusted.'
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch(url: str, path: Path) -> None:
    """Download a .tar.gz, which appears whole or not at all.

    The received part is kept in ``path.part``, and beside it the server's tag
    of the file. After a broken connection, and at the next call, the rest is
    requested if the server confirms that the file is the same; else the whole
    file. Redirections are followed, but not from https to http.

    Raises:
        OSError: The server does not answer or answers with an error, or the
            connection breaks too often; FileError if the file cannot be
            written.
        ValueError: The response is not such an archive.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with claimed(f'{path}.lock', path):
        try:
            _fetch(url, path)
        except OSError as error:
            if (reason := why_not_written(error)) is None:
                raise
            kept = f'the received part is kept in {path}.part'
            raise FileError(path, f'{reason}; {kept}') from None


def _fetch(url: str, path: Path) -> None:
    part = Path(f'{path}.part')
    elsewhere = f'Download it elsewhere, put it at {path} and run this again.'
    for _ in range(_TRIES):
        tag = _tag_of(part, url)
        start = part.stat().st_size if tag else 0
        kept = f' {start / _MB:.1f} MB are kept in {part}.' if start else ''
        request = Request(url, headers={'User-Agent': _AGENT})
        if start:
            request.add_header('Range', f'bytes={start}-')
            request.add_header('If-Range', tag)
        try:
            opener = build_opener(_StayOnHttps)
            response = opener.open(request, timeout=_TIMEOUT)
        except HTTPError as error:
            # The request was beyond the end: all is there, or the file
            # differs.
            if error.code == 416 and start:
                if error.headers.get('Content-Range') == f'bytes */{start}':
                    _finish(part, path)
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
            if _receive(response, url, part, start, path, tag):
                _finish(part, path)
                return
    size = part.stat().st_size if part.exists() else 0
    raise OSError(
        f'The connection to {url} broke {_TRIES} times: {size / _MB:.1f} MB '
        f'are kept in {part}. Run this again to fetch the rest.'
    )


def _note_of(part: Path) -> Path:
    """Return the file beside a part that has its link and the server's tag."""
    return Path(f'{part}.json')


def _tag_of(part: Path, url: str) -> str:
    """Return the server's tag of a part's file; '' without one."""
    try:
        note = json.loads(_note_of(part).read_text())
        return note['tag'] if note['url'] == url and part.exists() else ''
    except (OSError, ValueError, TypeError, KeyError):
        return ''


def _tag(response: HTTPResponse) -> str:
    """Return the response's tag that identifies a file byte by byte, or ''."""
    tag = response.headers.get('ETag') or 'W/'
    if tag.startswith('W/'):  # a weak tag, of similar files
        tag = response.headers.get('Last-Modified') or ''
    return tag


def _finish(part: Path, path: Path) -> None:
    os.replace(part, path)
    _note_of(part).unlink(missing_ok=True)


def _receive(
    response: HTTPResponse,
    url: str,
    part: Path,
    start: int,
    path: Path,
    tag: str,
) -> bool:
    """Write a response to a part; return whether the file is complete."""
    begin, total = _span(response)
    if begin and (begin != start or _tag(response) != tag):
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
    if not begin:
        part.unlink(missing_ok=True)
        note = json.dumps(dict(url=url, tag=_tag(response)))
        write_whole(_note_of(part), lambda file: file.write_text(note))
    free = shutil.disk_usage(part.parent).free
    if total and total - begin > free:
        more = f'{(total - begin) / _MB:.0f} MB are to come'
        raise FileError(path, f'{more}, and {free / _MB:.0f} MB are free')
    done = begin
    with open(part, 'ab') as file:
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
    """Return where a response begins, and the file's size if known."""
    if response.status == 206:
        given = response.headers.get('Content-Range', '')
        match = re.fullmatch(r'bytes (\d+)-\d+/(\d+|\*)', given)
        if match is None:
            return -1, None  # a part of unknown place
        begin, total = match.groups()
        return int(begin), None if total == '*' else int(total)
    length = response.headers.get('Content-Length')
    return 0, int(length) if length else None


def _read(response: HTTPResponse) -> bytes | None:
    """Read the next piece, empty at the end; None if the connection breaks."""
    try:
        return response.read(_PIECE)
    except (OSError, HTTPException):
        return None


def sha256(path: Path) -> str:
    """Return the SHA-256 digest of a file, hexadecimal."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while piece := file.read(_MB):
            digest.update(piece)
    return digest.hexdigest()
