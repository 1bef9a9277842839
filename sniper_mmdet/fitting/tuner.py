"""Tunes AutoFocus for a config and a checkpoint, and confirms it."""

import time
from dataclasses import dataclass, replace

import numpy as np
from mmengine.config import Config

from sniper_mmdet.apis.comparison import load_autofocus, require_coco
from sniper_mmdet.chips.budget import FocusBudget
from sniper_mmdet.datasets.reading import build_read

from .candidates import with_thresholds
from .levels import LevelStudy, ladder, study
from .recording import Recording, record
from .running import run
from .search import (
    best_pyramid,
    choose,
    frontier,
    near,
    search,
)
from .simulation import Point, Setting, Simulation
from .splits import splits

#: A focus head is surer of images that it was trained on, and chance decides
#: about a few objects: thresholds that were chosen there, or of so few
#: objects, are lowered by this factor; those of so many are not.
SAFETY, FEW, MANY = 0.5, 100, 1000
#: Settings of other levels, or that were not tuned.
_RESET = 'batch_size', 'budget', 'budget_mpixel'
_STAGES = 'record', 'search', 'confirm', 'measure'


@dataclass(frozen=True)
class Tuned:
    """What was chosen for a checkpoint, and what it gives.

    Args:
        study (:obj:`LevelStudy`): What the detector finds at which level.
        model (dict): What was chosen, as the model of a config has it.
        curve (list[:obj:`Point`]): The best that were simulated, those of few
            pixels first.
        rows (dict[str, dict]): AP, ``loss`` of AP against the pyramid, both
            in %, ``share`` of its pixels, ``Mpixel`` and ``seconds`` an image.
            On the images of tuning: ``expected`` by simulation, whose
            ``seconds`` are None, and ``confirmed`` by a real run. On others:
            ``measured``; ``pyramid``, the chosen levels whole; ``before`` and
            ``pyramid before``, what the config has; none of these unless it
            was to be measured.
        seconds (dict[str, float]): Of ``record``, ``search``, ``confirm`` and
            ``measure``; and ``each``, what it would take to run each of the
            settings that were simulated.
        tried (int): How many settings were simulated.
    """

    study: LevelStudy
    model: dict
    curve: list[Point]
    rows: dict[str, dict[str, float | None]]
    seconds: dict[str, float]
    tried: int


def tune(
    cfg: Config,
    checkpoint: str,
    budget: float | None = None,
    loss: float = 0.2,
    split: str = 'val',
    num: int = 0,
    measure: bool = True,
    keep_levels: bool = False,
) -> Tuned:
    """Choose all settings that need no training, by measurement.

    The detector runs once over the images of tuning, at many levels; levels,
    ranges, thresholds and the rest are tried by simulation, the best run for
    real, and the chosen one is measured on images that were not used.

    Args:
        cfg (Config): Of AutoFocus, with a CocoMetric.
        checkpoint (str): Its weights.
        budget (float, optional): The best AP for at most this share of the
            pyramid's pixels. Defaults to None: see ``loss``.
        loss (float): The fewest pixels for at most so much AP, in %, less
            than the best of any setting. Defaults to 0.2.
        split, num: See :func:`~sniper_mmdet.fitting.splits.splits`.
            Thresholds from training data, or from few objects, are lowered
            by :func:`safety`, unless there is a budget. Default to 'val' and
            0.
        measure (bool): Also run it on images that were not used. Defaults to
            True.
        keep_levels (bool): Levels stay those of the config, which are all
            that the detector is run at. Defaults to False.

    Raises:
        OSError: A file is missing.
        ValueError: The config, the checkpoint, the budget or the images are
            not what they must be.
    """
    FocusBudget(budget)  # which checks it
    if not loss >= 0:
        raise ValueError(
            f'the loss must be a number of AP from 0 on. Received: {loss}.'
        )
    require_coco(cfg)
    model = load_autofocus(cfg, checkpoint)
    if len(model.pyramid) < 2:
        raise ValueError(
            f'{cfg.filename}: model.scales must be two levels or more, to '
            f'focus from one on the next. Received: {model.pyramid.scales}.'
        )
    tuning, others = splits(cfg, split, num)
    ends = [time.perf_counter()]
    dataset = build_read(tuning[0].test_dataloader.dataset)
    infos = [dataset.get_data_info(index) for index in tuning[1]]
    size = np.median([(one['width'], one['height']) for one in infos], 0)
    scales = model.pyramid.scales
    if not keep_levels:
        scales = ladder(scales, size)
    recording = record(model, dataset, scales, tuning[1])
    ends.append(time.perf_counter())
    simulation, found = Simulation(recording), study(recording)
    own = _own_setting(recording)
    start = best_pyramid(simulation, found, own, keep_levels)
    points, wanted, whole = search(simulation, start, budget, loss)
    if budget is not None and wanted.share > budget:
        raise ValueError(
            f'the budget must be at least {wanted.share:.3f}, the least share '
            f"of the pyramid's pixels of any setting. Received: {budget}."
        )
    curve = frontier(points)
    settings = [point.setting for point in near(curve, wanted)]
    # What a border is for is seen in real runs alone.
    settings.append(replace(wanted.setting, border=own.border / 2))
    if budget is None:
        by = safety(split, len(recording.object_sizes))
        settings = [_lowered(setting, by) for setting in settings]
    settings = [*dict.fromkeys(settings)]
    candidates = [*map(simulation.point, settings)]
    ends.append(time.perf_counter())
    ways = model, recording.scales
    # The pyramid is what was recorded, and takes longer than all of them.
    real, _ = run(*tuning, *ways, settings, whole=whole)
    confirmed = choose(real, whole.AP, budget, loss)
    expected = candidates[real.index(confirmed)]
    ends.append(time.perf_counter())
    rows = dict(
        expected=_row(expected, whole), confirmed=_row(confirmed, whole)
    )
    if measure:
        rows.update(_measured(others, ways, expected.setting, own))
    ends.append(time.perf_counter())
    seconds = dict(zip(_STAGES, np.diff(ends).tolist(), strict=True))
    # As many seconds a pixel as it took to record.
    recorded = sum(image.sizes.prod(1).sum() for image in recording.images)
    simulated = len(tuning[1]) * sum(point.pixels for point in points)
    seconds['each'] = float(seconds['record'] * simulated / recorded)
    chosen = _changes(cfg, recording, expected.setting)
    return Tuned(found, chosen, curve, rows, seconds, len(points))


def safety(split: str, objects: int) -> float:
    """By what thresholds are lowered that were chosen on so many objects."""
    if split == 'train':
        return SAFETY
    power = np.interp(np.log(max(objects, 1)), np.log([FEW, MANY]), [1, 0])
    return round(SAFETY ** float(power), 2)


def _changes(cfg: Config, recording: Recording, chosen: Setting) -> dict:
    """What of a config's model changes."""
    return dict(
        scales=[recording.scales[level] for level in chosen.levels],
        valid_ranges=list(chosen.ranges),
        focus=[vars(step) for step in chosen.focus],
        border=chosen.border,
        **{key: None for key in _RESET if key in cfg.model},
    )


def _own_setting(recording: Recording) -> Setting:
    """The settings that the detector has."""
    model = recording.model
    return Setting(
        tuple(map(recording.scales.index, model.pyramid.scales)),
        model.pyramid.valid_ranges,
        tuple(model.focus),
        model.border,
    )


def _measured(others, ways, chosen: Setting, own: Setting) -> dict[str, dict]:
    """Rows of what was chosen and of what the config has, on other images."""
    (new,), whole = run(*others, *ways, [chosen])
    (old,), old_whole = run(*others, *ways, [own], ways[0].budget)
    return {
        'measured': _row(new, whole),
        'pyramid': _row(whole, whole),
        'before': _row(old, old_whole),
        'pyramid before': _row(old_whole, old_whole),
    }


def _lowered(setting: Setting, by: float) -> Setting:
    lower = [by * step.threshold for step in setting.focus]
    return with_thresholds(setting, lower)


def _row(point: Point, whole: Point) -> dict[str, float | None]:
    return dict(
        AP=point.AP,
        loss=whole.AP - point.AP,
        share=point.share,
        Mpixel=point.pixels / 1e6,
        seconds=None if np.isnan(point.seconds) else point.seconds,
    )
