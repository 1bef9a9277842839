"""Draws detections during a test."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

import mmcv
from mmdet.engine.hooks import DetVisualizationHook
from mmdet.structures import DetDataSample
from mmengine.dist import get_world_size
from mmengine.fileio import get
from mmengine.runner import Runner

from sniper_mmdet.datasets.classes import parts_of
from sniper_mmdet.images import ImageSource
from sniper_mmdet.registry import HOOKS
from sniper_mmdet.utils.pictures import PictureNames, drawing
from sniper_mmdet.visualization import MAX_PIXELS, at_most, with_palette


@HOOKS.register_module()
class DetectionVisualizationHook(DetVisualizationHook):
    """A DetVisualizationHook that never stops a run or overwrites an image.

    Differs from its parent: an image that cannot be drawn is logged. Each
    class has a colour, even if the dataset has too few. A large image is drawn
    smaller. A drawing in ``test_out_dir`` has the name of its image in the
    dataset's folder of images, or a name made of it, see
    :class:`~sniper_mmdet.utils.pictures.PictureNames`.

    Args:
        max_pixels (int): Largest number of pixels of a drawing. Defaults to 4
            million.
        settings: Settings of mmdet's hook.
    """

    def __init__(self, *, max_pixels: int = MAX_PIXELS, **settings) -> None:
        super().__init__(**settings)
        self.max_pixels = max_pixels

    def before_val(self, runner: Runner) -> None:
        meta = runner.visualizer.dataset_meta
        runner.visualizer.dataset_meta = with_palette(meta or {})

    def before_test(self, runner: Runner) -> None:
        self.before_val(runner)
        self._names, self._number = PictureNames(), 0
        self._folders = set(_image_folders(runner.test_dataloader.dataset))
        # A process knows only its own names; this keeps names unique.
        if get_world_size() > 1 and len(self._folders) > 1:
            self._folders = {PurePath(os.path.commonpath(self._folders))}
        if self.test_out_dir is not None:
            started = Path(runner.work_dir, runner.timestamp)
            self.test_out_dir = str(started / self.test_out_dir)

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict,
        outputs: Sequence[DetDataSample],
    ) -> None:
        step = runner.iter + batch_idx
        if self.draw and step % self.interval == 0:
            source = _source(data_batch, 0)
            self._draw(runner, outputs[0], source, 'val_img', step)

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict,
        outputs: Sequence[DetDataSample],
    ) -> None:
        for place, sample in enumerate(outputs if self.draw else ()):
            self._number += 1
            file = None
            if self.test_out_dir is not None:
                file = str(Path(self.test_out_dir, self._name(sample)))
            source, number = _source(data_batch, place), self._number
            self._draw(runner, sample, source, 'test_img', number, file)

    def _name(self, sample: DetDataSample) -> PurePath:
        """Name of the drawing of an image, as in the folder of images."""
        path = PurePath(os.path.abspath(sample.get('img_path') or 'image'))
        folders = (f for f in self._folders if path.is_relative_to(f))
        folder = next(folders, path.parent)
        return self._names(path.relative_to(folder))

    def _draw(
        self,
        runner: Runner,
        sample: DetDataSample,
        source: ImageSource | None,
        name: str,
        step: int,
        file: str | None = None,
    ) -> None:
        with drawing(sample.get('img_path') or name):
            image = source
            if image is None:
                content = get(sample.img_path, backend_args=self.backend_args)
                image = mmcv.imfrombytes(content)
            image, sample = at_most(
                image, sample, self.score_thr, self.max_pixels
            )
            runner.visualizer.add_datasample(
                PurePath(sample.img_path).name if self.show else name,
                mmcv.bgr2rgb(image),
                data_sample=sample,
                show=self.show,
                wait_time=self.wait_time,
                pred_score_thr=self.score_thr,
                out_file=file,
                step=step,
            )


def _source(data_batch: dict | None, place: int) -> ImageSource | None:
    """An image of a batch, if it is one that is read by window."""
    inputs = (data_batch or {}).get('inputs', ())
    image = inputs[place] if place < len(inputs) else None
    return image if isinstance(image, ImageSource) else None


def _image_folders(dataset) -> Iterator[PurePath]:
    """Image folders of a dataset, or of the datasets that it wraps."""
    for part in parts_of(dataset):
        prefix = getattr(part, 'data_prefix', None)
        if isinstance(prefix, dict) and isinstance(prefix.get('img'), str):
            yield PurePath(os.path.abspath(prefix['img']))
