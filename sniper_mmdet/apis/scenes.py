"""Detection on one scene of any size, part by part."""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.dist import barrier, get_dist_info
from mmengine.structures import InstanceData

from sniper_mmdet.chips import ImagePyramid
from sniper_mmdet.chips.tiles import Tile, owned_by
from sniper_mmdet.images import open_image
from sniper_mmdet.images.region import Region
from sniper_mmdet.images.stretch import ValueRange
from sniper_mmdet.models import PyramidDetector
from sniper_mmdet.models.detectors.near_nms import nms_by_neighbourhood
from sniper_mmdet.utils.choices import check_share
from sniper_mmdet.utils.errors import UserError
from sniper_mmdet.utils.files import file_state
from sniper_mmdet.utils.memory import give_back_memory
from sniper_mmdet.utils.progress import Progress

from .inputs import reading_of
from .scene_parts import PartFiles, parts_of_scene

#: Default number of original pixels of a part.
PART_PIXELS = 2**26
#: Settings of a detector that change what it finds.
_SETTINGS = (
    *('pyramid', 'focus', 'features', 'max_proposals', 'ground_truth'),
    *('budget', 'border', 'max_pixels', 'merge', 'max_per_img'),
)
_DOUBLE = dict(type='nms', iou_threshold=0.7)


def detect_scene(
    model: PyramidDetector,
    path: str | Path,
    folder: str | Path | None = None,
    part_pixels: int = PART_PIXELS,
    score_thr: float = 0.0,
    bands: Sequence[int] | None = None,
    value_range: ValueRange | str | None = None,
    on_error: str = 'raise',
    progress: bool = True,
) -> DetDataSample | None:
    """Detect objects in one scene of any size, in bounded memory.

    The scene is cut into parts that overlap. Each part is an image of its own,
    and only the pixels that the detector looks at are read. A part keeps the
    detections with their centre in its core. At the end the parts are merged
    as the levels of one image are. Processes that were launched together share
    the parts.

    Args:
        model (:obj:`PyramidDetector`): A detector built by ``init_detector``.
        path (str | Path): See :func:`~sniper_mmdet.images.open_image`.
        folder (str | Path, optional): Folder for the detections of each part.
            With the same folder an interrupted run continues. Several
            processes need one. Defaults to None: a temporary folder.
        part_pixels (int): Largest number of original pixels of a part.
            Defaults to 2**26.
        score_thr (float): Detections with a lower score are left out before
            the merge. Defaults to 0.0.
        bands, value_range, on_error: See
            :func:`~sniper_mmdet.images.open_image`. None, the default of the
            first two, takes those of ``LoadImageByWindow`` in the model's test
            pipeline.
        progress (bool): Whether to show the progress on stderr. Defaults to
            True.

    Returns:
        :obj:`DetDataSample`: All detections, as :func:`detect` returns them,
        with ``pixels_read`` and ``bytes_read`` of all parts, without ``focus``
        and masks. All processes but the first return None.

    Raises:
        OSError: The scene cannot be read.
        UserError: ``folder`` belongs to another scene, is missing where
            several processes share the scene, or a setting is wrong.

    Examples:
        >>> import cv2, numpy as np, tempfile
        >>> from mmdet.apis import init_detector
        >>> from sniper_mmdet.apis import detect_scene
        >>> path = f'{tempfile.mkdtemp()}/scene.png'
        >>> _ = cv2.imwrite(path, np.zeros((96, 128, 3), np.uint8))
        >>> config = 'faster-rcnn_r18-slim_fpn_autofocus_3e_sample.py'
        >>> model = init_detector(f'configs/autofocus/{config}', device='cpu')
        >>> result = detect_scene(model, path, progress=False)
        >>> result.ori_shape
        (96, 128)
    """
    if not isinstance(model, PyramidDetector):
        raise UserError(
            'a scene needs a sniper_mmdet.PyramidDetector or AutoFocus. '
            f'Received: {type(model).__name__}.'
        )
    check_share('score_thr', score_thr)
    rank, processes = get_dist_info()
    if folder is None and processes > 1:
        raise UserError('several processes need a folder to share a scene.')
    bands, value_range = reading_of(model, bands, value_range)
    source = open_image(path, bands, value_range, on_error)
    size = source.shape[1::-1]
    pyramid = _of_factors(model.pyramid, size)
    parts = parts_of_scene(size, pyramid, model.border, part_pixels)
    plan = dict(
        scene=[str(path), *file_state(path)],
        bands=bands,
        value_range=value_range,
        parts=[tile.part for tile in parts],
        detector=_fingerprint(model),
        score_thr=score_thr,
        on_error=on_error,
    )
    with TemporaryDirectory() as temporary:
        if rank:  # the first makes the folder
            barrier()
        files = PartFiles(folder or temporary, plan)
        if not rank:
            barrier()
        own = range(rank, len(parts), processes)
        todo = [k for k in own if not files.path(k).exists()]
        bar = Progress(len(own)) if progress else None
        if bar:
            bar.update(len(own) - len(todo))
        # A part has the levels of the scene. They are merged at the end.
        with mock.patch.multiple(model, pyramid=pyramid, merges=False):
            for number in todo:
                region = Region(source, parts[number].part)
                found = _look(model, region, parts[number], score_thr)
                files.write(number, found)
                # FocusChips have many sizes. Freed blocks of one size would
                # add up beside those of others.
                give_back_memory()
                if bar:
                    bar.update()
        if bar:
            bar.close()
        source.close()
        barrier()
        if rank:
            return None
        return _merged(model, files.read(range(len(parts))), path, size)


def _look(model, region: Region, tile: Tile, score_thr: float) -> dict:
    """Detections that belong to a part, original pixels."""
    shape = region.shape[:2]
    meta = dict(ori_shape=shape, img_shape=shape, scale_factor=(1, 1))
    sample = DetDataSample(metainfo=meta)
    with torch.no_grad():
        (sample,) = model.test_step(
            dict(inputs=[region], data_samples=[sample])
        )
    found = sample.pred_instances.cpu()
    found.bboxes = found.bboxes + found.bboxes.new_tensor(tile.part[:2] * 2)
    arrays = {key: value.numpy() for key, value in found.items()}
    kept = owned_by(arrays['bboxes'], tile) & (arrays['scores'] >= score_thr)
    arrays = {key: value[kept] for key, value in arrays.items()}
    read = sample.pixels_read, sample.bytes_read
    return dict(arrays, read=np.array(read, np.int64))


def _merged(model, parts: Iterator[dict], path, size) -> DetDataSample:
    parts = list(parts)
    read = np.sum([part.pop('read') for part in parts], 0).tolist()
    arrays = {
        key: np.concatenate([part[key] for part in parts]) for key in parts[0]
    }
    found = InstanceData(**{k: torch.from_numpy(v) for k, v in arrays.items()})
    if model.pyramid.is_trivial and len(parts) > 1:
        # Near a border two parts may both find an object; the rest is merged.
        boxes = found.bboxes, found.scores, found.labels
        found = found[nms_by_neighbourhood(*boxes, _DOUBLE)[1]]
    with mock.patch.object(model, 'max_per_img', -1):
        found = model.merge_levels([found])
    meta = dict(img_path=str(path), ori_shape=size[::-1])
    meta.update(pixels_read=read[0], bytes_read=read[1])
    return DetDataSample(metainfo=meta, pred_instances=found)


def _of_factors(pyramid: ImagePyramid, size: tuple[int, int]) -> ImagePyramid:
    """Levels as factors, so that all parts have the levels of the scene."""
    factors = pyramid.factors(*size)
    factors = [float(factor) for factor in factors]
    return ImagePyramid(factors, pyramid.valid_ranges, exact=pyramid.exact)


def _fingerprint(model: PyramidDetector) -> str:
    """A text that changes with the weights or the test settings."""
    settings = [getattr(model, name, None) for name in _SETTINGS]
    settings += [model.answers.maps]
    settings += [getattr(part, 'test_cfg', None) for part in model.modules()]
    seen = sha256(repr(settings).encode())
    # Buffers have the means of the preprocessor, too.
    for _, weights in chain(model.named_parameters(), model.named_buffers()):
        weights = weights.detach().cpu().contiguous().flatten()
        seen.update(weights.view(torch.uint8).numpy())
    return seen.hexdigest()
