"""Loads images and video frames by a detector's test pipeline."""

import copy
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import count, islice
from operator import length_hint
from pathlib import Path

import cv2
import numpy as np
from mmcv.transforms import Compose
from mmdet.structures import DetDataSample
from mmdet.utils import get_test_pipeline_cfg
from mmengine.logging import print_log
from torch import nn

from sniper_mmdet.chips.coco_content import first_of
from sniper_mmdet.datasets.transforms import (
    OWN,
    LoadImageByWindow,
    packing_fast,
)
from sniper_mmdet.images import RASTER_SUFFIXES, ImageError, ImageSource
from sniper_mmdet.images.stretch import ValueRange
from sniper_mmdet.models import PyramidDetector
from sniper_mmdet.utils.errors import UserError
from sniper_mmdet.utils.image import IMAGE_SUFFIXES, find_all_files
from sniper_mmdet.utils.type_names import name_of

_VIDEOS = '.avi .flv .m4v .mkv .mov .mp4 .mpeg .mpg .webm .wmv'
#: Endings of videos in folders. A file given by its path may have any ending.
VIDEO_SUFFIXES = set(_VIDEOS.split())

Input = str | Path | np.ndarray
#: Endings of files that may hold several images.
_PAGED = {'.avif', '.gif', '.png', '.tif', '.tiff', '.webp'}
#: Largest number of batches that are read ahead, and of their pixels.
AHEAD, AHEAD_PIXELS = 2, 50_000_000


def find_inputs(entry: Input, name: str = 'the input') -> list[Input]:
    """List the images and videos of an input.

    Args:
        entry (Input): A path or an array. A folder stands for the images and
            videos in it and in its folders, in natural order: ``2.png`` before
            ``10.png``. The number of its other files is logged.
        name (str): Name of the input in errors. Defaults to 'the input'.

    Raises:
        FileNotFoundError: The path does not exist, or the folder has no image.
        TypeError: The input is neither a path nor an array.
        ValueError: The array is not an image.
    """
    if isinstance(entry, np.ndarray):
        is_image = entry.dtype == np.uint8 and entry.shape[2:] == (3,)
        if not is_image or not entry.size:
            raise ValueError(
                f'{name} must be an array (H, W, 3) of uint8. Received: '
                f'{entry.shape} of {entry.dtype}.'
            )
        return [entry]
    if not isinstance(entry, str | Path):
        raise TypeError(
            f'{name} must be a path or an array (H, W, 3) of uint8. '
            f'Received: {type(entry).__name__}.'
        )
    path = Path(entry)
    if not path.exists():
        raise FileNotFoundError(f'{path} is neither an image nor a folder.')
    if not path.is_dir():
        return [entry]
    suffixes = IMAGE_SUFFIXES | VIDEO_SUFFIXES
    if find_spec('rasterio') is not None:
        suffixes = suffixes | RASTER_SUFFIXES
    found, others = find_all_files(path, suffixes)
    names = first_of(others)
    if not found:
        raise FileNotFoundError(
            f'no image and no video in folder {path}; known are '
            f'{" ".join(sorted(suffixes))}. Received: {names or "no file"}.'
        )
    if others:
        text = f'{len(others)} files of {path} are left out: their endings are'
        print_log(f"{text} no image's and no video's: {names}", 'current')
    return [path / file for file in found]


def is_video(entry: Input) -> bool:
    """Test whether an input is a video, by its ending or its content."""
    if isinstance(entry, np.ndarray):
        return False
    suffix = Path(entry).suffix.lower()
    if suffix in IMAGE_SUFFIXES | RASTER_SUFFIXES | VIDEO_SUFFIXES:
        return suffix in VIDEO_SUFFIXES
    try:
        return not cv2.haveImageReader(str(entry))
    except cv2.error:  # an image whose codec is turned off
        return False


def image_name(result: DetDataSample) -> str | None:
    """Name of an image: its path, ``{video}/{number}.jpg`` for a frame.

    An array has None. The name of a frame has the whole name of its video, as
    in ``a.mp4/000000.jpg``, and so differs from the name of any other input.
    """
    if result.img_path is None or 'frame_id' not in result:
        return result.img_path
    return _frame_name(result.img_path, result.frame_id)


def _frame_name(video: str, number: int) -> str:
    return (Path(video) / f'{number:06d}.jpg').as_posix()


class Reader:
    """Iterates over images, loaded by a detector's test pipeline.

    The entries of a list are checked when the reader is built, those of other
    iterables one by one.

    Args:
        model (nn.Module): A detector built by mmdet's ``init_detector``.
        inputs (Input | Iterable[Input]): See :func:`find_inputs`.
        on_error (str): 'raise', or 'skip': images and videos that do not
            exist, cannot be read or are refused by ``take`` are logged and
            counted.
        take (Callable, optional): Called with the :func:`image_name` of each
            image before it is read. It raises a ValueError to refuse the
            image. Defaults to None: no image is refused.
        keep_images (bool): Whether samples get a field ``image``, the loaded
            array. Defaults to False.

    Raises:
        ValueError: The model's config has no test pipeline that loads images.
        Exception: See :func:`find_inputs`.
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: Input | Iterable[Input],
        on_error: str = 'raise',
        take: Callable[[str | None], object] | None = None,
        keep_images: bool = False,
    ) -> None:
        self.keep_images = keep_images
        self.load, self.pack = _test_pipeline(model, on_error)
        self.on_error = on_error
        self.take = take or (lambda name: None)
        self.skipped = 0  # number of inputs
        if isinstance(inputs, Input) or not isinstance(inputs, Iterable):
            inputs = find_inputs(inputs)
        self.entries = self._find(inputs)
        if isinstance(inputs, list | tuple):
            self.entries = list(self.entries)
        self._num_late = length_hint(inputs)

    def __len__(self) -> int:
        """The expected number of images; 0 if it is not known."""
        if not isinstance(self.entries, list):
            return self._num_late
        return self.skipped + sum(
            _num_frames(entry) if is_video(entry) else 1
            for entry in self.entries
        )

    def __iter__(self) -> Iterator[dict]:
        # A map holds no reference to an image once it has yielded it.
        return map(self._packed, count(), self._images())

    def _packed(self, number: int, loaded: tuple[dict, dict]) -> dict:
        """Pack an image with the rest of the pipeline."""
        results, meta = loaded
        packed = self.pack(dict(results, img_id=number))
        sample, image = packed['data_samples'], results['img']
        sample.set_metainfo(dict(meta, ori_shape=image.shape[:2]))
        if self.keep_images:
            sample.set_field(image, 'image')
        return packed

    def _find(self, inputs: Iterable[Input]) -> Iterator[Input]:
        """Yield the inputs to read; videos are logged when they are read."""
        for number, given in enumerate(inputs):
            found = []
            with self._skipping(OSError):
                found = find_inputs(given, f'image {number}')
            for entry in found:
                if isinstance(entry, np.ndarray):
                    self.take(None)
                    yield entry
                elif is_video(entry) or self._is_taken(str(entry)):
                    yield entry

    def _images(self) -> Iterator[tuple[dict, dict]]:
        """Yield the loaded results and the metainfo of each image."""
        for entry in self.entries:
            with self._skipping(OSError):
                if is_video(entry):
                    yield from self._frames(str(entry))
                elif isinstance(entry, np.ndarray):
                    yield self.load(dict(img=entry)), dict(img_path=None)
                else:
                    path = str(entry)
                    yield self._from_file(path), dict(img_path=path)

    def _is_taken(self, name: str) -> bool:
        with self._skipping(ValueError):
            self.take(name)
            return True
        return False

    @contextmanager
    def _skipping(self, kind: type[Exception]) -> Iterator[None]:
        try:
            yield
        except kind as error:
            if self.on_error == 'raise':
                raise
            self.skipped += 1
            print_log(f'skipped: {error}', 'current')

    def _from_file(self, path: str) -> dict:
        try:
            results = self.load(dict(img_path=path))
        except (ImageError, UserError):  # their texts are better
            raise
        except Exception as error:  # decoders raise any type
            raise OSError(f'{path} cannot be read as an image.') from error
        if results is None:
            raise OSError(f'{path} cannot be read as an image.')
        paged = Path(path).suffix.lower() in _PAGED
        # Overviews of a file that is read by window are no further images.
        paged = paged and not isinstance(results['img'], ImageSource)
        if paged and (pages := cv2.imcount(path)) > 1:
            text = f'{path}: only the first of its {pages} images is read'
            print_log(text, 'current')
        return results

    def _frames(self, path: str) -> Iterator[tuple[dict, dict]]:
        video = cv2.VideoCapture(path)
        fps, number = video.get(cv2.CAP_PROP_FPS), 0
        while (frame := video.read()[1]) is not None:
            if self._is_taken(_frame_name(path, number)):
                meta = dict(img_path=path, frame_id=number, fps=fps)
                yield self.load(dict(img=frame)), meta
            number += 1
        if number == 0:
            known = Path(path).suffix.lower() in VIDEO_SUFFIXES
            kind = 'a video' if known else 'an image or a video'
            raise OSError(f'{path} cannot be read as {kind}.')
        promised = video.get(cv2.CAP_PROP_FRAME_COUNT)
        if number < promised:
            print_log(
                f'{path}: only {number} of {promised:.0f} frames could be '
                'read',
                'current',
            )


def read_ahead(items: Iterable[dict], num: int) -> Iterator[list[dict]]:
    """Yield lists of ``num`` packed images; the last may have fewer.

    Another thread prepares the next lists while the present one is in use. It
    prepares as many lists of the same size as stay within AHEAD_PIXELS.
    """
    source = iter(items)
    with ThreadPoolExecutor(1) as thread:

        def take():
            return thread.submit(list, islice(source, num))

        waiting = deque([take()])
        try:
            while pixels := _num_pixels(waiting[0].result()):
                ahead = min(AHEAD, AHEAD_PIXELS // pixels)
                while len(waiting) <= ahead:
                    waiting.append(take())
                # Nothing here holds a reference while it is in use.
                yield waiting.popleft().result()
                if not waiting:
                    waiting.append(take())
        finally:
            for made in waiting:
                made.cancel()


def _num_pixels(batch: Sequence[dict]) -> int:
    shapes = (packed['data_samples'].ori_shape for packed in batch)
    return sum(height * width for height, width in shapes)


def _num_frames(path: Input) -> int:
    count = cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FRAME_COUNT)
    return max(int(count), 1)  # an unreadable video counts as one


def _test_pipeline(
    model: nn.Module, on_error: str = 'raise'
) -> tuple[Callable, Compose]:
    """The loading step for a file or an array, and the rest of the pipeline.

    A file that is read by window is only opened if the detector itself reads
    the windows that it looks at.
    """
    pipeline = _steps(model)
    own = {name: pipeline[0].pop(name, None) for name in OWN}
    pipeline[0]['type'] = 'mmdet.InferencerLoader'
    load = Compose(pipeline[:1])
    if not isinstance(model, PyramidDetector):
        return load, Compose(pipeline[1:])
    pipeline = [packing_fast(step) for step in pipeline]
    how = own['bands'], own['value_range']
    opening = LoadImageByWindow(*how, on_error=on_error)

    def open_or_load(results: dict) -> dict:
        path = results.get('img_path')
        opens = path is not None and opening.opens(path)
        return (opening if opens else load)(results)

    return open_or_load, Compose(pipeline[1:])


def reading_of(
    model: nn.Module,
    bands: Sequence[int] | None = None,
    value_range: ValueRange | str | None = None,
) -> tuple:
    """How a model's images are read: ``bands`` and ``value_range``.

    What is None is that of the model's test pipeline, if it has a config.
    """
    if getattr(model, 'cfg', None) is not None:
        first = _steps(model)[0]
        if bands is None:
            bands = first.get('bands')
        if value_range is None:
            value_range = first.get('value_range')
    return bands, value_range


def _steps(model: nn.Module) -> list[dict]:
    """The test pipeline of a model, which begins with loading."""
    cfg = getattr(model, 'cfg', None)
    if cfg is None:
        raise ValueError(
            'the model must be one of mmdet.apis.init_detector, with its '
            f'config in model.cfg. Received: {type(model).__name__}.'
        )
    name = cfg.filename or 'the config'
    try:
        # A copy: a config's own copy() shares its pipeline.
        pipeline = copy.deepcopy(get_test_pipeline_cfg(cfg))
    except (AttributeError, KeyError, RuntimeError):
        raise ValueError(
            f'{name} has no test_dataloader.dataset.pipeline.'
        ) from None
    kinds = [*map(name_of, pipeline)]
    if not kinds or not kinds[0].startswith('LoadImage'):
        raise ValueError(
            f'{name}: test_dataloader.dataset.pipeline must begin '
            f'with LoadImageFromFile. Received: {kinds}.'
        )
    return pipeline
