"""Any mmdet detector, run over an image pyramid."""

import inspect
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from mmcv.image import imresize
from mmcv.ops import batched_nms
from mmdet.models.detectors import RPN
from mmdet.models.detectors.base import BaseDetector
from mmdet.registry import MODELS as MMDET_MODELS
from mmdet.structures import DetDataSample, SampleList
from mmengine.structures import InstanceData
from torch import Tensor

from sniper_mmdet.chips import ImagePyramid, in_range
from sniper_mmdet.chips.presets import SOFT_NMS
from sniper_mmdet.registry import MODELS

from .box_proposals import merge_proposals, propose, rpn_config
from .mask_parts import crop_masks, full_masks
from .runnable import require_runnable


@MODELS.register_module()
class PyramidDetector(BaseDetector):
    """Wraps a detector: trains it on chips, tests it on an image pyramid.

    In training it is the wrapped detector. In testing (SNIP, section 5.2) each
    level is resized and detected on its own, detections outside the level's
    valid range are left out, and what remains of all levels is merged by
    class-wise soft-NMS; ``pred_instances.levels`` tells which level each is
    from. One level without a range gives exactly what the wrapped detector
    gives.

    Test images come as loaded, neither resized nor normalised: the test
    pipeline has no ``Resize``. Results are in original pixels.

    The wrapper has no weights of its own and its state dict is the wrapped
    detector's, so checkpoints of the plain detector and of the wrapper are
    interchangeable.

    Args:
        detector (str | dict): The wrapped detector: its config, or its type
            alone with the rest of its config given as keywords. The latter
            lets a config inherit from mmdet's and change only ``type``.
        scales (Sequence): Test levels, coarse to fine; see
            :class:`~sniper_mmdet.chips.ImagePyramid`.
        valid_ranges (Sequence[tuple], optional): (low, high) sizes a level,
            original pixels. Defaults to None: everything counts everywhere.
        merge (dict, optional): NMS over the detections of all levels, as in
            mmcv's ``batched_nms``. Defaults to None: :data:`SOFT_NMS`.
        max_per_img (int): Detections kept an image, -1 for all. Defaults to
            200.
        batch_size (int | Sequence[int], optional): Images run together, for
            all levels or one number a level. Defaults to None: all images of
            the batch.
        rpn_only (bool): Train and test only the RPN of a two-stage detector:
            results are its proposals, the best 300 of each level, of all
            sizes, as :meth:`propose` has them. Defaults to False.
        data_preprocessor (dict, optional): Of the wrapped detector.
        **kwargs: The wrapped detector's config where ``detector`` is a type.

    Examples:
        >>> model = dict(
        ...     type='sniper_mmdet.PyramidDetector',
        ...     detector=dict(type='FasterRCNN', ...),
        ...     scales=[(480, 512), (800, 1280), (1400, 2000)],
        ...     valid_ranges=[(75, None), (32, 180), (0, 90)])
    """

    def __init__(
        self,
        detector: str | dict,
        scales: Sequence,
        valid_ranges: Sequence[tuple] | None = None,
        merge: dict | None = None,
        max_per_img: int = 200,
        batch_size: int | Sequence[int] | None = None,
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
        self.pyramid = ImagePyramid(scales, valid_ranges)
        num_levels = len(self.pyramid)
        if batch_size is None or isinstance(batch_size, int):
            batch_size = [batch_size] * num_levels
        given = [n for n in batch_size if n is not None]
        if len(batch_size) != num_levels or min(given, default=1) < 1:
            raise ValueError(
                'batch_size must be a positive number, or one a level '
                f'({num_levels}). Received: {batch_size}.'
            )
        built = MMDET_MODELS.build(detector)
        require_runnable(built)
        super().__init__(data_preprocessor=built.data_preprocessor)
        self.detector = built
        self.merge = dict(merge or SOFT_NMS)
        self.max_per_img = max_per_img
        self.batch_size = batch_size
        self.rpn_only = rpn_only
        self._register_state_dict_hook(_export_plain_keys)
        self._register_load_state_dict_pre_hook(
            self._import_plain_keys, with_module=False
        )

    @classmethod
    def detector_config(cls, cfg: dict) -> dict:
        """The wrapped detector's whole config, out of the wrapper's."""
        own = {'type'}
        for kind in cls.mro():
            if issubclass(kind, PyramidDetector):
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
        """Losses of the wrapped detector on a batch of chips."""
        return self.detector.loss(batch_inputs, batch_data_samples)

    def extract_feat(self, batch_inputs: Tensor):
        """Features of the wrapped detector."""
        return self.detector.extract_feat(batch_inputs)

    def _forward(self, batch_inputs: Tensor, batch_data_samples=None):
        return self.detector._forward(batch_inputs, batch_data_samples)

    def test_step(self, data: dict | tuple | list) -> SampleList:
        """Detect on whole images; see :meth:`predict`.

        Images stay on the CPU until a level of them is looked at.
        """
        if isinstance(data, (tuple, list)):
            return self.predict(*data)
        return self.predict(data['inputs'], data['data_samples'])

    val_step = test_step

    @torch.no_grad()
    def predict(
        self, batch_inputs: Sequence[Tensor], batch_data_samples: SampleList
    ) -> SampleList:
        """Detect on whole images, uint8 (3, H, W) as loaded, of any sizes.

        Returns:
            list[:obj:`DetDataSample`]: Theirs, with ``pred_instances``, boxes
            in original pixels, by falling score.
        """
        images = as_arrays(batch_inputs)
        if self.rpn_only:
            found = self.propose(images)
        else:
            levels = range(len(self.pyramid))
            found = [self._detect_level(images, level) for level in levels]
            merged = map(self.merge_levels, zip(*found, strict=True))
            found = map(_of_image, merged, images)
        return self.add_pred_to_datasample(batch_data_samples, list(found))

    def detect_level(
        self, images: Sequence[np.ndarray], level: int
    ) -> list[InstanceData]:
        """Detections of one level in its valid range, in original pixels.

        Args:
            images (Sequence[ndarray]): uint8 (H, W, 3), original pixels.
            level (int): Index into the pyramid.
        """
        return list(map(_of_image, self._detect_level(images, level), images))

    def _detect_level(self, images, level) -> list[InstanceData]:
        """The same, masks as parts."""
        return [
            self._keep_valid(crop_masks(result), level)
            for batch in self.level_batches(images, level)
            for result in self.run_detector(*batch)
        ]

    @torch.no_grad()
    def propose(
        self,
        images: Sequence[np.ndarray],
        num: int = 300,
        iou_threshold: float = 0.7,
    ) -> list[InstanceData]:
        """Class-agnostic proposals over the pyramid, of all sizes at a level.

        Args:
            images (Sequence[ndarray]): uint8 (H, W, 3), original pixels.
            num (int): Proposals per image and level. Defaults to 300.
            iou_threshold (float): NMS over all levels. Defaults to 0.7.

        Returns:
            list[:obj:`InstanceData`]: ``bboxes`` in original pixels,
            ``scores`` and ``labels``, all 0, by falling score.
        """
        levels = [[] for _ in self.pyramid.scales]
        for level, found in enumerate(levels):
            for batch in self.level_batches(images, level):
                data = self._preprocess(*batch)
                found += propose(
                    self.detector, data['inputs'], data['data_samples'], num
                )
        return [
            merge_proposals(of_image, iou_threshold)
            for of_image in zip(*levels, strict=True)
        ]

    def level_batches(
        self, images: Sequence[np.ndarray], level: int
    ) -> Iterator[tuple[list[Tensor], SampleList]]:
        """Images, uint8 (H, W, 3), at one level, in batches.

        Yields:
            tuple: Images (3, h, w), uint8, level pixels, on the CPU; and
            their samples with ``ori_shape``, ``img_shape``, ``scale_factor``.
        """
        step = self.batch_size[level] or len(images)
        for start in range(0, len(images), step):
            inputs, samples = [], []
            for img in images[start : start + step]:
                h, w = img.shape[:2]
                size = tuple(self.pyramid.level_sizes(w, h)[level].tolist())
                scale = size[0] / w, size[1] / h
                pixels, sample = as_input(imresize(img, size), (h, w), scale)
                inputs.append(pixels)
                samples.append(sample)
            yield inputs, samples

    def run_detector(
        self, inputs: list[Tensor], samples: SampleList
    ) -> list[InstanceData]:
        """Normalise, pad, and run the wrapped detector on one batch.

        The batch is as :meth:`level_batches` gives it; its samples are told
        their ``batch_input_shape``. Results are in pixels before the scale
        factor.
        """
        data = self._preprocess(inputs, samples)
        shape = tuple(data['inputs'].shape[-2:])
        for sample in samples:
            sample.set_metainfo(dict(batch_input_shape=shape))
        found = self.detector.predict(
            data['inputs'], data['data_samples'], rescale=True
        )
        return [sample.pred_instances for sample in found]

    def _preprocess(self, inputs: list[Tensor], samples: SampleList) -> dict:
        return self.detector.data_preprocessor(
            dict(inputs=inputs, data_samples=samples), False
        )

    def merge_levels(self, results: list[InstanceData]) -> InstanceData:
        """Merge the detections of all levels of one image."""
        if self.pyramid.is_trivial:
            return results[0]
        merged = InstanceData.cat(results)
        if len(merged) == 0:
            return merged
        dets, keep = batched_nms(
            merged.bboxes, merged.scores, merged.labels, self.merge
        )
        if self.max_per_img >= 0:
            keep = keep[: self.max_per_img]
        merged = merged[keep]
        merged.scores = dets[: len(keep), -1]
        return merged

    def _keep_valid(self, result: InstanceData, level: int) -> InstanceData:
        if not self.pyramid.is_trivial:
            result.levels = torch.full_like(result.labels, level)
        low, high = self.pyramid.bounds[level]
        if low == 0 and high == np.inf:
            return result
        sides = (result.bboxes[:, 2:] - result.bboxes[:, :2]).clamp(min=0)
        sizes = sides.prod(1).sqrt()
        return result[in_range(sizes, low, high)]

    def _import_plain_keys(self, state_dict: dict, prefix: str, *_) -> None:
        own = tuple(f'{prefix}{name}.' for name, _ in self.named_children())
        plain = [
            key
            for key in state_dict
            if key.startswith(prefix) and not key.startswith(own)
        ]
        # A checkpoint's RPN, which mmdet calls by two names: its own detectors
        # do this only where they are not wrapped.
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


def as_arrays(images: Sequence[Tensor]) -> list[np.ndarray]:
    """Images (3, H, W) as arrays (H, W, 3), on the CPU."""
    return [img.permute(1, 2, 0).cpu().numpy() for img in images]


def _of_image(result: InstanceData, image: np.ndarray) -> InstanceData:
    return full_masks(result, image.shape[:2])


def as_input(
    pixels: np.ndarray,
    ori_shape: tuple[int, int],
    scale_factor: tuple[float, float],
) -> tuple[Tensor, DetDataSample]:
    """Resized pixels (h, w, 3), uint8, as (3, h, w), and their sample."""
    shapes = dict(ori_shape=ori_shape, img_shape=pixels.shape[:2])
    sample = DetDataSample(metainfo=dict(shapes, scale_factor=scale_factor))
    pixels = torch.from_numpy(np.ascontiguousarray(pixels))
    return pixels.permute(2, 0, 1), sample


def _export_plain_keys(module, state_dict: dict, prefix: str, _) -> None:
    """State dict hook: name the wrapped detector's tensors as it does."""
    wrapped = f'{prefix}detector.'
    for key in list(state_dict):
        # Moving every key, own ones too, keeps the order of the modules.
        own = key.removeprefix(wrapped)
        new = key if own == key else prefix + own
        state_dict[new] = state_dict.pop(key)
    for key in [k for k in state_dict._metadata if k.startswith(wrapped)]:
        version = state_dict._metadata[key]
        state_dict._metadata.setdefault(prefix + key[len(wrapped) :], version)
