"""Reads csv files of millions of rows, each an id, a name and numbers.

A file is mapped and read in blocks of rows. Memory is needed for one block,
and for the data that the caller keeps. Fields may be in double quotes, but
must not contain commas or quotes.
"""

from collections.abc import Iterator, Sequence
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sniper_mmdet.chips.compiled import njit
from sniper_mmdet.utils.errors import UserError

#: Kinds of fields; a number's kind is its place, from 0 on.
SKIPPED, ID, NAME = -1, -2, -3
_BLOCK = 1 << 18
_COMMA, _QUOTE, _LINE, _RETURN = (ord(c) for c in ',"\n\r')
_MINUS, _PLUS, _DOT, _ZERO, _E = (ord(c) for c in '-+.0e')


class Rows(NamedTuple):
    """A block of rows.

    Attributes:
        ids (ndarray (R,)): Bytes, the id of each run of rows with one id.
        counts (ndarray (R,)): int64, number of rows of each run.
        names (ndarray (N,)): int32, index of each row's name, -1: unknown.
        numbers (ndarray (N, K)): float64.
        first_unknown (tuple | None): Line and text of the first unknown name.
        lines (ndarray (N,)): int64, line of each row in the file, from 1.
    """

    ids: np.ndarray
    counts: np.ndarray
    names: np.ndarray
    numbers: np.ndarray
    first_unknown: tuple[int, str] | None
    lines: np.ndarray


def read_rows(
    path: Path | str,
    fields: Sequence[str],
    kinds: Sequence[int],
    known: Sequence[str],
    has_header: bool = True,
    block: int = _BLOCK,
) -> Iterator[Rows]:
    """Yield the rows of a csv file, block by block.

    Args:
        path (Path | str): The file.
        fields (Sequence[str]): Names of the fields.
        kinds (Sequence[int]): Kind of each field: :data:`ID`, :data:`NAME`,
            :data:`SKIPPED`, or the place of a number.
        known (Sequence[str]): The known names; a row has the index of one.
        has_header (bool): Whether the first line names the fields.
        block (int): Number of rows per block.

    Raises:
        UserError: A row is broken; the error names the file and the line.
    """
    with open(path, 'rb') as file:
        if not file.read(1):
            return
        text = np.frombuffer(mmap(file.fileno(), 0, access=ACCESS_READ), 'u1')
    kinds = np.array(kinds, np.int64)
    names, bounds, table = _name_table(known)
    place, line = _after_header(text, has_header)
    while place < len(text):
        starts = np.zeros((block, 2), np.int64)
        labels, lines = np.zeros(block, np.int32), np.zeros(block, np.int64)
        numbers = np.zeros((block, max(kinds.max() + 1, 0)))
        unknown = np.full(3, -1, np.int64)
        out = starts, labels, lines, numbers, unknown
        args = text, place, line, kinds, names, bounds, table
        count, place, line, fault = _scan(*args, *out)
        if fault >= 0:
            _fail(path, fields, text, place, line, fault)
        if not count:
            break
        fresh = np.ones(count, bool)
        fresh[1:] = starts[1:count, 0] != starts[: count - 1, 0]
        first = np.flatnonzero(fresh)
        runs = np.diff(np.append(first, count))
        ids = _gather(text, starts[first])
        told = None
        if unknown[0] >= 0:
            told = int(unknown[2]), _text(text, unknown[0], unknown[1])
        yield Rows(
            ids, runs, labels[:count], numbers[:count], told, lines[:count]
        )


def _text(text: np.ndarray, start: int, end: int) -> str:
    return text[start:end].tobytes().decode(errors='replace')


def _after_header(text: np.ndarray, has_header: bool) -> tuple[int, int]:
    """Offset and number of the first line with a row."""
    if not has_header:
        bom = text[:3].tobytes() == b'\xef\xbb\xbf'
        return 3 * bom, 1
    head = text[: 1 << 16].tobytes().find(b'\n')
    return (len(text) if head < 0 else head + 1), 2


def _fail(path, fields, text, start, line, fault) -> None:
    whole = text[start : start + 10000].tobytes().split(b'\n')[0]
    whole = whole.decode(errors='replace').rstrip('\r')
    if fault == len(fields):
        found = len(whole.split(','))
        raise UserError(
            f'{path}, row {line}: must have the {len(fields)} fields '
            f'{",".join(fields)}. Received: {found}, {whole!r:.200}.'
        )
    raise UserError(
        f'{path}, row {line}: {fields[fault]} must be a number. Received: '
        f'{whole.split(",")[fault]!r:.200}.'
    )


def _gather(text: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """Bytes (R,) of spans (R, 2), which are start and end."""
    lengths = spans[:, 1] - spans[:, 0]
    wide = max(int(lengths.max(initial=0)), 1)
    columns = np.arange(wide)
    places = np.minimum(spans[:, :1] + columns, len(text) - 1)
    found = np.where(columns < lengths[:, None], text[places], 0)
    return np.ascontiguousarray(found.astype(np.uint8)).view(f'S{wide}')[:, 0]


def _name_table(known: Sequence[str]) -> tuple[np.ndarray, ...]:
    """Names as joined bytes, the end of each, and a hash table of them."""
    encoded = [name.encode() for name in known]
    names = np.frombuffer(b''.join(encoded) or b'\0', np.uint8)
    bounds = np.cumsum([0, *map(len, encoded)])
    table = np.full(1 << (2 * len(known) + 2).bit_length(), -1, np.int64)
    for index in range(len(known)):
        slot = _hash(names, bounds[index], bounds[index + 1]) % len(table)
        while table[slot] >= 0:
            slot = (slot + 1) % len(table)
        table[slot] = index
    return names, bounds, table


@njit
def _hash(text, start, end):
    """The hash FNV-1a, 31 bits."""
    value = 2166136261
    for k in range(start, end):
        value = ((value ^ text[k]) * 16777619) & 0xFFFFFFFF
    return value >> 1


@njit
def _find(text, start, end, names, bounds, table):
    """Index of the name in a field; -1 if it is unknown."""
    slot = _hash(text, start, end) % len(table)
    while table[slot] >= 0:
        index = table[slot]
        first = bounds[index]
        same = bounds[index + 1] - first == end - start
        k = 0
        while same and k < end - start:
            same = names[first + k] == text[start + k]
            k += 1
        if same:
            return index
        slot = (slot + 1) % len(table)
    return -1


@njit
def _number(text, start, end):
    """Parse a decimal number; returns it, and whether it is one."""
    sign, value, scale = 1.0, 0.0, 1.0
    k = start
    if k < end and (text[k] == _MINUS or text[k] == _PLUS):
        sign = -1.0 if text[k] == _MINUS else 1.0
        k += 1
    digits = 0
    has_dot = False
    while k < end:
        digit = text[k] - _ZERO
        if text[k] == _DOT and not has_dot:
            has_dot = True
        elif text[k] >= _ZERO and digit <= 9:
            value = value * 10 + digit
            if has_dot:
                scale *= 10
            digits += 1
        else:
            break
        k += 1
    if k < end and digits and (text[k] | 32) == _E:
        k += 1
        negative = k < end and text[k] == _MINUS
        if k < end and (negative or text[k] == _PLUS):
            k += 1
        power, digits = 0, 0
        while k < end and text[k] >= _ZERO and text[k] - _ZERO <= 9:
            power = min(power * 10 + (text[k] - _ZERO), 400)
            digits += 1
            k += 1
        value *= 10.0 ** (-power if negative else power)
    return sign * value / scale, digits > 0 and k == end


@njit
def _scan(
    text,
    place,
    line,
    kinds,
    names,
    bounds,
    table,
    starts,
    labels,
    lines,
    numbers,
    unknown,
):
    """Read rows from an offset on until a block is full.

    A row with the id of the row before has the same span in ``starts``.

    Returns:
        tuple: Number of rows, offset and line of the next row, and -1. For a
        broken row: its offset and line, and the field that is not a number, or
        the number of fields if that is wrong.
    """
    row, end = 0, len(text)
    while row < len(labels) and place < end:
        if text[place] == _LINE or text[place] == _RETURN:
            line += text[place] == _LINE
            place += 1
            continue
        begin, field = place, 0
        while True:
            quoted = place < end and text[place] == _QUOTE
            place += quoted
            start = place
            stop = _QUOTE if quoted else _COMMA
            while place < end and text[place] != stop and text[place] != _LINE:
                place += 1
            last = place
            if quoted and place < end and text[place] == _QUOTE:
                place += 1
            if last > start and text[last - 1] == _RETURN:
                last -= 1
            while place < end and text[place] == _RETURN:
                place += 1
            kind = kinds[field] if field < len(kinds) else SKIPPED
            if kind == ID:
                starts[row, 0], starts[row, 1] = start, last
                if row:
                    first = starts[row - 1, 0]
                    length = starts[row - 1, 1] - first
                    same = length == last - start
                    k = 0
                    while same and k < length:
                        same = text[first + k] == text[start + k]
                        k += 1
                    if same:
                        starts[row, 0] = first
                        starts[row, 1] = first + length
            elif kind == NAME:
                labels[row] = _find(text, start, last, names, bounds, table)
                if labels[row] < 0 and unknown[0] < 0:
                    unknown[0], unknown[1], unknown[2] = start, last, line
            elif kind >= 0:
                value, right = _number(text, start, last)
                if not right:
                    return row, begin, line, field
                numbers[row, kind] = value
            field += 1
            if place >= end or text[place] != _COMMA:
                break
            place += 1
        if field != len(kinds) or (place < end and text[place] != _LINE):
            return row, begin, line, len(kinds)
        lines[row] = line
        row, place, line = row + 1, place + 1, line + 1
    return row, place, line, -1
