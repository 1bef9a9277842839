"""Recordings of a detector's outputs on images at many levels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from mmengine.structures import InstanceData

from sniper_mmdet.apis.comparison import with_changes
from sniper_mmdet.chips import FocusSettings, ImagePyramid
from sniper_mmdet.chips.budget import NO_BUDGET
from sniper_mmdet.models import AutoFocus, PyramidDetector
from sniper_mmdet.utils.errors import UserError
from sniper_mmdet.utils.progress import track

_NAMES = 'bboxes', 'scores', 'labels', 'levels'


@dataclass(frozen=True)
class RecordedImage:
    """The detections in one image, level by level, before any merge.

    Args:
        size (tuple[int]): (width, height), original pixels.
        sizes (ndarray (L, 2)): (width, height) of the levels.
        maps (list[ndarray (h, w)]): Probabilities of FocusPixels of each level
            but the finest; empty for a detector without a focus head.
        found (:obj:`InstanceData`): Detections of all levels and sizes, on the
            CPU: ``bboxes``, original pixels, ``scores``, ``labels``,
            ``levels``.
        objects (list[dict]): Annotations: ``bbox`` (x, y, w, h), ``iscrowd``,
            ``label``.
    """

    size: tuple[int, int]
    sizes: np.ndarray
    maps: list[np.ndarray]
    found: InstanceData
    objects: list[dict]


@dataclass(frozen=True)
class Recording:
    """The outputs of a detector at many levels.

    Args:
        model (:obj:`PyramidDetector`): The detector, whose merge and stride
            count.
        scales (tuple): Scales of the levels, coarse to fine.
        images (list[:obj:`RecordedImage`]): The images, each at all levels.
    """

    model: PyramidDetector
    scales: tuple
    images: list[RecordedImage]

    @property
    def factors(self) -> np.ndarray:
        """ndarray (L,): Median factors from original to level pixels."""
        return np.median(
            [image.sizes[:, 0] / image.size[0] for image in self.images], 0
        )

    @property
    def object_sizes(self) -> np.ndarray:
        """ndarray (N,): Sizes of all objects but crowds, original pixels."""
        boxes = [
            one['bbox']
            for image in self.images
            for one in image.objects
            if not one['iscrowd']
        ]
        return np.sqrt(np.array(boxes, float).reshape(-1, 4)[:, 2:].prod(1))


def record(
    model: PyramidDetector,
    dataset,
    scales: Sequence,
    indices: Sequence[int] | None = None,
    known: Recording | None = None,
) -> Recording:
    """Run a detector once on whole images at every level.

    Args:
        model (:obj:`PyramidDetector`): The detector; AutoFocus gives maps too.
        dataset (BaseDataset): Data set of mmdet with a test pipeline.
        scales (Sequence): Two levels or more, coarse to fine; see
            :class:`~sniper_mmdet.chips.ImagePyramid`.
        indices (Sequence[int], optional): Indices of images of the data set.
            Defaults to None: all images.
        known (:obj:`Recording`, optional): Recording of the same detector on
            the same images. If it has the finest level, AutoFocus does not run
            there again: only other levels need maps. Defaults to None.

    Raises:
        UserError: The detector has ``maps`` or ``exact``, which hold for its
            own levels only.
    """
    if model.answers.maps is not None or model.pyramid.exact:
        raise UserError(
            'a detector is tried at other levels than its own: it must have '
            f'neither maps nor exact. Received: maps={model.answers.maps}, '
            f'exact={model.pyramid.exact}.'
        )
    pyramid, again = ImagePyramid(scales), has_finest(known, scales)
    changes = dict(
        pyramid=pyramid,
        batch_size=[None] * len(pyramid),
        merge_levels=_unmerged,
    )
    if isinstance(model, AutoFocus):
        focus = [FocusSettings(threshold=0)] * (len(pyramid) - 1)
        if again:
            focus[-1] = FocusSettings(threshold=math.inf)
        own = dict(focus=focus, ground_truth=False, budget=NO_BUDGET)
        changes.update(own)
    way = with_changes(model, model.predict, **changes)
    images = []
    indices = range(len(dataset)) if indices is None else indices
    for number, index in enumerate(track(indices)):
        item = dataset[index]
        sample = way([item['inputs']], [item['data_samples']])[0]
        found = sample.pred_instances
        if again:
            finest = known.images[number].found
            finest = finest[finest.levels == known.scales.index(scales[-1])]
            finest.levels[:] = len(pyramid) - 1
            found = InstanceData.cat([found, finest])
        height, width = item['data_samples'].ori_shape
        maps = sample.focus['probabilities'] if 'focus' in sample else []
        images.append(
            RecordedImage(
                (width, height),
                pyramid.level_sizes(width, height),
                maps,
                found,
                _objects(dataset.get_data_info(index)),
            )
        )
    return Recording(model, pyramid.scales, images)


def has_finest(known: Recording | None, scales: Sequence) -> bool:
    """Test whether a recording has the finest of some scales."""
    return known is not None and scales[-1] in known.scales


def _unmerged(results: list[InstanceData]) -> InstanceData:
    """Concatenate the detections of all levels, without masks, on the CPU."""
    plain = [
        InstanceData(**{name: result[name].cpu() for name in _NAMES})
        for result in results
    ]
    return InstanceData.cat(plain)


def _objects(info: dict) -> list[dict]:
    objects = []
    for one in info['instances']:
        x1, y1, x2, y2 = one['bbox']
        box = [x1, y1, x2 - x1, y2 - y1]
        crowd = int(one['ignore_flag'])
        objects.append(dict(bbox=box, iscrowd=crowd, label=one['bbox_label']))
    return objects
