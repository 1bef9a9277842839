"""Wrapper that runs any mmdet detector over an image pyramid."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from itertools import chain

import numpy as np
import torch
from mmcv.ops import batched_nms
from mmdet.structures import SampleList
from mmengine.structures import InstanceData
from torch import Tensor

from sniper_mmdet.chips import ImagePyramid, in_range
from sniper_mmdet.chips.presets import SOFT_NMS
from sniper_mmdet.chips.tiles import Tile, cut_into_tiles, tile_overlap
from sniper_mmdet.images import ImageSource
from sniper_mmdet.images.cutting import resize_whole_exactly
from sniper_mmdet.registry import MODELS
from sniper_mmdet.structures import renumbered
from sniper_mmdet.utils.errors import UserError
from sniper_mmdet.utils.memory import large_arrays_apart

from .answering_maps import AnsweringMaps
from .box_proposals import merge_proposals, propose
from .device_resize import move_images
from .image_levels import ImageLevels, as_input, cut_pixels, make_batches
from .mask_parts import crop_masks, full_masks
from .near_nms import nms_by_neighbourhood
from .wrapped_detector import WrappedDetector

# The strides of most feature maps divide this number.
_STEP = 32
# Number of pixels of a tile from which memory counts more than the time to get
# it from the system again (measured: a third of the time).
_LARGE = 2**22
# Number of detections above which merging all at once is slow.
_MANY = 10_000


@MODELS.register_module()
class PyramidDetector(WrappedDetector):
    """Wraps a detector: trains it on chips, tests it on an image pyramid.

    In training the wrapper does what the wrapped detector does. In testing
    (SNIP, section 5.2) the detector runs on each resized level. Detections
    outside the level's valid range are left out; class-wise soft-NMS merges
    the others of all levels. ``pred_instances.levels`` has the level of each
    detection. A pyramid of one level without a range gives exactly the results
    of the wrapped detector, if the level is looked at in one piece.

    A level of more than ``max_pixels`` is looked at in tiles, see
    :mod:`~sniper_mmdet.chips.tiles`. They overlap so far that every object of
    the valid range lies whole in one of them.

    Test images are neither resized nor normalised: the test pipeline has no
    ``Resize``. Results are in original pixels.

    Checkpoints of the plain detector and of the wrapper are interchangeable,
    see :class:`WrappedDetector`.

    Args:
        detector (str | dict): Config of the wrapped detector, or its type
            alone, with the rest of its config as keywords. With a type, a
            config can inherit from mmdet's and change only ``type``.
        scales (Sequence): Test levels, coarse to fine; see
            :class:`~sniper_mmdet.chips.ImagePyramid`.
        valid_ranges (Sequence[tuple], optional): (low, high) sizes per level,
            original pixels. Defaults to None: no bounds.
        merge (dict, optional): Config of the NMS over the detections of all
            levels, as for mmcv's ``batched_nms``. Defaults to None:
            :data:`SOFT_NMS`.
        max_per_img (int): Detections kept per image, -1 for all. Defaults to
            200.
        batch_size (int | Sequence[int], optional): Images per forward pass,
            for all levels or one number per level. Defaults to None: all
            images of the batch.
        rpn_only (bool): Train and test only the RPN of a two-stage detector.
            Results are its proposals, the best 300 of each level, of all
            sizes, see :meth:`propose`. Defaults to False.
        data_preprocessor (dict, optional): Data preprocessor of the wrapped
            detector.
        max_pixels (int): Upper bound of the level pixels that are looked at in
            one piece. Defaults to 2**24.
        border (float): Original pixels. A detection that ends closer than this
            to a side of a piece may be cut, and is left out, unless that side
            is the image's. Defaults to 10.
        resize_on_device (bool): Copy each image to the detector's device once,
            as uint8, and cut and resize there. Pixels are within one grey
            level of those of the CPU. Defaults to False.
        base (tuple, optional): A level. Factors among ``scales`` are multiples
            of its factor, see :class:`~sniper_mmdet.chips.ImagePyramid`.
            Defaults to None.
        exact (bool): Resize as Fast R-CNN does, see the same class: in
            float32, by the factor by which boxes are divided. A level is
            resized as a whole, also where it is looked at in parts. Defaults
            to False.
        maps (Sequence, optional): For each level the indices of the feature
            maps on which the head detects, or None for all. The finest level
            can do without a map for large objects. Defaults to None: all maps
            at all levels.
        **kwargs: Config of the wrapped detector if ``detector`` is a type.

    Examples:
        >>> import torch
        >>> from mmdet.apis import init_detector
        >>> from mmdet.structures import DetDataSample
        >>> from mmengine.hub import get_config
        >>> cfg = get_config('mmdet::retinanet/retinanet_r18_fpn_1x_coco.py')
        >>> cfg.model.update(
        ...     type='sniper_mmdet.PyramidDetector', detector='RetinaNet',
        ...     scales=[0.5, 1.0], valid_ranges=[(64, None), (0, 80)])
        >>> model = init_detector(cfg, device='cpu')
        >>> image = torch.zeros(3, 192, 256, dtype=torch.uint8)
        >>> data = dict(inputs=[image], data_samples=[DetDataSample()])
        >>> result = model.test_step(data)[0]
        >>> sorted(result.pred_instances.keys())
        ['bboxes', 'labels', 'levels', 'scores']
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
        max_pixels: int = 2**24,
        border: float = 10,
        resize_on_device: bool = False,
        base: tuple[int, int] | None = None,
        exact: bool = False,
        maps: Sequence[Sequence[int] | None] | None = None,
        **kwargs,
    ) -> None:
        self.pyramid = ImagePyramid(scales, valid_ranges, base, exact)
        num_levels = len(self.pyramid)
        if batch_size is None or isinstance(batch_size, int):
            batch_size = [batch_size] * num_levels
        given = [n for n in batch_size if n is not None]
        if len(batch_size) != num_levels or min(given, default=1) < 1:
            raise ValueError(
                'batch_size must be a positive number, or one per level '
                f'({num_levels}). Received: {batch_size}.'
            )
        if max_pixels < 1:
            raise ValueError(
                f'max_pixels must be at least 1. Received: {max_pixels}.'
            )
        if exact and resize_on_device:
            raise ValueError(
                'exact levels are resized on the CPU: resize_on_device must '
                'be False. Received: True.'
            )
        super().__init__(detector, rpn_only, data_preprocessor, **kwargs)
        self.answers = AnsweringMaps(self.detector, maps, num_levels)
        self.merge = dict(merge or SOFT_NMS)
        self.max_per_img = max_per_img
        self.batch_size = batch_size
        self.max_pixels = max_pixels
        self.border = border
        self.resize_on_device = resize_on_device
        self.merges = True

    def test_step(self, data: dict | tuple | list) -> SampleList:
        """Detect on whole images; see :meth:`predict`.

        Images stay on the CPU until a level of them is looked at, unless
        ``resize_on_device``. The result of an image source has ``pixels_read``
        and ``bytes_read``.
        """
        if not isinstance(data, (tuple, list)):
            data = data['inputs'], data['data_samples']
        found = self.predict(*data)
        for image, sample in zip(data[0], found, strict=True):
            if isinstance(image, ImageSource):
                names = 'pixels_read', 'bytes_read'
                read = {name: getattr(image, name) for name in names}
                sample.set_metainfo(read)
                image.close()
        return found

    val_step = test_step

    @torch.no_grad()
    def predict(
        self, batch_inputs: Sequence[Tensor], batch_data_samples: SampleList
    ) -> SampleList:
        """Detect on whole images, uint8 (3, H, W) as loaded, of any sizes.

        From an :class:`~sniper_mmdet.images.ImageSource` it reads only the
        pixels that it looks at.

        Returns:
            list[:obj:`DetDataSample`]: The samples, with ``pred_instances``:
            boxes in original pixels, by falling score.
        """
        images = self._as_images(batch_inputs)
        if self.rpn_only:
            found = self.propose(images)
        else:
            levels = range(len(self.pyramid))
            found = [self._detect_level(images, level) for level in levels]
            merged = (
                self.merge_levels([*chain.from_iterable(own)])
                for own in zip(*found, strict=True)
            )
            found = map(_of_image, merged, images)
        return self.add_pred_to_datasample(batch_data_samples, list(found))

    def _as_images(
        self, batch_inputs: Sequence[Tensor]
    ) -> list[np.ndarray] | list[Tensor]:
        """Return images (3, H, W) as (H, W, 3), arrays or on the device.

        An image source stays as it is: the CPU reads its pixels later.
        """
        if self.resize_on_device:
            return move_images(batch_inputs, self.data_preprocessor.device)
        return as_arrays(batch_inputs)

    def detect_level(
        self, images: Sequence[np.ndarray], level: int
    ) -> list[InstanceData]:
        """Detect on one level, in its valid range.

        Args:
            images (Sequence[ndarray]): uint8 (H, W, 3), original pixels.
            level (int): Index into the pyramid.
        """
        found = map(InstanceData.cat, self._detect_level(images, level))
        return list(map(_of_image, found, images))

    def _detect_level(self, images, level) -> list[list[InstanceData]]:
        """Detect on each tile of each image; masks are parts."""

        def run(inputs, samples):
            with self.answers.of(level):
                found = self.run_detector(inputs, samples)
            return map(crop_masks, found)

        keep = partial(self._keep_valid, level=level)
        return self._run_level(images, level, run, keep)

    @torch.no_grad()
    def propose(
        self,
        images: Sequence[np.ndarray],
        num: int = 300,
        iou_threshold: float = 0.7,
    ) -> list[InstanceData]:
        """Return class-agnostic proposals of all levels, whatever their size.

        Args:
            images (Sequence[ndarray]): uint8 (H, W, 3), original pixels.
            num (int): Proposals per image and level. Defaults to 300.
            iou_threshold (float): NMS over all levels. Defaults to 0.7.

        Returns:
            list[:obj:`InstanceData`]: ``bboxes`` in original pixels,
            ``scores`` and ``labels``, all 0, by falling score.
        """

        def run(level, inputs, samples):
            data = self._preprocess(inputs, samples)
            data = data['inputs'], data['data_samples']
            with self.answers.of(level):
                return propose(self.detector, *data, num)

        levels = [
            [
                _best(own)[:num]
                for own in self._run_level(images, level, partial(run, level))
            ]
            for level in range(len(self.pyramid))
        ]
        return [
            merge_proposals(of_image, iou_threshold)
            for of_image in zip(*levels, strict=True)
        ]

    def _run_level(
        self,
        images: Sequence[np.ndarray],
        level: int,
        run: Callable,
        keep: Callable | None = None,
    ) -> list[list[InstanceData]]:
        """Run on one level; return the results of each image's tiles.

        ``run`` takes a batch of :meth:`level_batches` and returns detections
        of each image, in pixels before the scale factor. ``keep`` selects the
        detections that count, which two tiles must not share.
        """
        views = [ImageLevels(img, **self._levels_of(img)) for img in images]
        tiles = [self._tiles(view, level, view.whole(level)) for view in views]
        small = [k for k, own in enumerate(tiles) if len(own) == 1]
        found = (
            result
            for batch in self.level_batches([images[k] for k in small], level)
            for result in run(*batch)
        )
        for k, result in zip(small, found, strict=True):
            views[k].found.append(keep(result) if keep else result)
        todo = [
            ((view, tile), tile.part, 0)
            for view, own in zip(views, tiles, strict=True)
            for tile in own
            if len(own) > 1
        ]
        self._run_tiles(todo, level, lambda *batch: run(*batch[:2]), keep)
        return [view.found for view in views]

    def _levels_of(self, image: np.ndarray | Tensor | ImageSource) -> dict:
        """Return sizes and scales of an image's levels, for ImageLevels."""
        size = image.shape[1::-1]
        exact = self.pyramid.exact
        return dict(
            sizes=self.pyramid.level_sizes(*size),
            scales=self.pyramid.level_scales(*size) if exact else None,
        )

    def _run_tiles(
        self,
        todo: list[tuple],
        level: int,
        run: Callable,
        keep: Callable | None,
    ) -> None:
        """Run on tiles of a level, and add the detections to their images.

        Args:
            todo (list[tuple]): Tiles, see :func:`make_batches`; a key is an
                :class:`ImageLevels` and a tile of it.
            level (int): Index into the pyramid.
            run (Callable): Takes the images of a batch, their samples, their
                limit, and their keys; see :meth:`_run_level`.
            keep (Callable, optional): See :meth:`_run_level`.
        """
        for limit, batch in make_batches(todo, self.max_pixels):
            keys = [key for key, _ in batch]
            cuts = [image.cut(level, tile.part) for image, tile in keys]
            inputs, samples, offsets = map(list, zip(*cuts, strict=True))
            # Tiles near the limit decide the peak of memory.
            large = inputs[0][0].numel() > max(_LARGE, self.max_pixels // 2)
            with large_arrays_apart() if large else nullcontext():
                found = run(inputs, samples, limit, keys)
            for (image, tile), own, offset in zip(
                keys, found, offsets, strict=True
            ):
                where = level, tile, self.border
                own = image.move_in(own, offset, *where)
                if keep:
                    own = image.without_known(keep(own), *where)
                image.add(own, offset)

    def _tiles(self, image: ImageLevels, level: int, part: list) -> list[Tile]:
        """Split a part of a level into tiles, each looked at in one piece."""
        overlap = tile_overlap(
            self.pyramid.bounds[level][1],
            self.border,
            image.sizes[level],
            image.scale(level).max(),
            self.max_pixels,
        )
        try:
            return cut_into_tiles(
                part, self.max_pixels, overlap, self._tile_step
            )
        except ValueError as error:
            raise UserError(str(error)) from None

    @property
    def _tile_step(self) -> int:
        """int: Number of level pixels at whose multiples tiles begin.

        The detector pads to multiples of it: the cells of a tile's feature
        maps then coincide with those of the whole level.
        """
        divisor = getattr(self.data_preprocessor, 'pad_size_divisor', 1)
        return math.lcm(_STEP, divisor)

    def level_batches(
        self, images: Sequence[np.ndarray], level: int
    ) -> Iterator[tuple[list[Tensor], SampleList]]:
        """Resize images, uint8 (H, W, 3), to one level, in batches.

        Yields:
            tuple: Images (3, h, w), uint8, or float32 if levels are exact, on
            the CPU or on the device of the given tensors; and their samples
            with ``ori_shape``, ``img_shape``, ``scale_factor``.
        """
        exact = self.pyramid.exact
        step = self.batch_size[level] or max(len(images), 1)
        for start in range(0, len(images), step):
            inputs, samples = [], []
            for img in images[start : start + step]:
                h, w = img.shape[:2]
                scale = tuple(self.pyramid.level_scales(w, h)[level].tolist())
                if exact:
                    pixels = resize_whole_exactly(img, scale[0])
                else:
                    pixels, *_ = cut_pixels(img, (0, 0, w, h), scale)
                pixels, sample = as_input(pixels, (h, w), scale)
                inputs.append(pixels)
                samples.append(sample)
            yield inputs, samples

    def merge_levels(self, results: list[InstanceData]) -> InstanceData:
        """Merge the detections of all levels and tiles of one image.

        If ``merges`` is False, all detections are kept, without masks: those
        of a part of a scene are merged later with those of other parts.
        """
        if not self.merges:
            unmerged = InstanceData.cat(results)
            unmerged.pop('masks', None)
            return unmerged
        if self.pyramid.is_trivial:
            best = _best(results)
            # For a single piece the detector's own bound holds.
            whole = len(results) == 1 or self.max_per_img < 0
            return best if whole else best[: self.max_per_img]
        merged = InstanceData.cat(results)
        if len(merged) == 0:
            return merged
        nms = batched_nms if len(merged) < _MANY else nms_by_neighbourhood
        labels = renumbered(merged.labels)
        dets, keep = nms(merged.bboxes, merged.scores, labels, self.merge)
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


def as_arrays(
    images: Sequence[Tensor | ImageSource],
) -> list[np.ndarray | ImageSource]:
    """Return images (3, H, W) as arrays (H, W, 3); sources stay."""
    return [
        img if isinstance(img, ImageSource) else as_array(img)
        for img in images
    ]


def as_array(image: Tensor) -> np.ndarray:
    """Return an image (3, H, W) as (H, W, 3), on the CPU."""
    return image.permute(1, 2, 0).cpu().numpy()


def _best(results: list[InstanceData]) -> InstanceData:
    """Concatenate the detections of several tiles, by falling score."""
    joined = InstanceData.cat(results)
    if len(results) == 1:
        return joined
    return joined[joined.scores.argsort(descending=True, stable=True)]


def _of_image(result: InstanceData, image: np.ndarray) -> InstanceData:
    return full_masks(result, image.shape[:2])
