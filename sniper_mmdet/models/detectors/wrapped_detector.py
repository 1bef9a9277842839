"""A wrapper of an mmdet detector that keeps the names of its weights."""

import inspect

import torch
from mmdet.models.detectors import RPN
from mmdet.models.detectors.base import BaseDetector
from mmdet.registry import MODELS as MMDET_MODELS
from mmdet.structures import SampleList
from mmengine.structures import InstanceData
from torch import Tensor

from .box_proposals import rpn_config
from .runnable import require_runnable


class WrappedDetector(BaseDetector):
    """Base of detectors that wrap an mmdet detector and test it differently.

    The wrapper has no weights of its own, and its state dict is that of the
    wrapped detector. Checkpoints of the plain detector and of the wrapper are
    therefore interchangeable.

    Args:
        detector (str | dict): Config of the wrapped detector, or its type
            alone, with the rest of its config as keywords.
        rpn_only (bool): Wrap its RPN only. Defaults to False.
        data_preprocessor (dict, optional): Data preprocessor of the wrapped
            detector.
        **kwargs: Config of the wrapped detector if ``detector`` is a type.
    """

    def __init__(
        self,
        detector: str | dict,
        rpn_only: bool = False,
        data_preprocessor: dict | None = None,
        **kwargs,
    ) -> None:
        if isinstance(detector, str):
            detector = dict(type=detector, **kwargs)
        elif kwargs:
            raise TypeError(
                'detector is a whole config, so there must be no '
                f'further keywords. Received: {sorted(kwargs)}.'
            )
        if data_preprocessor is not None:
            detector = dict(detector, data_preprocessor=data_preprocessor)
        if rpn_only:
            detector = rpn_config(detector)
        built = MMDET_MODELS.build(detector)
        require_runnable(built)
        super().__init__(data_preprocessor=built.data_preprocessor)
        self.detector = built
        self.rpn_only = rpn_only
        self._register_state_dict_hook(_export_plain_keys)
        self._register_load_state_dict_pre_hook(
            self._import_plain_keys, with_module=False
        )

    @classmethod
    def detector_config(cls, cfg: dict) -> dict:
        """Extract the wrapped detector's config from the wrapper's."""
        own = {'type'}
        for kind in cls.mro():
            if issubclass(kind, WrappedDetector):
                own.update(inspect.signature(kind.__init__).parameters)
        own.remove('data_preprocessor')
        detector = cfg['detector']
        if isinstance(detector, str):
            detector = dict(type=detector)
        rest = {key: value for key, value in cfg.items() if key not in own}
        return dict(detector, **rest)

    def loss(
        self, batch_inputs: Tensor, batch_data_samples: SampleList
    ) -> dict:
        """Return the losses of the wrapped detector on a batch of chips."""
        return self.detector.loss(batch_inputs, batch_data_samples)

    def extract_feat(self, batch_inputs: Tensor):
        """Return the features of the wrapped detector."""
        return self.detector.extract_feat(batch_inputs)

    def _forward(self, batch_inputs: Tensor, batch_data_samples=None):
        return self.detector._forward(batch_inputs, batch_data_samples)

    def run_detector(
        self, inputs: list[Tensor], samples: SampleList
    ) -> list[InstanceData]:
        """Normalise, pad, and run the wrapped detector on one batch.

        Images are (3, h, w), uint8, level pixels; their samples get their
        ``batch_input_shape``. Results are in pixels before the scale factor.
        """
        data = self._preprocess(inputs, samples)
        shape = tuple(data['inputs'].shape[-2:])
        for sample in samples:
            sample.set_metainfo(dict(batch_input_shape=shape))
        found = self.detector.predict(
            data['inputs'], data['data_samples'], rescale=True
        )
        found = [sample.pred_instances for sample in found]
        for result in found:
            # CrowdDet gives double boxes and float labels.
            if result.bboxes.dtype == torch.float64:
                result.bboxes = result.bboxes.float()
            result.labels = result.labels.long()
        return found

    def _preprocess(self, inputs: list[Tensor], samples: SampleList) -> dict:
        return self.detector.data_preprocessor(
            dict(inputs=inputs, data_samples=samples), False
        )

    def _import_plain_keys(self, state_dict: dict, prefix: str, *_) -> None:
        own = tuple(f'{prefix}{name}.' for name, _ in self.named_children())
        plain = [
            key
            for key in state_dict
            if key.startswith(prefix) and not key.startswith(own)
        ]
        # mmdet has two names for an RPN in checkpoints. Its detectors rename
        # it only where they are not wrapped.
        old, new = f'{prefix}bbox_head.', f'{prefix}rpn_head.'
        if isinstance(self.detector, RPN):
            old, new = new, old
        renames = hasattr(self.detector, new.removeprefix(prefix)[:-1])
        renames = renames and not any(key.startswith(new) for key in plain)
        for key in plain:
            name = key
            if renames and key.startswith(old):
                name = new + key.removeprefix(old)
            name = f'{prefix}detector.{name.removeprefix(prefix)}'
            state_dict[name] = state_dict.pop(key)


def _export_plain_keys(module, state_dict: dict, prefix: str, _) -> None:
    """State dict hook: give tensors the names of the wrapped detector."""
    wrapped = f'{prefix}detector.'
    for key in list(state_dict):
        # Moving all keys, also own ones, keeps the order of the modules.
        own = key.removeprefix(wrapped)
        new = key if own == key else prefix + own
        state_dict[new] = state_dict.pop(key)
    for key in [k for k in state_dict._metadata if k.startswith(wrapped)]:
        version = state_dict._metadata[key]
        state_dict._metadata.setdefault(prefix + key[len(wrapped) :], version)
