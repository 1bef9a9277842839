"""Shared parts of the tools: options, errors in one sentence, tables, JSON.

A tool parses, calls and prints::

    def main():
        parser = cli.make_parser(__doc__, cli.add_config)
        args = cli.parse(parser)
        ...

    if __name__ == '__main__':
        cli.run(main)
"""

import contextlib
import json
import logging
import math
import os
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

#: torch's variable that allows checkpoints to run code when they are loaded.
TRUSTED = 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'

#: Rows of a table: values by column, by the name of the row.
Rows = dict[str, dict] | list[tuple[str, dict]]


def run(
    main: Callable[[], object],
    of: Callable[[Exception], bool] = lambda error: True,
) -> None:
    """Run a tool; bad input ends it with its name and one sentence.

    See :func:`one_sentence`.
    """
    # A log that cannot be written, as on a full disk, causes no traceback.
    logging.raiseExceptions = False
    with one_sentence(Path(main.__code__.co_filename).stem, of):
        main()


@contextlib.contextmanager
def one_sentence(
    tool: str, of: Callable[[Exception], bool] = lambda error: True
) -> Iterator[None]:
    """A context that turns errors of bad input into one sentence.

    The sentence ends the tool. Errors for which ``of`` is False keep their
    traceback.
    """
    try:
        yield
    except (OSError, ValueError) as error:
        if not of(error):
            raise
        raise SystemExit(f'{tool}: {error}') from None


def make_parser(
    doc: str, *adders: Callable[[ArgumentParser], None]
) -> ArgumentParser:
    """Make a parser with a tool's docstring as help; adders add arguments."""
    shown = RawDescriptionHelpFormatter
    parser = ArgumentParser(description=doc, formatter_class=shown)
    for add in adders:
        add(parser)
    return parser


def add_config(parser: ArgumentParser) -> None:
    """Add ``config`` and ``--cfg-options``."""
    parser.add_argument('config', help='config file path')
    add_cfg_options(parser)


def add_detector(parser: ArgumentParser) -> None:
    """Add ``config``, ``checkpoint`` and their options."""
    add_config(parser)
    parser.add_argument('checkpoint', help='checkpoint file')
    add_trust(parser)


def add_trust(parser: ArgumentParser) -> None:
    """Add ``--trust-checkpoint``, for tools that read a checkpoint."""
    about = 'also load checkpoints that hold more than weights and numbers; '
    about += 'these can run any code'
    add_options(parser, trust_checkpoint=(False, about))


def add_cfg_options(parser: ArgumentParser) -> None:
    """Add ``--cfg-options``, as in MMDetection's tools."""
    from .cfg_options import CfgOptions

    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=CfgOptions,
        help='override settings of the config: key=value pairs, lists as '
        'key="[a,b]" or key=a,b, nested as key="[(a,b),(c,d)]"',
    )


def add_options(
    parser: ArgumentParser,
    **options: str | tuple[object, str] | tuple[object, str, dict],
) -> None:
    """Add options from a table.

    The key is the option's name in ``args``. The value is the help text, or a
    tuple of default, help text and further arguments of ``add_argument``. A
    default of False makes a flag. Any other default gives the type and is
    named in the help; a list or tuple makes an option of several values.
    """
    for name, about in options.items():
        about = (None, about) if isinstance(about, str) else about
        default, text, *more = about
        settings: dict = {}
        if default is False:
            settings = dict(action='store_true')
        elif default is not None:
            several = isinstance(default, list | tuple)
            values: Any = default if several else [default]
            nargs = '+' if several else None
            settings = dict(default=default, type=type(values[0]), nargs=nargs)
            text = f'{text} (default: {" ".join(map(str, values))})'
        settings.update(*more)
        parser.add_argument(option_of(name), help=text, **settings)


def add_json(parser: ArgumentParser) -> None:
    """Add ``--json``; see :func:`print_json`."""
    parser.add_argument('--json', action='store_true', help='print JSON only')


def add_split(parser: ArgumentParser, default: str) -> None:
    """Add ``--split``, the data set of a config for a tool."""
    choices = dict(choices=['train', 'val', 'test'])
    about = 'data set of the config to use'
    add_options(parser, split=(default, about, choices))


def add_launcher(parser: ArgumentParser) -> None:
    """Add ``--launcher``, and the rank that launchers pass."""
    choices = dict(choices=['none', 'pytorch', 'slurm', 'mpi'])
    add_options(parser, launcher=('none', 'job launcher', choices))
    # torch.distributed.launch passes --local-rank; torchrun does not.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def parse(parser: ArgumentParser) -> Namespace:
    """Parse the command line, and pass the rank on to mmengine.

    ``--trust-checkpoint`` is passed on to torch and removed from the result.
    """
    args = parser.parse_args()
    if vars(args).pop('trust_checkpoint', False):
        os.environ[TRUSTED] = '1'
    if 'local_rank' in args:
        os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def require(parser: ArgumentParser, holds: object, rule: str, given) -> None:
    """End with an error that names rule and value, unless the rule holds."""
    if not holds:
        parser.error(f'{rule}. Received: {given}.')


def require_at_least(
    parser: ArgumentParser, args: Namespace, **lowest: float
) -> None:
    """End with an error if an option, by its name in ``args``, is too low.

    NaN and infinity are errors, too.
    """
    for name, least in lowest.items():
        value = getattr(args, name)
        values = value if isinstance(value, list) else [value]
        given = (number for number in values if number is not None)
        right = all(least <= number < math.inf for number in given)
        rule = f'{option_of(name)} must be at least {least}'
        require(parser, right, rule, value)


def require_shares(
    parser: ArgumentParser, args: Namespace, *names: str
) -> None:
    """End with an error if an option, such as a score, is not in [0, 1]."""
    for name in names:
        value = getattr(args, name)
        rule = f'{option_of(name)} must be in [0, 1]'
        require(parser, 0 <= value <= 1, rule, value)


def add_source(parser: ArgumentParser) -> None:
    """Add ``config`` and ``--cfg-options``, or ``--ann`` instead of both."""
    parser.add_argument('config', nargs='?', help='train config file path')
    parser.add_argument('--ann', help='COCO json instead of a config')
    add_cfg_options(parser)


def require_source(parser: ArgumentParser, args: Namespace) -> None:
    """End with an error unless there is one source; see :func:`add_source`."""
    if (args.config is None) == (args.ann is None):
        parser.error('give either CONFIG or --ann COCO_JSON.')
    if args.ann is not None and args.cfg_options:
        parser.error('--cfg-options change a CONFIG; --ann has none.')


def require_picture(parser: ArgumentParser, args: Namespace) -> None:
    """End with an error if ``--out`` cannot be an image; add a suffix."""
    if not args.out:
        return
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    kinds = FigureCanvasAgg.get_supported_filetypes()
    args.out += '' if Path(args.out).suffix else '.png'
    path = Path(args.out)
    drawn = path.suffix[1:].lower() in kinds
    rule = f'--out must be an image file, one of .{", .".join(sorted(kinds))}'
    require(parser, drawn, rule, args.out)
    there = path.absolute().parent.is_dir()
    require(parser, there, '--out must be in a folder that exists', args.out)


def require_suffix(
    parser: ArgumentParser, args: Namespace, **suffixes: str
) -> None:
    """End with an error if a file to write has another suffix.

    Suffixes are given by the option's name in ``args``; None is allowed.
    """
    for name, suffix in suffixes.items():
        path = getattr(args, name)
        right = path is None or Path(path).suffix == suffix
        rule = f'{option_of(name)} must be a {suffix} file'
        require(parser, right, rule, path)


def option_of(name: str) -> str:
    """Return the option on the command line for an attribute of ``args``."""
    return f'--{name.replace("_", "-")}'


def split_names(
    parser: ArgumentParser, given: Iterable[str], form: str
) -> list[tuple[str, str]]:
    """Split arguments such as NAME=FILE into pairs of name and path."""
    for text in given:
        require(parser, '=' in text, f'each must be {form}', text)
    return [text.partition('=')[::2] for text in given]


def quiet() -> AbstractContextManager:
    """A context in which prints go to stderr, apart from a tool's result."""
    return contextlib.redirect_stdout(sys.stderr)


def print_json(result: object) -> None:
    """Print a result for other programs."""
    print(json.dumps(result, indent=2))


def print_table(
    rows: Rows,
    formats: str | dict[str, str] = '.3f',
    corner: str = '',
    as_json: bool = False,
) -> None:
    """Print numbers in aligned columns, see :func:`table`, or as JSON."""
    if as_json:
        print_json(rows)
    else:
        print(table(rows, formats, corner))


def table(
    rows: Rows,
    formats: str | dict[str, str] = '.3f',
    corner: str = '',
    widths: tuple[int, int] = (18, 8),
) -> str:
    """Format numbers in aligned columns, one row per name.

    Args:
        rows (Rows): Rows with the same columns; text stays as it is.
        formats (str | dict[str, str]): Format of numbers, for all columns or
            by column. Defaults to '.3f'.
        corner (str): Head of the column of names. Defaults to nothing.
        widths (tuple[int]): Least width of the names, and of other columns.
            Defaults to (18, 8).

    Examples:
        >>> print(table({'pyramid': {'AP': 47.3}}, '.1f', widths=(8, 6)))
                    AP
        pyramid   47.3
    """
    rows = list(rows.items()) if isinstance(rows, dict) else rows
    heads = list(rows[0][1])
    if isinstance(formats, str):
        formats = dict.fromkeys(heads, formats)

    def cell(head, value):
        return value if isinstance(value, str) else f'{value:{formats[head]}}'

    lines = [[corner, *heads]]
    lines += [[name, *map(cell, heads, row.values())] for name, row in rows]
    columns = zip(*lines, strict=True)
    first, *others = [max(map(len, column)) for column in columns]
    others = [max(length + 2, widths[1]) for length in others]
    return '\n'.join(
        name.ljust(max(first, widths[0]))
        + ''.join(map(str.rjust, cells, others))
        for name, *cells in lines
    )
