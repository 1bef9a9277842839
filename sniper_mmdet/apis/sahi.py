"""Sliced inference by sahi, as a way to test."""

import inspect
import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.structures import InstanceData

from sniper_mmdet.images import ImageSource, resize_whole
from sniper_mmdet.models import PyramidDetector

from .comparison import Way


def import_sahi() -> ModuleType:
    """Import the library.

    Raises:
        ValueError: It is not installed, or too old.
    """
    try:
        import sahi
        from sahi.predict import get_sliced_prediction
    except ImportError as error:
        raise ValueError(
            f'sahi cannot be imported ({error}). Install it: pip install sahi'
        ) from None
    known = inspect.signature(get_sliced_prediction).parameters
    if 'force_postprocess_type' not in known:
        raise ValueError(
            f'sahi {sahi.__version__} is too old: pip install -U sahi'
        )
    # It logs a warning with each image: boxes without an area, its choices.
    logging.getLogger('sahi').setLevel(logging.ERROR)
    return sahi


def plain_config(cfg: Config, model: PyramidDetector) -> Config:
    """A config of the wrapped detector, in mmdet's own form."""
    keys = 'img_path', 'ori_shape', 'img_shape', 'scale_factor'
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='Resize', scale=(1333, 800), keep_ratio=True),
        dict(type='PackDetInputs', meta_keys=keys),
    ]
    data = dict(type='CocoDataset', lazy_init=True, pipeline=pipeline)
    plain = dict(
        model=type(model).detector_config(cfg.model),
        # sahi looks here for masks; only boxes are compared.
        train_dataloader=dict(dataset=data),
        test_dataloader=dict(dataset=data),
        visualizer=dict(type='DetLocalVisualizer'),
    )
    return Config(plain)


def sahi_model(
    sahi: ModuleType,
    plain: Config,
    checkpoint: str,
    image_size: int | None = None,
) -> object:
    """Build sahi's model from a config file and a checkpoint."""
    test_cfg = plain.model.get('test_cfg') or {}
    test_cfg = test_cfg.get('rcnn', test_cfg)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, 'plain.py'))
        plain.dump(path)
        return sahi.AutoDetectionModel.from_pretrained(
            model_type='mmdet',
            model_path=checkpoint,
            config_path=path,
            confidence_threshold=test_cfg.get('score_thr', 0.0),
            device=get_device(),
            image_size=image_size,
        )


def default_settings(sahi: ModuleType) -> dict:
    """Arguments of sahi's sliced prediction, with its command's defaults."""
    command = inspect.signature(sahi.predict.predict).parameters
    known = inspect.signature(sahi.predict.get_sliced_prediction).parameters
    settings = {key: command[key].default for key in command if key in known}
    whole = not command['no_standard_prediction'].default
    return dict(settings, perform_standard_pred=whole, verbose=0)


def sahi_way(
    sahi: ModuleType,
    detector: object,
    settings: dict,
    slice_of: Callable[[int, int], int] | None = None,
) -> Way:
    """A way to test by sahi; ``slice_of(width, height)`` is the slice size."""

    def run(images, samples):
        # sahi takes RGB, and converts it to the BGR that mmdet reads.
        image = images[0]
        if isinstance(image, ImageSource):
            pixels = resize_whole(image, image.shape[1::-1])
            pixels = np.ascontiguousarray(pixels[..., ::-1])
        else:
            pixels = image.flip(0).permute(1, 2, 0).numpy()
        of_image = dict(settings, image=pixels, detection_model=detector)
        if slice_of is not None:
            side = slice_of(pixels.shape[1], pixels.shape[0])
            of_image.update(slice_height=side, slice_width=side)
        found = sahi.predict.get_sliced_prediction(**of_image)
        found = found.object_prediction_list
        boxes = torch.tensor([one.bbox.to_xyxy() for one in found])
        samples[0].pred_instances = InstanceData(
            bboxes=boxes.reshape(-1, 4),
            scores=torch.tensor([one.score.value for one in found]),
            labels=torch.tensor([one.category.id for one in found]).long(),
        )
        return samples

    return run
