"""Python text of configs, formatted as in this package."""

import math
import re
import textwrap
from collections.abc import Iterator
from keyword import iskeyword

WIDTH = 79
#: Settings that change place and speed of a run, but no result.
_NO_MATTER = {
    'log_level',
    'num_workers',
    'persistent_workers',
    'pin_memory',
    'prefetch_factor',
    'resume',
    'work_dir',
}


class Code(str):
    """Code that a config holds as it is, not as a string: ``_base_.model``."""

    def __repr__(self) -> str:
        return str(self)


def assignment(name: str, value) -> str:
    """Format an assignment, on as many lines as it needs.

    The value may hold dicts, lists, tuples, :class:`Code` and plain values.

    Examples:
        >>> assignment('model', dict(type='RetinaNet', scales=[(1, 2)]))
        "model = dict(type='RetinaNet', scales=[(1, 2)])"
    """
    return f'{name} = {_text(value, len(name) + 3, 0)}'


def call(name: str, **arguments) -> str:
    """Format a call as a statement."""
    return name + _text(arguments, len(name), 0).removeprefix('dict')


def settings(config: dict) -> Iterator[str]:
    """Yield KEY=VALUE for all settings that change a run's result.

    The lines serve to compare runs. Keys are sorted; elements of lists are
    named by their index.

    Examples:
        >>> list(settings(dict(model=dict(scales=[1, 2], type='A'))))
        ['model.scales.0=1', 'model.scales.1=2', "model.type='A'"]
    """
    yield from _settings('', config)


def _settings(prefix: str, value) -> Iterator[str]:
    items = {}
    if isinstance(value, dict):
        items = {str(k): v for k, v in sorted(value.items(), key=str)}
    elif isinstance(value, (list, tuple)):
        items = {str(i): v for i, v in enumerate(value)}
    for name, item in items.items():
        if name not in _NO_MATTER:
            yield from _settings(f'{prefix}{name}.', item)
    if not items:
        # The address of an object differs in each process.
        text = re.sub(' at 0x[0-9a-f]+', '', repr(value))
        yield f'{prefix[:-1]}={text}'


def comment(text: str, indent: str = '# ', first: str = '# ') -> str:
    """Format a comment."""
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _text(value, used: float, indent: int) -> str:
    """Format a value that starts at a column, before one more character."""
    opening, items, closing = _parts(value)
    if items is None:
        return repr(value)
    inner = ', '.join(prefix + _text(v, -math.inf, 0) for prefix, v in items)
    comma = ',' if isinstance(value, tuple) and len(value) == 1 else ''
    line = opening + inner + comma + closing
    if not items or used + len(line) < WIDTH:
        return line
    indent += 4
    lines = [
        f'{" " * indent}{prefix}{_text(item, indent + len(prefix), indent)},'
        for prefix, item in items
    ]
    return '\n'.join([opening, *lines, ' ' * (indent - 4) + closing])


def _parts(value) -> tuple:
    """Return the opening of a value, its items with prefixes, the closing."""
    if isinstance(value, dict):
        if all(map(_is_name, value)):
            return 'dict(', [(f'{k}=', v) for k, v in value.items()], ')'
        return '{', [(f'{k!r}: ', v) for k, v in value.items()], '}'
    if isinstance(value, (list, tuple)):
        opening, closing = '[]' if isinstance(value, list) else '()'
        return opening, [('', v) for v in value], closing
    return '', None, ''


def _is_name(key) -> bool:
    return isinstance(key, str) and key.isidentifier() and not iskeyword(key)
