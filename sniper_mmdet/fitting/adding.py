"""A focus head for a trained detector: plan, training, tuning."""

import math
from pathlib import Path

from mmengine.device import get_device

from sniper_mmdet.apis.comparison import require_coco
from sniper_mmdet.chips import FocusSettings
from sniper_mmdet.datasets.reading import build_read
from sniper_mmdet.engine.build import load_config
from sniper_mmdet.engine.checkpoints import (
    FOCUS_HEAD,
    build_detector,
    load_weights,
)
from sniper_mmdet.engine.focus_training import train_focus_head
from sniper_mmdet.models import AutoFocus
from sniper_mmdet.sniperize.added_focus import TrainedDetector
from sniper_mmdet.sniperize.focus_plan import plan_for
from sniper_mmdet.tuning.plan import FocusPlan
from sniper_mmdet.utils.config_text import call, comment
from sniper_mmdet.utils.files import write_whole
from sniper_mmdet.utils.progress import announce

from .levels import ladder, study
from .recording import Recording, record
from .splits import splits
from .tuner import Tuned, tune


def write_plan(
    detector: TrainedDetector,
    factor: float | None = None,
    num: int = 16,
    iterations: int = 800,
    seed: int = 0,
    split: str = 'val',
) -> tuple[FocusPlan, Recording | None]:
    """Find levels that suit a detector, and write its new config.

    Args:
        detector (TrainedDetector): The detector.
        factor (float, optional): Factor of the finest level. Defaults to None:
            one of those at which the detector finds the smallest objects as
            well as at any other. It is chosen by running the detector, see
            :func:`~sniper_mmdet. sniperize.focus_plan.plan_for`.
        num (int): Number of images on which the detector runs. 0 for none: the
            levels then follow from its config. Defaults to 16.
        iterations (int): Training iterations. Defaults to 800.
        seed (int): Seed of training. Defaults to 0.
        split (str): Split of these images, see
            :func:`~sniper_mmdet.fitting.splits.splits`. Defaults to 'val'.

    Returns:
        tuple: The plan, and the recording of the detector on these images, or
        None if it did not run.

    Raises:
        ValueError: No plan suits the detector.
    """
    own, target = detector.trained_for()
    recording = None
    finest = [own if factor is None else factor]
    try:
        if factor is None and num:
            announce(
                f'[1/5] levels that suit the detector, on up to {num} images'
            )
            detector.write(_one_level(own, detector.strides[0]), 1, seed)
            recording = _recorded(detector, own, num, split)
            finest, target = _studied(detector, recording)
        else:
            announce('[1/5] is skipped: the levels follow from the config')
        announce('[2/5] the plan')
        plan = plan_for(detector.images, finest, target, detector.strides)
    except BaseException:
        # The config of the first run serves nobody, and would be in the way
        # of another attempt.
        for path in detector.files:
            path.unlink(missing_ok=True)
        raise
    detector.write(plan, iterations, seed)
    return plan, recording


def train_and_tune(
    path: Path,
    checkpoint: Path,
    num: int = 16,
    split: str = 'val',
    loss: float = 0.2,
    known: Recording | None = None,
) -> Tuned | None:
    """Train the focus head of a config, and tune the other settings.

    The levels stay: the head has learned for them. The tuned settings are
    added to the config.

    Args:
        path (Path): The config.
        checkpoint (Path): File for the weights.
        num (int): Number of images to tune on; 0 for no tuning. Defaults to
            16.
        split (str): Split of these images, see
            :func:`~sniper_mmdet.fitting.splits.splits`. Defaults to 'val'.
        loss (float): See :func:`~sniper_mmdet.fitting.tuner.tune`.
        known (:obj:`Recording`, optional): Recording of :func:`write_plan`, so
            that the finest level does not run again. Defaults to None.

    Raises:
        ValueError: The data do not match each other, or do not allow tuning.
    """
    cfg = load_config(str(path))
    # Check the data before minutes of training, not after.
    require_coco(cfg)
    if num:
        splits(cfg, split, num)
    announce('[3/5] training of the focus head')
    work_dir = dict(work_dir=str(path.parent / 'training'))
    train_focus_head(load_config(str(path), work_dir), checkpoint)
    if not num:
        announce('[4/5] is skipped: nothing is tuned')
        return None
    announce(f'[4/5] tuning, on up to {num} images')
    how = dict(split=split, num=num, measure=False, keep_levels=True)
    tuned = tune(cfg, str(checkpoint), loss=loss, known=known, **how)
    added = [
        comment(f'Tuned on up to {num} images of the {split} split.'),
        call('model.update', **tuned.model),
    ]
    text = '\n'.join([path.read_text(), *added, ''])
    write_whole(path, lambda part: part.write_text(text))
    return tuned


def _one_level(factor: float, stride: int) -> FocusPlan:
    """A plan for a first run of a detector; its levels do not matter.

    Both levels are looked at whole, and their cost is unknown.
    """
    return FocusPlan(
        factors=(factor / 2, factor),
        stride=stride,
        sizes=(2, 64, 90),
        focus=(FocusSettings(0),),
        test_valid_ranges=((None, None), (None, None)),
        share=1.0,
        **dict.fromkeys(
            'pixels of_finest boxes noticed smallest largest'.split(),
            math.nan,
        ),
    )


def _recorded(detector, own, num, split) -> Recording:
    """Run a detector at factors of three digits, as plans have them."""
    cfg = load_config(str(detector.path))
    require_coco(cfg)
    (tuning, drawn), _ = splits(cfg, split, num)
    dataset = build_read(tuning.test_dataloader.dataset)
    model = build_detector(cfg, AutoFocus)
    load_weights(model, detector.checkpoint, [FOCUS_HEAD])
    model = model.to(get_device()).eval()
    factors = [float(f'{factor:.3g}') for factor in ladder([own])]
    return record(model, dataset, factors, drawn)


def _studied(
    detector, recording: Recording
) -> tuple[list[float], tuple[float, float]]:
    """Return factors of the finest level to try, and sizes for a level."""
    found = study(recording)
    if not (found.AP > 0).any():
        raise ValueError(
            f'{detector.checkpoint} finds nothing at any level of '
            f'{len(recording.images)} images: was it trained for these data? '
            "--tune-on 0 takes the config's own levels."
        )
    low, high = found.target
    finest = [found.scales[level] for level in found.as_good]
    return finest, (low, max(high, 2 * low))
