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
from sniper_mmdet.utils.choices import check_choice
from sniper_mmdet.utils.progress import Progress

from .box_heads import decoupled_head, last_box_head
from .coco_results import CocoResults
from .inputs import Input, Reader, read_ahead

#: What the only class is called where objects are of any.
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
    """Detect on images, one result after the other.

    What mmdet's ``inference_detector`` does, for more images than memory
    holds: the next two batches, fewer of large images, are decoded while the
    detector is at work, and nothing is kept. Any detector of mmdet will do.
    On a machine without a GPU :func:`sniper_mmdet.engine.cpu.prepare_cpu`,
    called once, makes it faster.

    Args:
        model (nn.Module): Of mmdet's ``init_detector``.
        inputs (str | Path | ndarray | Iterable): An image; a folder, of which
            all images and videos are taken in natural order, those in its
            folders too, but nothing hidden, and what else is left out is
            logged; a video, that is any other file
            that OpenCV reads as one, frame by frame; an array (H, W, 3),
            uint8, BGR; or several of these. A list's are looked at at once,
            another iterable's when they come.
        batch_size (int): Images detected together. Those of different sizes
            are padded to the largest, as in mmdet, so that results may differ
            a little from those of one by one. Defaults to 1.
        score_thr (float): Detections below are left out. Defaults to 0.0.
        keep_images (bool): Whether results have a field ``image``, the array
            that was loaded, for who draws on it. Defaults to False.
        on_error (str): 'raise', or 'skip': a file of several that is not
            there, cannot be read, or is not named in ``ann_file`` (or is
            again) is left out and logged. A wrong array or setting is an
            error in any case. Defaults to 'raise'.
        progress (bool): Whether to tell on stderr how far it is. Defaults to
            True.
        out_json (str | Path, optional): Where to write COCO results, once all
            are there. Defaults to None.
        ann_file (str | Path, optional): What gives images and categories of
            ``out_json`` their ids, see :class:`CocoResults`. Defaults to None.
        class_agnostic (bool): Whether to find objects of any class, with
            label 0 and P(object) as their score, by a detector with a
            :class:`DecoupledBBoxHead`. Defaults to False.

    Returns:
        Iterator[:obj:`DetDataSample`]: On the CPU, in the order of the
        inputs: ``pred_instances``, boxes in original pixels; ``img_path``,
        None of an array; ``ori_shape``; of a frame ``frame_id``, from 0, and
        ``fps``; of an AutoFocus detector ``focus``, see :func:`focus_maps`.

    Raises:
        FileNotFoundError: No such path, or a folder without an image.
        OSError: An image or a video that cannot be read; when it comes.
        TypeError: An input that is neither a path nor an array.
        ValueError: Settings, an array, a config, class names, or a file that
            ``ann_file`` does not name; of a video's frame when it comes.

    Examples:
        >>> model = init_detector('config.py', 'checkpoint.pth')
        >>> for result in detect(model, 'folder', out_json='found.json'):
        ...     print(result.img_path, result.pred_instances.bboxes)
    """
    if batch_size < 1:
        raise ValueError(
            f'batch_size must be positive. Received: {batch_size}.'
        )
    check_choice('on_error', on_error, 'raise', 'skip')
    if ann_file is not None and out_json is None:
        raise ValueError('ann_file gives ids to out_json, which is None.')
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

    # What is wrong so far is said now, not when the first result is asked for.
    def results() -> Iterator[DetDataSample]:
        with file, found_as:
            for result in _detect(model, reader, batch_size, progress):
                found = result.pred_instances
                if score_thr > 0:
                    result.pred_instances = found[found.scores >= score_thr]
                if out_json is not None:
                    file.add(result)
                yield result
                del result, found  # not held while the next is detected on

    return results()


def _detect(
    model: nn.Module, reader: Reader, batch_size: int, progress: bool
) -> Iterator[DetDataSample]:
    """What is found, image by image."""
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
            del batch  # not held while the next is waited for
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
    """Names of a detector's labels, as many as its classes.

    mmdet's ``init_detector`` takes COCO's where the checkpoint has none; those
    of the config's test data are taken where these do not fit.

    Raises:
        ValueError: Neither do, or both have the same names in two orders.
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
    """Have a detector with a decoupled head find objects of any class.

    Raises:
        UserError: It has no such head.
    """
    head = decoupled_head(model)
    before, head.class_agnostic = head.class_agnostic, True
    try:
        yield
    finally:
        head.class_agnostic = before


def _metas(model: nn.Module) -> Iterator[dict]:
    """What is known of a detector's data, then of its config's test data."""
    yield getattr(model, 'dataset_meta', None) or {}
    cfg = getattr(model, 'cfg', None) or {}
    dataset = build_unread_dataset(cfg, 'test')
    yield {} if dataset is None else dataset.metainfo


def focus_maps(result: DetDataSample) -> list[dict]:
    """What an AutoFocus detector looked at, by level, coarse to fine.

    Args:
        result (:obj:`DetDataSample`): Of :func:`detect`, or of mmdet's own.

    Returns:
        list[dict]: ``chips`` (C, 4), float32: what was looked at, original
        pixels. Of all levels but the finest also ``probability`` (h, w),
        float32: that of FocusPixels, NaN where nothing was looked at;
        ``cell``: width and height of a FocusPixel, original pixels; and
        ``threshold``, from which on one counts.

    Raises:
        ValueError: The result is another detector's.
    """
    if 'focus' not in result:
        raise ValueError(
            'FocusPixels are of a sniper_mmdet.AutoFocus detector: the result '
            'has no field focus.'
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
