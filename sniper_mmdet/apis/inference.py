"""Detection on folders of large images and on videos."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.dataset import pseudo_collate
from mmengine.logging import print_log
from torch import nn

from sniper_mmdet.engine.build_data import build_unread_dataset
from sniper_mmdet.engine.detector_checks import check_names
from sniper_mmdet.utils.choices import check_choice, check_share
from sniper_mmdet.utils.progress import Progress

from .box_heads import decoupled_head, last_box_head
from .coco_results import CocoResults
from .inputs import Input, Reader, read_ahead

#: Name of the only class in class-agnostic detection.
OBJECT = ('object',)


def detect(
    model: nn.Module,
    inputs: Input | Iterable[Input],
    *,
    batch_size: int = 1,
    score_thr: float = 0.0,
    keep_images: bool = False,
    on_error: str = 'raise',
    progress: bool = True,
    out_json: str | Path | None = None,
    ann_file: str | Path | None = None,
    class_agnostic: bool = False,
) -> Iterator[DetDataSample]:
    """Detect objects in images, folders and videos, one result per image.

    This is mmdet's ``inference_detector`` for more images than memory holds.
    The next two batches (fewer for large images) are decoded while the
    detector runs, and results are not stored. Any mmdet detector works. On a
    machine without a GPU, call :func:`sniper_mmdet.engine.cpu.prepare_cpu`
    once: it makes inference faster.

    Args:
        model (nn.Module): A detector built by mmdet's ``init_detector``.
        inputs (str | Path | ndarray | Iterable): An image, a folder, a video,
            an array (H, W, 3) of uint8, BGR, or several of these. A folder
            stands for all images and videos in it and in its folders, in
            natural order; hidden files are left out, and other files are left
            out and logged. Any other file that OpenCV reads as a video is read
            frame by frame. The entries of a list are checked at once, those of
            another iterable one by one.
        batch_size (int): Number of images per batch. As in mmdet, images of
            different sizes are padded to the largest, so that results may
            differ a little from those with batch size 1. Defaults to 1.
        score_thr (float): Detections with a lower score are left out. Defaults
            to 0.0.
        keep_images (bool): Whether results have a field ``image``, the loaded
            array, to draw on. Defaults to False.
        on_error (str): 'raise', or 'skip': one of several files that does not
            exist, cannot be read, or is missing in ``ann_file`` (or comes
            twice) is logged and left out. A wrong array or setting always
            raises an error. Defaults to 'raise'.
        progress (bool): Whether to show the progress on stderr. Defaults to
            True.
        out_json (str | Path, optional): File for COCO results, written after
            the last image. Defaults to None.
        ann_file (str | Path, optional): COCO file with the ids of images and
            categories for ``out_json``, see :class:`CocoResults`. Defaults to
            None.
        class_agnostic (bool): Whether to find objects of any class, with label
            0 and P(object) as score. This needs a detector with a
            :class:`DecoupledBBoxHead`. Defaults to False.

    Returns:
        Iterator[:obj:`DetDataSample`]: Results on the CPU, in the order of the
        inputs. Each has ``pred_instances``, with boxes in original pixels;
        ``img_path``, None for an array; and ``ori_shape``. A frame also has
        ``frame_id``, from 0, and ``fps``. A result of AutoFocus also has
        ``focus``, see :func:`focus_maps`.

    Raises:
        FileNotFoundError: A path does not exist, or a folder has no image.
        OSError: An image or a video cannot be read; raised when its turn
            comes.
        TypeError: An input is neither a path nor an array.
        ValueError: A setting, an array, the config or the class names are
            wrong, or ``ann_file`` lacks a file; for a frame of a video, raised
            when its turn comes.

    Examples:
        The detector has random weights here. For yours, give ``init_detector``
        a checkpoint. Inputs may also be paths of files and folders.

        >>> import numpy as np
        >>> from mmdet.apis import init_detector
        >>> from sniper_mmdet.apis import detect
        >>> config = 'faster-rcnn_r18-slim_fpn_autofocus_3e_sample.py'
        >>> model = init_detector(f'configs/autofocus/{config}', device='cpu')
        >>> images = [np.zeros((96, 128, 3), np.uint8)] * 2
        >>> for result in detect(model, images, progress=False):
        ...     print(result.ori_shape, sorted(result.pred_instances.keys()))
        (96, 128) ['bboxes', 'labels', 'levels', 'scores']
        (96, 128) ['bboxes', 'labels', 'levels', 'scores']
    """
    if batch_size < 1:
        raise ValueError(
            f'batch_size must be positive. Received: {batch_size}.'
        )
    check_choice('on_error', on_error, 'raise', 'skip')
    check_share('score_thr', score_thr)
    if ann_file is not None and out_json is None:
        raise ValueError('ann_file needs out_json, which is None.')
    file, take = nullcontext(), None
    found_as = nullcontext()
    if class_agnostic:
        decoupled_head(model)
        found_as = any_class(model)
    if out_json is not None:
        names = OBJECT if class_agnostic else class_names(model)
        file = CocoResults(out_json, names, ann_file)
        take = file.take if ann_file is not None else None
    reader = Reader(model, inputs, on_error, take, keep_images)

    # Errors so far are raised now, not with the first result.
    def results() -> Iterator[DetDataSample]:
        with file, found_as:
            for result in _detect(model, reader, batch_size, progress):
                found = result.pred_instances
                if score_thr > 0:
                    result.pred_instances = found[found.scores >= score_thr]
                if out_json is not None:
                    file.add(result)
                yield result
                del result, found  # free it before the next image

    return results()


def _detect(
    model: nn.Module, reader: Reader, batch_size: int, progress: bool
) -> Iterator[DetDataSample]:
    """Yield the results image by image."""
    bar = Progress(len(reader)) if progress else None
    count = 0

    def tell() -> None:
        new = bar and count + reader.skipped - bar.done
        if new:
            bar.update(new)

    try:
        for batch in read_ahead(reader, batch_size):
            with torch.no_grad():
                found = model.test_step(pseudo_collate(batch))
            count += len(batch)
            del batch  # free it before the next batch
            yield from map(DetDataSample.cpu, found)
            del found
            tell()
        tell()
    finally:
        if bar:
            bar.close()
    if reader.skipped:
        count += reader.skipped
        text = f'{reader.skipped} of {count} inputs were skipped'
        print_log(text, 'current')


def class_names(model: nn.Module) -> Sequence[str]:
    """Names of a detector's labels, one per class.

    mmdet's ``init_detector`` uses COCO's names if the checkpoint has none. If
    their number does not fit, the names of the config's test data are used.

    Raises:
        ValueError: Neither fits, or both have the same names in two orders.
    """
    head = last_box_head(model)
    if getattr(head, 'class_agnostic', False):
        return OBJECT
    count = getattr(head, 'num_classes', None)
    given = [meta.get('classes') or () for meta in _metas(model)]
    right = [names for names in given if names and count in (None, len(names))]
    if right:
        check_names(right[0], 'checkpoint', right[-1], "config's test data")
        return right[0]
    number = '' if count is None else f'{count} '
    raise ValueError(
        "model.dataset_meta['classes'], or metainfo.classes of the config's "
        f"test data, must be the names of the detector's {number}classes. "
        f'Received: {len(given[0])} and {len(given[1])} names.'
    )


@contextmanager
def any_class(model: nn.Module) -> Iterator[None]:
    """Let a detector with a decoupled head find objects of any class.

    Raises:
        UserError: The detector has no such head.
    """
    head = decoupled_head(model)
    before, head.class_agnostic = head.class_agnostic, True
    try:
        yield
    finally:
        head.class_agnostic = before


def _metas(model: nn.Module) -> Iterator[dict]:
    """Metainfo of the detector, then of its config's test data."""
    yield getattr(model, 'dataset_meta', None) or {}
    cfg = getattr(model, 'cfg', None) or {}
    dataset = build_unread_dataset(cfg, 'test')
    yield {} if dataset is None else dataset.metainfo


def focus_maps(result: DetDataSample) -> list[dict]:
    """The parts of an image that AutoFocus looked at, by level.

    Args:
        result (:obj:`DetDataSample`): A result of :func:`detect`, or of
            mmdet's own ``inference_detector``.

    Returns:
        list[dict]: One dict per level, coarse to fine. ``chips`` (C, 4),
        float32: the parts that were looked at, original pixels. All levels but
        the finest also have ``probability`` (h, w), float32: the probability
        of FocusPixels, NaN where nothing was looked at; ``cell``: width and
        height of a FocusPixel, original pixels; and ``threshold``: the least
        probability of a FocusPixel.

    Raises:
        ValueError: The result comes from another detector.

    Examples:
        >>> import numpy as np
        >>> from mmdet.apis import init_detector
        >>> from sniper_mmdet.apis import detect, focus_maps
        >>> config = 'faster-rcnn_r18-slim_fpn_autofocus_3e_sample.py'
        >>> model = init_detector(f'configs/autofocus/{config}', device='cpu')
        >>> image = np.zeros((96, 128, 3), np.uint8)
        >>> (result,) = detect(model, image, progress=False)
        >>> coarse, middle, fine = focus_maps(result)
        >>> coarse['chips'].tolist()
        [[0.0, 0.0, 128.0, 96.0]]
        >>> coarse['probability'].shape, coarse['threshold']
        ((3, 3), 0.001)
    """
    if 'focus' not in result:
        raise ValueError(
            'only a sniper_mmdet.AutoFocus detector has FocusPixels: the '
            'result has no field focus.'
        )
    focus = result.focus
    original = np.array(result.ori_shape[::-1])
    levels = []
    for size, chips in zip(focus['sizes'], focus['chips'], strict=True):
        pixel = original / size
        levels.append(dict(chips=np.float32(chips * np.tile(pixel, 2))))
        if len(levels) > len(focus['probabilities']):
            continue
        probability = focus['probabilities'][len(levels) - 1]
        levels[-1].update(
            probability=np.where(probability < 0, np.nan, probability),
            cell=tuple((focus['labels']['stride'] * pixel).tolist()),
            threshold=focus['thresholds'][len(levels) - 1],
        )
    return levels
