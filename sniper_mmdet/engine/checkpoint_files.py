"""Reads checkpoint files without running code from them.

A checkpoint is a pickle, which may call any function that it names. Here torch
reads it with ``weights_only=True``, and allows a few more classes, which
checkpoints of mmengine hold. mmengine itself falls back to a full pickle, and
allows getattr, through which a pickle reaches everything. The import of this
module puts its loaders into ``CheckpointLoader``. MMDetection loads every
checkpoint through it, also for ``--resume``, ``load_from`` and ``init_cfg``.

To trust a file, give ``--trust-checkpoint``, or set torch's own variable
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

#: Makes torch.load read weights only, whatever its caller asks for.
_FORCED = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD'
#: torch's messages about a name in a pickle that it does not allow.
_UNKNOWN = re.compile(
    r'GLOBAL ([\w.]+)|unrecognized (function .*)|(?:but|, ) got (.*)'
)


class CheckpointError(UserError):
    """A file is not the expected checkpoint."""


class UntrustedError(CheckpointError):
    """A checkpoint may run code."""


def trusted() -> bool:
    """Return whether checkpoints may run code."""
    return os.environ.get(TRUSTED, '0').lower() in ('1', 'y', 'yes', 'true')


def load_from_local(path: str, map_location=None, **options):
    """Read a checkpoint, with the options of ``torch.load``.

    Raises:
        CheckpointError: The file is not a checkpoint, or is incomplete.
        UntrustedError: It holds something that is not known to be harmless.
        FileNotFoundError: There is no such file.
    """
    full = os.path.expanduser(path)  # str: torch before 2.3 cannot map a Path
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
    except Exception as error:  # torch raises several types
        # For a truncated file torch seeks before its start.
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        text = ' '.join(str(error).split())
        # Keep torch's message without its advice.
        text = text.rpartition('WeightsUnpickler error: ')[2]
        text = text.partition(' Check the documentation')[0]
        unknown = isinstance(error, UnpicklingError) and _UNKNOWN.search(text)
        if unknown:
            name = next(filter(None, unknown.groups()))[:80].rstrip('. ')
            raise UntrustedError(
                f'{path} holds {name}, which may run any code when the file '
                'is read. If you trust the source of the file, give '
                f'--trust-checkpoint, or set {TRUSTED}=1 in the environment.'
            ) from None
        raise CheckpointError(
            f'{path} is not a checkpoint, or is incomplete: '
            f'{type(error).__name__}: {text.partition(". ")[0][:200]}'
        ) from None


def _checked(load: Callable) -> Callable:
    """Make mmengine's loader of addresses read weights only."""

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
