"""Shared parts of tools that write a config which inherits from another."""

import os
from argparse import ArgumentParser, Namespace
from pathlib import Path

from .cli import option_of, require, require_suffix


def require_outputs(
    parser: ArgumentParser, args: Namespace, *read: str | None
) -> None:
    """End with an error unless ``--config-out`` can be written safely.

    Neither it nor ``--out``, the plot, may overwrite a file that is read.
    """
    require_suffix(parser, args, config_out='.py')
    out = args.config_out
    there = not out or Path(out).absolute().parent.is_dir()
    rule = '--config-out must be in a folder that exists'
    require(parser, there, rule, out)
    taken = {Path(path).resolve() for path in read if path}
    for option in ('out', 'config_out'):
        path = getattr(args, option)
        if path:
            free = Path(path).resolve() not in taken
            rule = f'{option_of(option)} must be another file than those '
            rule += 'that are read and written beside it'
            require(parser, free, rule, path)
            taken.add(Path(path).resolve())


def told_of_options(args: Namespace) -> list[str]:
    """Return sentences on settings that ``--config-out`` does not inherit."""
    if not args.cfg_options:
        return []
    unlike = 'as it is, without the changes of --cfg-options.'
    return [f'{args.config_out} inherits from {args.config} {unlike}']


def base_of(config: str, folder: str | os.PathLike) -> str:
    """Return ``_base_`` for a config in a folder."""
    if '::' in config:
        return config
    path = os.path.relpath(config, folder)
    real = Path(os.path.realpath(Path(config).parent), Path(config).name)
    # '..' after a link is another folder than after the folder itself.
    if path != os.path.relpath(real, os.path.realpath(folder)):
        path = os.path.abspath(config)
    return Path(path).as_posix()
