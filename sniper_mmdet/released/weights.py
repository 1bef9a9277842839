"""The tensors of the released MXNet files, by their names here."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

#: What the released networks predict boxes' deltas divided by.
BOX_STDS = np.array([0.1, 0.1, 0.2, 0.2], np.float32)

_NORM = dict(
    gamma='weight',
    beta='bias',
    moving_mean='running_mean',
    moving_var='running_var',
)
#: Of the name without its last word: where the tensor belongs.
_MODULES = [
    (r'(bn_data|conv0|bn0)', r'backbone.\1'),
    (
        r'stage(\d)_unit(\d+)_(bn[123]|conv[123]|sc|offset)',
        lambda m: f'backbone.stage{m[1]}.{int(m[2]) - 1}.{m[3]}',
    ),
    (r'first-3x3-conv', 'backbone.conv1'),
    (r'last-1x1-conv', 'backbone.conv2'),
    (
        r'seq-(\d)-block(\d)-(exp|depthwise|linear)',
        lambda m: (
            f'backbone.layer{int(m[1]) + 1}.{m[2]}.'
            f'{m[3].replace("exp", "expand")}_conv'
        ),
    ),
    (r'rpn_conv_3x3', 'rpn_head.rpn_conv'),
    (r'rpn_cls_score', 'rpn_head.rpn_cls'),
    (r'rpn_bbox_pred', 'rpn_head.rpn_reg'),
    (r'conv_new_1', 'roi_head.reduction.conv'),
    (r'offset', 'roi_head.bbox_roi_extractor.offset'),
    (
        r'fc_new_(\d)',
        lambda m: f'roi_head.bbox_head.shared_fcs.{int(m[1]) - 1}',
    ),
    (r'cls_score', 'roi_head.bbox_head.fc_cls'),
    (r'bbox_pred', 'roi_head.bbox_head.fc_reg'),
    (r'mask_offset', 'roi_head.mask_roi_extractor.offset'),
    (
        r'mask_conv_3x3_(\d)',
        lambda m: f'roi_head.mask_head.convs.{int(m[1]) - 1}.conv',
    ),
    (r'mask_deconv', 'roi_head.mask_head.upsample'),
    (r'mask_out', 'roi_head.mask_head.conv_logits'),
    (r'conv_new_2', 'focus_head.convs.0.conv'),
    (r'conv_new_3', 'focus_head.convs.1.conv'),
    (r'conv_new_out', 'focus_head.out'),
]
# The last layers of a classifier, after the backbone.
_CLASSIFIER = re.compile(r'(bn1|fc\d*|pred.*|.*fullyconnected\d*)_[a-z_]+')


class MismatchError(ValueError):
    """A file and a detector do not fit.

    Attributes:
        conversion (Conversion): What could be mapped, and what not.
    """

    def __init__(self, message: str, conversion: 'Conversion') -> None:
        super().__init__(message)
        self.conversion = conversion


@dataclass
class Conversion:
    """What became of a file's tensors.

    Attributes:
        state (dict[str, ndarray]): float32, by names here.
        mapped (dict[str, str]): Names here by names of the file.
        unused (list[str]): Names of the file that have no place here.
        missing (list[str]): Names here that the file has nothing for.
    """

    state: dict[str, np.ndarray] = field(default_factory=dict)
    mapped: dict[str, str] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def convert(
    params: dict[str, np.ndarray],
    shapes: dict[str, tuple],
    ignore: Iterable[str] = (),
) -> Conversion:
    """Map the tensors of a file to those of a detector.

    A file of a classification network, one without an RPN, gives the
    backbone alone; the layers after it are unused.

    Args:
        params (dict[str, ndarray]): As
            :func:`~sniper_mmdet.released.mxnet_params.read_params` has them.
        shapes (dict[str, tuple]): Of the detector's tensors.
        ignore (Iterable[str]): Regular expressions of names, of the file or
            here, that may be unused or missing.

    Raises:
        MismatchError: A tensor without a place, a place without its tensor, a
            wrong shape, a number that is not finite.
        ValueError: The two box layers of a file contradict each other.
    """
    ignore = [re.compile(pattern) for pattern in ignore]
    params = _plain_boxes(params)
    only_backbone = not any('rpn_' in name for name in params)
    done = Conversion()
    problems = []
    for name, value in params.items():
        target, change = _target(name)
        if target is None or target not in shapes:
            done.unused.append(name)
            expected = only_backbone and _CLASSIFIER.fullmatch(_stem(name))
            if not expected and not _any(ignore, name):
                problems.append(f'{name} has no place')
            continue
        if change is not None:
            value = change(value)
        if value.shape != tuple(shapes[target]):
            problems.append(
                f'{name} is {value.shape}, {target} {tuple(shapes[target])}'
            )
        elif not np.isfinite(value).all():
            problems.append(f'{name} has numbers that are not finite')
        done.state[target] = np.ascontiguousarray(value, np.float32)
        done.mapped[name] = target
    for target in shapes:
        if target in done.state or target.endswith('num_batches_tracked'):
            continue
        done.missing.append(target)
        # A classifier has no offsets yet.
        expected = only_backbone and (
            not target.startswith('backbone.') or '.offset.' in target
        )
        if not expected and not _any(ignore, target):
            problems.append(f'{target} is missing')
    if not done.mapped:
        problems.insert(0, 'no tensor has a known name')
    if problems:
        more = f' and {len(problems) - 8} more' if len(problems) > 8 else ''
        raise MismatchError(f'{"; ".join(problems[:8])}{more}.', done)
    return done


def _plain_boxes(params: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Parameters whose box layer predicts deltas divided by BOX_STDS.

    Released files hold the layer as trained, and a copy named ``*_test`` that
    is multiplied by them; a file may hold the copy alone.

    Raises:
        ValueError: The two contradict each other.
    """
    params = dict(params)
    for name in [n for n in params if n.endswith('_test')]:
        plain = name[: -len('_test')]
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


def _target(name: str) -> tuple[str | None, Callable | None]:
    """The place of a tensor, and what its values need."""
    stem = _stem(name)
    kinds = '|'.join(['weight', 'bias', *_NORM])
    match = re.fullmatch(rf'(.+?)(?:-(conv2d|batchnorm))?_({kinds})', stem)
    if match is None:
        return None, None
    name, layer, kind = match.groups()
    for pattern, place in _MODULES:
        found = re.fullmatch(pattern, name)
        if found is None:
            continue
        place = place(found) if callable(place) else found.expand(place)
        if layer is not None:
            place += dict(conv2d='.conv', batchnorm='.bn')[layer]
        return f'{place}.{_NORM.get(kind, kind)}', _change(name, kind)
    return None, None


def _change(name: str, kind: str) -> Callable | None:
    if name == 'bn_data' and kind == 'gamma':
        # fix_gamma: MXNet takes it for 1, whatever the file says.
        return np.ones_like
    if name == 'rpn_cls_score':
        return object_first
    if name == 'cls_score':
        return background_last
    return None


def object_first(values: np.ndarray) -> np.ndarray:
    """(2 * A, ...), all backgrounds, all objects; to pairs of an anchor.

    mmdet has an anchor's object, then its background.
    """
    pairs = values.reshape(2, -1, *values.shape[1:])[::-1].swapaxes(0, 1)
    return pairs.reshape(values.shape)


def backgrounds_first(values: np.ndarray) -> np.ndarray:
    """What :func:`object_first` takes, from what it gives."""
    pairs = values.reshape(-1, 2, *values.shape[1:])[:, ::-1].swapaxes(0, 1)
    return pairs.reshape(values.shape)


def background_last(values: np.ndarray) -> np.ndarray:
    """(1 + classes, ...): the background, which MXNet has first, last."""
    return np.roll(values, -1, axis=0)


def background_first(values: np.ndarray) -> np.ndarray:
    """What :func:`background_last` takes, from what it gives."""
    return np.roll(values, 1, axis=0)


def _stem(name: str) -> str:
    return name.split(':', 1)[-1]


def _any(patterns: list[re.Pattern], name: str) -> bool:
    return any(p.fullmatch(name) or p.fullmatch(_stem(name)) for p in patterns)
