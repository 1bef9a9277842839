"""Images and the frames of videos, loaded as a test pipeline says."""

import copy
import re
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
from mmcv.transforms import Compose
from mmdet.structures import DetDataSample
from mmdet.utils import get_test_pipeline_cfg
from mmengine.logging import print_log
from torch import Tensor, nn

from sniper_mmdet.utils.coco_writer import IMAGE_SUFFIXES

VIDEO_SUFFIXES = {
    '.avi',
    '.m4v',
    '.mkv',
    '.mov',
    '.mp4',
    '.mpeg',
    '.mpg',
    '.webm',
    '.wmv',
}

Input = str | Path | np.ndarray
_T = TypeVar('_T')


class Loaded(NamedTuple):
    """An image before it is detected on."""

    inputs: Tensor  # as the test pipeline packs them
    sample: DetDataSample
    image: np.ndarray  # (H, W, 3) as loaded: BGR


def find_inputs(inputs: Input | Iterable[Input]) -> Iterable[Input]:
    """What is to be looked at, one by one: paths and arrays.

    Args:
        inputs (Input | Iterable[Input]): A folder stands for the images in
            it and in its folders, in natural order: ``2.png`` before
            ``10.png``.

    Raises:
        FileNotFoundError: A path that is not there, or a folder without an
            image.
    """
    if isinstance(inputs, np.ndarray):
        return [inputs]
    if not isinstance(inputs, str | Path):
        return inputs
    path = Path(inputs)
    if not path.is_dir():
        if not path.exists():
            raise FileNotFoundError(
                f'{path} is neither an image nor a folder.'
            )
        return [path]
    found = [
        p
        for p in path.rglob('*')
        # Archives made on a Mac hold a ._NAME beside each file.
        if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith('.')
    ]
    if not found:
        raise FileNotFoundError(
            f'no image in folder {path}; known are '
            f'{" ".join(sorted(IMAGE_SUFFIXES))}.'
        )
    return sorted(found, key=_natural)


def is_video(entry: Input) -> bool:
    """Whether an input is a video's file, by its name."""
    return (
        not isinstance(entry, np.ndarray)
        and Path(entry).suffix.lower() in VIDEO_SUFFIXES
    )


def image_name(result: DetDataSample) -> str | None:
    """An image's path; of a frame ``{video}/{number}.jpg``; None of an array.

    That is where a frame would be if the video were written as a folder.
    """
    if result.img_path is None or 'frame_id' not in result:
        return result.img_path
    stem = Path(result.img_path).with_suffix('')
    return (stem / f'{result.frame_id:06d}.jpg').as_posix()


class Reader:
    """Iterates over images as a detector's test pipeline loads them.

    Args:
        model (nn.Module): Of mmdet's ``init_detector``.
        entries (Iterable[Input]): Of :func:`find_inputs`.
        on_error (str): 'raise', or 'skip': images and videos that cannot be
            read are logged and counted.

    Attributes:
        skipped (int): How many could not be read.

    Raises:
        ValueError: The model's config has no test pipeline that loads images.
    """

    def __init__(
        self, model: nn.Module, entries: Iterable[Input], on_error: str
    ) -> None:
        self.load, self.pack = _test_pipeline(model)
        self.entries = entries
        self.on_error = on_error
        self.skipped = 0

    def __len__(self) -> int:
        """How many there should be; 0 where that is not known."""
        if not hasattr(self.entries, '__len__'):
            return 0
        return sum(
            _num_frames(entry) if is_video(entry) else 1
            for entry in self.entries
        )

    def __iter__(self) -> Iterator[Loaded]:
        images = self._images()
        for number, (results, meta) in enumerate(images):
            image = results['img']
            packed = self.pack(dict(results, img_id=number))
            sample = packed['data_samples']
            sample.set_metainfo(dict(meta, ori_shape=image.shape[:2]))
            yield Loaded(packed['inputs'], sample, image)

    def _images(self) -> Iterator[tuple[dict, dict]]:
        """What the pipeline loads of each image, and what is known of it."""
        for number, entry in enumerate(self.entries):
            try:
                if is_video(entry):
                    yield from self._frames(str(entry))
                elif isinstance(entry, np.ndarray):
                    yield (
                        self._from_array(entry, f'image {number}'),
                        dict(img_path=None),
                    )
                else:
                    path = str(entry)
                    yield self._from_file(path), dict(img_path=path)
            except OSError as error:
                if self.on_error == 'raise':
                    raise
                self.skipped += 1
                print_log(f'skipped: {error}', 'current')

    def _from_file(self, path: str) -> dict:
        try:
            results = self.load(dict(img_path=path))
        except Exception as error:  # whatever decoders raise
            raise OSError(f'{path} cannot be read as an image.') from error
        if results is None:
            raise OSError(f'{path} cannot be read as an image.')
        return results

    def _from_array(self, image: np.ndarray, name: str) -> dict:
        if (
            image.dtype != np.uint8
            or image.shape[2:] != (3,)
            or not image.size
        ):
            raise ValueError(
                f'{name} must be an array (H, W, 3) of uint8. Received: '
                f'{image.shape} of {image.dtype}.'
            )
        return self.load(dict(img=image))

    def _frames(self, path: str) -> Iterator[tuple[dict, dict]]:
        video = cv2.VideoCapture(path)
        try:
            fps, number = video.get(cv2.CAP_PROP_FPS), 0
            while True:
                there, frame = video.read()
                if not there:
                    break
                meta = dict(img_path=path, frame_id=number, fps=fps)
                yield self._from_array(frame, f'{path}, frame {number},'), meta
                number += 1
            if number == 0:
                raise OSError(f'{path} cannot be read as a video.')
            promised = video.get(cv2.CAP_PROP_FRAME_COUNT)
            if number < promised:
                print_log(
                    f'{path}: {number} frames could be read of the '
                    f'{promised:.0f} that it should have',
                    'current',
                )
        finally:
            video.release()


def read_ahead(
    items: Iterable[_T], num: int, depth: int = 2
) -> Iterator[list[_T]]:
    """Lists of items, made in another thread while the last is in use.

    Args:
        items (Iterable): Iterated over in that thread.
        num (int): Items of a list; the last may have fewer.
        depth (int): Lists that are made ahead. Defaults to 2.
    """
    source = iter(items)
    with ThreadPoolExecutor(1) as thread:

        def take():
            return thread.submit(lambda: list(islice(source, num)))

        waiting = deque(take() for _ in range(depth))
        try:
            while batch := waiting.popleft().result():
                waiting.append(take())
                yield batch
        finally:
            for made in waiting:
                made.cancel()


def _natural(path: Path) -> tuple:
    """Sorts numbers in names as numbers."""
    parts = [re.split(r'(\d+)', part) for part in path.parts]
    for part in parts:
        part[1::2] = map(int, part[1::2])
    return parts, path


def _num_frames(path: Input) -> int:
    video = cv2.VideoCapture(str(path))
    try:
        return max(int(video.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
    finally:
        video.release()


def _test_pipeline(model: nn.Module) -> tuple[Compose, Compose]:
    """What loads an image, from a file or an array, and what comes after."""
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
    kinds = [str(step['type']).split('.')[-1] for step in pipeline]
    if not kinds or not kinds[0].startswith('LoadImageFrom'):
        raise ValueError(
            f'{name}: test_dataloader.dataset.pipeline must begin '
            f'with LoadImageFromFile. Received: {kinds}.'
        )
    pipeline[0]['type'] = 'mmdet.InferencerLoader'
    return Compose(pipeline[:1]), Compose(pipeline[1:])
