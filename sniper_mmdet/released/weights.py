"""Mapping of the released tensors to those of detectors."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import ModuleType

import numpy as np

from sniper_mmdet.released import sniper

#: Divisors of the deltas of boxes that the released networks predict.
BOX_STDS = np.array([0.1, 0.1, 0.2, 0.2], np.float32)

_LAYERS = dict(conv2d='.conv', batchnorm='.bn')


class MismatchError(ValueError):
    """A file does not fit a detector; ``conversion`` has the details."""

    def __init__(self, message: str, conversion: 'Conversion') -> None:
        super().__init__(message)
        self.conversion = conversion


@dataclass
class Conversion:
    """The result of the mapping of a file's tensors.

    Attributes:
        state (dict[str, ndarray]): float32 tensors by the detector's names.
        mapped (dict[str, str]): The detector's names by those of the file.
        unused (list[str]): Names of the file without a counterpart.
        missing (list[str]): The detector's names without a counterpart.
    """

    state: dict[str, np.ndarray] = field(default_factory=dict)
    mapped: dict[str, str] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def counts(self) -> str:
        return (
            f'{len(self.mapped)} tensors mapped, {len(self.unused)} unused, '
            f'{len(self.missing)} missing.'
        )

    def __str__(self) -> str:
        """Return a line per tensor, then the counts."""
        lines = [
            f'mapped   {name} -> {target} {self.state[target].shape}'
            for name, target in self.mapped.items()
        ]
        lines += [f'unused   {name}' for name in self.unused]
        lines += [f'missing  {target}' for target in self.missing]
        return '\n'.join([*lines, self.counts])


def convert(
    params: dict[str, np.ndarray],
    shapes: dict[str, tuple],
    ignore: Iterable[str] = (),
    tables: ModuleType = sniper,
) -> Conversion:
    """Map the tensors of a file to those of a detector, by their shapes.

    A file without an RPN is a classification network and gives the backbone
    alone; the layers after it are unused.

    Args:
        params (dict[str, ndarray]): Tensors of the file, read by
            :func:`~sniper_mmdet.released.mxnet_params.read_params` or
            :func:`~sniper_mmdet.released.caffemodel.read_caffemodel`. Leading
            sides of 1 do not count in shapes.
        shapes (dict[str, tuple]): Shapes of the detector's tensors.
        ignore (Iterable[str]): Regular expressions of names, of the file or
            the detector, that may be unused or missing.
        tables (ModuleType): Tables of the paper, see ``sniper``. Defaults to
            those of SNIPER and AutoFocus.

    Raises:
        MismatchError: A tensor has no counterpart, a wrong shape or a number
            that is not finite.
        ValueError: The two box layers of a file contradict each other.
    """
    ignore = [re.compile(pattern) for pattern in ignore]
    params = _plain_boxes(params)
    only_backbone = not any(tables.DETECTOR in name for name in params)
    done = Conversion()
    problems = []
    for name, value in params.items():
        stem = _stem(name)
        target = place_of(stem, tables)
        if target not in shapes:
            done.unused.append(name)
            expected = only_backbone and re.fullmatch(tables.CLASSIFIER, stem)
            expected = expected or re.fullmatch(tables.UNUSED, stem)
            if not expected and not _any(ignore, name):
                problems.append(f'{name} has no place')
            continue
        shape = tuple(shapes[target])
        if _sides(value.shape) == _sides(shape):
            value = value.reshape(shape)
        if value.shape != shape:
            problems.append(f'{name} is {value.shape}, {target} {shape}')
        elif not np.isfinite(value).all():
            problems.append(f'{name} has numbers that are not finite')
        elif change := tables.CHANGES.get(stem):
            value = change(value)
        done.state[target] = np.ascontiguousarray(value, np.float32)
        done.mapped[name] = target
    for target in shapes:
        if target in done.state or target.endswith('num_batches_tracked'):
            continue
        done.missing.append(target)
        # A classifier has no offsets.
        outside = not target.startswith('backbone.') or '.offset.' in target
        expected = only_backbone and outside
        if not expected and not _any(ignore, target):
            problems.append(f'{target} is missing')
    if not done.mapped:
        problems.insert(0, 'no tensor has a known name')
    if problems:
        more = f' and {len(problems) - 8} more' if len(problems) > 8 else ''
        raise MismatchError(f'{"; ".join(problems[:8])}{more}.', done)
    return done


def _plain_boxes(params: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return parameters whose box layer predicts deltas divided by BOX_STDS.

    Released files hold the layer as trained, and a copy named ``*_test`` that
    is multiplied by BOX_STDS. A file may hold the copy alone.
    """
    params = dict(params)
    for name in [n for n in params if n.endswith('_test')]:
        plain = name.removesuffix('_test')
        if not _stem(plain).startswith('bbox_pred_'):
            continue
        scaled = np.asarray(params.pop(name), np.float32)
        if len(scaled) != 4:
            raise ValueError(
                f'{name} must be of 4 numbers a box. Received: {scaled.shape}.'
            )
        unscaled = (scaled.T / BOX_STDS).T
        given = params.setdefault(plain, unscaled)
        if given.shape != unscaled.shape or not np.allclose(
            given, unscaled, rtol=1e-3, atol=1e-6
        ):
            raise ValueError(
                f'{name} must be {plain} times {BOX_STDS.tolist()}, and is '
                'something else.'
            )
    return params


def _sides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape without leading sides of 1."""
    first = next((i for i, side in enumerate(shape) if side != 1), len(shape))
    return tuple(shape[first:])


def place_of(stem: str, tables: ModuleType) -> str | None:
    """Return the detector's name of a tensor, if it has one.

    Args:
        stem (str): Name in the file without 'arg:' and 'aux:'.
        tables (ModuleType): Tables of the paper, see ``sniper``.
    """
    match = tables.PARAMETER.fullmatch(stem)
    if match is None:
        return None
    name, layer, kind = match.groups()
    for pattern, place in tables.MODULES.items():
        if found := re.fullmatch(pattern, name):
            place = place(found) if callable(place) else found.expand(place)
            place += _LAYERS.get(layer, '')
            return f'{place}.{tables.KINDS.get(kind, kind)}'
    return None


def _stem(name: str) -> str:
    return name.split(':', 1)[-1]


def _any(patterns: list[re.Pattern], name: str) -> bool:
    return any(p.fullmatch(name) or p.fullmatch(_stem(name)) for p in patterns)
