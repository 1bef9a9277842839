"""Reads checkpoint files, and runs nothing that is in them.

A checkpoint is a pickle, which may call whatever it names. Here torch reads
one with ``weights_only=True`` and knows the few classes more that checkpoints
of mmengine hold; mmengine falls back to a full pickle, and knows getattr, by
which a pickle reaches all. Once this module is imported its loaders stand in
``CheckpointLoader``, which every way of MMDetection to a checkpoint goes
through, for ``--resume``, ``load_from`` and ``init_cfg`` too.

Who trusts a file says ``--trust-checkpoint``, or sets torch's own variable
:data:`~sniper_mmdet.utils.cli.TRUSTED`.
"""

import errno
import functools
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pickle import UnpicklingError

import torch
from mmengine.runner import checkpoint as mmengine_loaders
from mmengine.runner.checkpoint import CheckpointLoader

from sniper_mmdet.utils.cli import TRUSTED
from sniper_mmdet.utils.errors import UserError

from .harmless_pickles import load_harmless

#: Lets torch.load read weights only, whatever its caller asks for.
_FORCED = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD'
#: What torch says of a pickle that names what it does not know.
_UNKNOWN = re.compile(
    r'GLOBAL ([\w.]+)|unrecognized (function .*)|(?:but|, ) got (.*)'
)


class CheckpointError(UserError):
    """What is said of a file that is not the checkpoint that it must be."""


class UntrustedError(CheckpointError):
    """What is said of a checkpoint that may run code."""


def trusted() -> bool:
    """Whether checkpoints may run code."""
    return os.environ.get(TRUSTED, '0').lower() in ('1', 'y', 'yes', 'true')


def load_from_local(path: str, map_location=None, **options):
    """Read a checkpoint; options are ``torch.load``'s.

    Raises:
        CheckpointError: It is no checkpoint, or not a whole one.
        UntrustedError: It holds what is not known to be harmless.
        FileNotFoundError: There is no such file.
    """
    full = os.path.expanduser(path)  # text: torch before 2.3 maps no Path
    if not os.path.isfile(full):
        raise FileNotFoundError(f'the checkpoint {path} does not exist.')
    options.update(map_location=map_location)
    with _explained(path):
        if trusted():
            return torch.load(full, weights_only=False, **options)
        return load_harmless(full, **options)


@contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except torch.cuda.OutOfMemoryError:
        raise
    except Exception as error:  # whatever torch finds wrong with a file
        # A file that is cut off, torch reads from before its start.
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        text = ' '.join(str(error).split())
        # torch's own, without its advice.
        text = text.rpartition('WeightsUnpickler error: ')[2]
        text = text.partition(' Check the documentation')[0]
        unknown = isinstance(error, UnpicklingError) and _UNKNOWN.search(text)
        if unknown:
            name = next(filter(None, unknown.groups()))[:80].rstrip('. ')
            raise UntrustedError(
                f'{path} holds {name}, which may run any code when the file '
                'is read. If you trust whom the file is from, give '
                f'--trust-checkpoint, or set {TRUSTED}=1 in the environment.'
            ) from None
        raise CheckpointError(
            f'{path} is not a checkpoint, or not a whole one: '
            f'{type(error).__name__}: {text.partition(". ")[0][:200]}'
        ) from None


def _checked(load: Callable) -> Callable:
    """mmengine's loader of addresses, which reads weights only."""

    @functools.wraps(load)
    def checked(path: str, map_location=None):
        before = os.environ.get(_FORCED)
        if not trusted():
            os.environ[_FORCED] = '1'
        try:
            with _explained(path):
                return load(path, map_location=map_location)
        finally:
            os.environ.pop(_FORCED, None)
            if before is not None:
                os.environ[_FORCED] = before

    return checked


def _register() -> None:
    register = functools.partial(CheckpointLoader.register_scheme, force=True)
    register('', load_from_local)
    for prefixes, name in {
        ('http://', 'https://'): 'http',
        ('modelzoo://', 'torchvision://'): 'torchvision',
        ('open-mmlab://', 'openmmlab://'): 'openmmlab',
        ('mmcls://',): 'mmcls',
        ('pavi://',): 'pavi',
        (r'(\S+\:)?s3://', r'(\S+\:)?petrel://'): 'ceph',
    }.items():
        load = getattr(mmengine_loaders, f'load_from_{name}')
        register(prefixes, _checked(load))


_register()
