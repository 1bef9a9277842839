"""Training in half precision, with named modules in fp32."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from torch import Tensor, nn

from sniper_mmdet.engine.checkpoints import unwrapped
from sniper_mmdet.registry import OPTIM_WRAPPERS

_DTYPES = dict(float16=torch.float16, bfloat16=torch.bfloat16)


@OPTIM_WRAPPERS.register_module()
class HalfPrecisionOptimWrapper(AmpOptimWrapper):
    """An AmpOptimWrapper that keeps some modules in fp32, also on CPUs.

    Weights, their gradients and the optimizer are fp32, as with any autocast.
    Tests run in fp32, too. Differs from its parent: inputs of the modules in
    ``float32`` are cast to fp32, and autocast is off within; float16 and
    bfloat16 also run on the CPU; the scale may be left out; the scale is
    logged as ``grad_scale``.

    With a scale, dynamic or not, a step whose gradients are not finite is
    skipped. Without a scale it is not skipped, as in fp32.

    Args:
        dtype (str): 'float16' or 'bfloat16'. Defaults to 'float16'.
        loss_scale (str, float or dict, optional): Factor of the loss. The
            gradients are divided by it before they are clipped and used.
            'dynamic': it is halved after a skipped step, and doubled after
            2000 steps without a skip. A number is a fixed scale. A dict has
            arguments of ``torch.amp.GradScaler``. Defaults to None: 'dynamic'
            for float16, no scale for bfloat16, whose range is that of fp32.
        float32 (Sequence[str]): Modules that stay in fp32, with their
            submodules. Give names of modules, names of classes, or regular
            expressions that match a whole name. Names are those in a
            checkpoint, ``roi_head.bbox_head``, however the detector is
            wrapped. A plain name must exist. An expression may match nothing,
            so that one list serves several detectors, but one must match. The
            log has the modules that were found. Defaults to ().
        **kwargs: Arguments of mmengine's ``OptimWrapper``: ``optimizer``,
            ``accumulative_counts``, ``clip_grad``.

    Raises:
        ValueError: A setting is out of bounds; or, before training starts, the
            model lacks a name of ``float32``.
    """

    def __init__(
        self,
        dtype: str = 'float16',
        loss_scale: str | float | dict | None = None,
        float32: Sequence[str] = (),
        **kwargs,
    ) -> None:
        # The parent's constructor is not called: it needs a GPU.
        OptimWrapper.__init__(self, **kwargs)
        if dtype not in _DTYPES:
            raise ValueError(
                f"dtype must be 'float16' or 'bfloat16'. Received: {dtype!r}."
            )
        self.cast_dtype = _DTYPES[dtype]
        self.float32 = [float32] if isinstance(float32, str) else list(float32)
        # Here the model is already on its device for training.
        param, *_ = self.optimizer.param_groups[0]['params']
        self.device_type = param.device.type
        if loss_scale is None and dtype == 'float16':
            loss_scale = 'dynamic'
        scaler = _scaler(loss_scale, self.device_type)
        self.loss_scaler, self._scale_update_param = scaler
        self._prepared = None

    def initialize_count_status(self, model: nn.Module, *args) -> None:
        self._prepare(model)
        super().initialize_count_status(model, *args)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast; accumulated gradients are not synchronised."""
        self._prepare(model)
        autocast = torch.autocast(self.device_type, self.cast_dtype)
        with OptimWrapper.optim_context(self, model), autocast:
            yield

    def step(self, **kwargs) -> None:
        super().step(**kwargs)
        if self.loss_scaler.is_enabled():
            scale = self.loss_scaler.get_scale()
            self.message_hub.update_scalar('train/grad_scale', scale)

    def load_state_dict(self, state_dict: dict) -> None:
        """Load the states of the optimizer and of a dynamic scale.

        The checkpoint may have another precision or scale; those of the config
        are used.
        """
        scale = state_dict.get('loss_scaler')
        if not scale or self._scale_update_param is not None:
            state_dict.pop('loss_scaler', None)
        super().load_state_dict(state_dict)

    def _prepare(self, model: nn.Module) -> None:
        model = unwrapped(model)
        if self._prepared is not model and self.float32:
            for module in _find_modules(model, self.float32):
                keep_float32(module, self.device_type)
        self._prepared = model


def keep_float32(module: nn.Module, device_type: str) -> None:
    """Make a module and its submodules run in fp32 under autocast.

    The module is changed in place. It keeps its type and its parameters, and
    can be copied and pickled. ``device_type``, 'cuda' or 'cpu', selects the
    autocast. Without autocast nothing changes.
    """
    # Submodules may be called directly, as a head's loss is.
    for part in module.modules():
        if not isinstance(part.forward, _Float32Forward):
            part.forward = _Float32Forward(part.forward, device_type)


class _Float32Forward:
    """The forward of a module, in fp32 if autocast is on."""

    def __init__(self, forward: Callable, device_type: str) -> None:
        self.forward = forward
        self.device_type = device_type

    def __call__(self, *args, **kwargs) -> Any:
        # Recomputed activations run under autocast, too.
        if not _autocast_is_on(self.device_type):
            return self.forward(*args, **kwargs)
        with torch.autocast(self.device_type, enabled=False):
            return self.forward(*_to_float32(args), **_to_float32(kwargs))


def _to_float32(value: Any) -> Any:
    """Cast all half precision tensors in nested tuples, lists and dicts."""
    if isinstance(value, Tensor):
        return value.float() if value.dtype in _DTYPES.values() else value
    if isinstance(value, dict):
        return {key: _to_float32(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        # The type of a named tuple takes its items one by one.
        make = getattr(value, '_make', type(value))
        return make(map(_to_float32, value))
    return value


def _autocast_is_on(device_type: str) -> bool:
    try:
        return torch.is_autocast_enabled(device_type)
    except TypeError:  # torch < 2.4 has a function per device type
        if device_type == 'cpu':
            return torch.is_autocast_cpu_enabled()
        return torch.is_autocast_enabled()


def _find_modules(model: nn.Module, patterns: list[str]) -> list[nn.Module]:
    """Find the modules that match a name or an expression, and log them.

    Raises:
        ValueError: A plain name matches no module, or no expression matches.
    """
    kind = type(model).__name__
    modules = [
        # Names as in a checkpoint: PyramidDetectors write no prefix.
        (name.removeprefix('detector.'), module)
        for name, module in model.named_modules()
        if name not in ('', 'detector')
    ]
    found, unmatched = {}, []
    for pattern in patterns:
        pattern = pattern.removeprefix('detector.')
        matches = re.compile(pattern).fullmatch
        matched = {
            name: module
            for name, module in modules
            if matches(name) or matches(type(module).__name__)
        }
        if not matched and re.fullmatch(r'[\w.]+', pattern):
            raise ValueError(
                f'each name in float32 must be that of a module of {kind}, or '
                'of its class; write an expression, such as (NAME)?, if it '
                f'may be missing. Received: {pattern!r}.'
            )
        if not matched:
            unmatched.append(pattern)
        found.update(matched)
    if not found:
        raise ValueError(
            f'float32 must match a module of {kind}. Received: {patterns}.'
        )
    inner = tuple(f'{name}.' for name in found)
    names = [name for name in found if not name.startswith(inner)]
    without = f'; nothing matches {", ".join(unmatched)}' if unmatched else ''
    print_log(f'in fp32: {", ".join(names)}{without}', logger='current')
    return list(found.values())


def _scaler(
    loss_scale: str | float | dict | None, device_type: str
) -> tuple[Any, float | None]:
    """A GradScaler, and the fixed scale to set after each step, if any."""
    static, settings = None, loss_scale
    if loss_scale is None:
        settings = dict(enabled=False)
    elif loss_scale == 'dynamic':
        settings = {}
    elif isinstance(loss_scale, (int, float)) and loss_scale > 0:
        static = float(loss_scale)
        settings = dict(init_scale=static)
    elif not isinstance(loss_scale, dict):
        raise ValueError(
            "loss_scale must be 'dynamic', a positive number or a dict. "
            f'Received: {loss_scale!r}.'
        )
    if hasattr(torch.amp, 'GradScaler'):
        return torch.amp.GradScaler(device_type, **settings), static
    if device_type == 'cpu' and settings.get('enabled', True):
        raise ValueError(
            'a loss_scale on the CPU needs torch >= 2.3. '
            f'Received: torch {torch.__version__}.'
        )
    return torch.cuda.amp.GradScaler(**settings), static
