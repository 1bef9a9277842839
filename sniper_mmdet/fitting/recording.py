"""What a detector finds at many levels of images, run once."""

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
    """What was found in one image, level by level, before any merge.

    Args:
        size (tuple[int]): (width, height), original pixels.
        sizes (ndarray (L, 2)): (width, height) of the levels.
        maps (list[ndarray (h, w)]): Probabilities of FocusPixels of each level
            but the finest; none of a detector without a focus head.
        found (:obj:`InstanceData`): Detections of all levels and sizes:
            ``bboxes``, original pixels, ``scores``, ``labels``, ``levels``;
            on the CPU.
        objects (list[dict]): Annotated: ``bbox`` (x, y, w, h), ``iscrowd``,
            ``label``.
    """

    size: tuple[int, int]
    sizes: np.ndarray
    maps: list[np.ndarray]
    found: InstanceData
    objects: list[dict]


@dataclass(frozen=True)
class Recording:
    """What a detector finds at many levels.

    Args:
        model (:obj:`PyramidDetector`): Whose merge and stride count.
        scales (tuple): Of the levels, coarse to fine.
        images (list[:obj:`RecordedImage`]): Each at all levels.
    """

    model: PyramidDetector
    scales: tuple
    images: list[RecordedImage]

    @property
    def factors(self) -> np.ndarray:
        """ndarray (L,): median over the images, original to level pixels."""
        return np.median(
            [image.sizes[:, 0] / image.size[0] for image in self.images], 0
        )

    @property
    def object_sizes(self) -> np.ndarray:
        """ndarray (N,): of all objects but crowds, original pixels."""
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
) -> Recording:
    """Run a detector once over images, at every level whole.

    Args:
        model (:obj:`PyramidDetector`): If it is AutoFocus, its maps too.
        dataset (BaseDataset): Of mmdet, with a pipeline of tests.
        scales (Sequence): Two levels or more, coarse to fine; see
            :class:`~sniper_mmdet.chips.ImagePyramid`.
        indices (Sequence[int], optional): Images of the data set. Defaults to
            None: all.

    Raises:
        UserError: Feature maps answer by level, or levels are exact: both are
            of the detector's own levels only.
    """
    if model.answers.maps is not None or model.pyramid.exact:
        raise UserError(
            'a detector is tried at other levels than its own: it must have '
            f'neither maps nor exact. Received: maps={model.answers.maps}, '
            f'exact={model.pyramid.exact}.'
        )
    pyramid = ImagePyramid(scales)
    changes = dict(
        pyramid=pyramid,
        batch_size=[None] * len(pyramid),
        merge_levels=_unmerged,
    )
    if isinstance(model, AutoFocus):
        focus = [FocusSettings(threshold=0)] * (len(pyramid) - 1)
        own = dict(focus=focus, ground_truth=False, budget=NO_BUDGET)
        changes.update(own)
    way = with_changes(model, model.predict, **changes)
    images = []
    for index in track(range(len(dataset)) if indices is None else indices):
        item = dataset[index]
        sample = way([item['inputs']], [item['data_samples']])[0]
        height, width = item['inputs'].shape[-2:]
        maps = sample.focus['probabilities'] if 'focus' in sample else []
        images.append(
            RecordedImage(
                (width, height),
                pyramid.level_sizes(width, height),
                maps,
                sample.pred_instances,
                _objects(dataset.get_data_info(index)),
            )
        )
    return Recording(model, pyramid.scales, images)


def _unmerged(results: list[InstanceData]) -> InstanceData:
    """All that the levels found, without masks, on the CPU."""
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
