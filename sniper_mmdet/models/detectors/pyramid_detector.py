"""Any mmdet detector, run over an image pyramid."""

import math
from collections.abc import Callable, Iterator, Sequence
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
from sniper_mmdet.utils.errors import UserError

from .answering_maps import AnsweringMaps
from .box_proposals import merge_proposals, propose
from .device_resize import move_images
from .image_levels import ImageLevels, as_input, cut_pixels, make_batches
from .mask_parts import crop_masks, full_masks
from .near_nms import nms_by_neighbourhood
from .wrapped_detector import WrappedDetector

# The stride of most feature maps divides it.
_STEP = 32
# Detections from which on merging all at once is slow.
_MANY = 10_000


@MODELS.register_module()
class PyramidDetector(WrappedDetector):
    """Wraps a detector: trains it on chips, tests it on an image pyramid.

    In training it is the wrapped detector. In testing (SNIP, section 5.2) each
    level is resized and detected on its own, detections outside the level's
    valid range are left out, and what remains of all levels is merged by
    class-wise soft-NMS; ``pred_instances.levels`` tells which level each is
    from. One level without a range gives exactly what the wrapped detector
    gives, where it is looked at in one piece.

    A level of more than ``max_pixels`` is looked at in tiles, see
    :mod:`~sniper_mmdet.chips.tiles`: they overlap by what an object of the
    valid range needs to lie whole in one of them.

    Test images come as loaded, neither resized nor normalised: the test
    pipeline has no ``Resize``. Results are in original pixels.

    Checkpoints of the plain detector and of the wrapper are interchangeable,
    see :class:`WrappedDetector`.

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
        max_pixels (int): Level pixels of what is looked at in one piece.
            Defaults to 2**24.
        border (float): Original pixels within which a side of a piece may cut
            a detection, which is left out. A border of the image cuts none.
            Defaults to 10.
        resize_on_device (bool): Copy each image to the detector's device once,
            uint8, and cut and resize there what is looked at: within one grey
            level of what the CPU gives. Defaults to False.
        base (tuple, optional): A level whose multiples the factors among
            ``scales`` are, see :class:`~sniper_mmdet.chips.ImagePyramid`.
            Defaults to None.
        exact (bool): Resize as Fast R-CNN and its kin do, see there: in
            float32, by the factor that boxes are divided by. A level is
            resized as a whole, also where it is looked at in parts. Defaults
            to False.
        maps (Sequence, optional): Which feature maps of the detector answer
            at each level: their indices, or None for all. One that finds
            large objects may be left out where the image is largest. Defaults
            to None: all at each.
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
                'batch_size must be a positive number, or one a level '
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
        ``resize_on_device``. What was read of an image source is in its
        result's ``pixels_read`` and ``bytes_read``.
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

        Of an :class:`~sniper_mmdet.images.ImageSource` no more is read than
        is looked at.

        Returns:
            list[:obj:`DetDataSample`]: Theirs, with ``pred_instances``, boxes
            in original pixels, by falling score.
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
        """Images (3, H, W) as (H, W, 3), arrays or on the device.

        A source stays what it is: the CPU reads what is looked at.
        """
        if self.resize_on_device:
            return move_images(batch_inputs, self.data_preprocessor.device)
        return as_arrays(batch_inputs)

    def detect_level(
        self, images: Sequence[np.ndarray], level: int
    ) -> list[InstanceData]:
        """Detections of one level in its valid range, in original pixels.

        Args:
            images (Sequence[ndarray]): uint8 (H, W, 3), original pixels.
            level (int): Index into the pyramid.
        """
        found = map(InstanceData.cat, self._detect_level(images, level))
        return list(map(_of_image, found, images))

    def _detect_level(self, images, level) -> list[list[InstanceData]]:
        """The same of each tile of each image, masks as parts."""

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
        """Class-agnostic proposals over the pyramid, of all sizes at a level.

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
        """Run over one level: of each image, what its tiles have.

        ``run`` takes a batch as :meth:`level_batches` gives it, and gives
        what is found in each, pixels before the scale factor. ``keep`` tells
        those of them that count, and that two tiles may not both have.
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
        """Sizes and scales of an image's levels, for ImageLevels."""
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
        """Run over tiles of a level, and add to images what is found in them.

        Args:
            todo (list[tuple]): As of :func:`make_batches`; a key is an
                :class:`ImageLevels` and a tile of it.
            level (int): Index into the pyramid.
            run (Callable): Takes the images of a batch, their samples, their
                limit, and their keys; see :meth:`_run_level`.
            keep (Callable, optional): See there.
        """
        for limit, batch in make_batches(todo, self.max_pixels):
            keys = [key for key, _ in batch]
            cuts = [image.cut(level, tile.part) for image, tile in keys]
            inputs, samples, offsets = map(list, zip(*cuts, strict=True))
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
        """What is looked at in one piece of a part of a level."""
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
        """Level pixels at whose multiples tiles begin.

        What the detector pads to: its feature maps then have their cells
        where those of the whole level are.
        """
        divisor = getattr(self.data_preprocessor, 'pad_size_divisor', 1)
        return math.lcm(_STEP, divisor)

    def level_batches(
        self, images: Sequence[np.ndarray], level: int
    ) -> Iterator[tuple[list[Tensor], SampleList]]:
        """Images, uint8 (H, W, 3), at one level, in batches.

        Yields:
            tuple: Images (3, h, w), uint8, or float32 where levels are exact,
            level pixels, on the CPU or, where tensors were given, where those
            are; and their samples with
            ``ori_shape``, ``img_shape``, ``scale_factor``.
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
        """Merge the detections of all levels of one image, and their tiles.

        Unless ``merges`` is False: of a part of a scene, all are kept, to be
        merged with those of others; masks are left out.
        """
        if not self.merges:
            unmerged = InstanceData.cat(results)
            unmerged.pop('masks', None)
            return unmerged
        if self.pyramid.is_trivial:
            best = _best(results)
            # Of one piece the detector's own number holds.
            whole = len(results) == 1 or self.max_per_img < 0
            return best if whole else best[: self.max_per_img]
        merged = InstanceData.cat(results)
        if len(merged) == 0:
            return merged
        nms = batched_nms if len(merged) < _MANY else nms_by_neighbourhood
        # mmcv moves boxes by their class, and far enough away single precision
        # has no fractions of a pixel: of thousands, only those found count.
        group = merged.labels.unique(return_inverse=True)[1]
        dets, keep = nms(merged.bboxes, merged.scores, group, self.merge)
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
    """Images (3, H, W) as arrays (H, W, 3); sources stay as they are."""
    return [
        img if isinstance(img, ImageSource) else as_array(img)
        for img in images
    ]


def as_array(image: Tensor) -> np.ndarray:
    """An image (3, H, W) as (H, W, 3), on the CPU."""
    return image.permute(1, 2, 0).cpu().numpy()


def _best(results: list[InstanceData]) -> InstanceData:
    """What several tiles have, by falling score."""
    joined = InstanceData.cat(results)
    if len(results) == 1:
        return joined
    return joined[joined.scores.argsort(descending=True, stable=True)]


def _of_image(result: InstanceData, image: np.ndarray) -> InstanceData:
    return full_masks(result, image.shape[:2])
