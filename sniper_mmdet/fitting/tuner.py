"""Tuning of AutoFocus for a config and a checkpoint."""

import time
from dataclasses import dataclass, replace

import numpy as np
from mmengine.config import Config

from sniper_mmdet.apis.comparison import load_autofocus, require_coco
from sniper_mmdet.chips.budget import FocusBudget
from sniper_mmdet.datasets.reading import build_read

from .candidates import with_thresholds
from .levels import LevelStudy, ladder, study
from .recording import Recording, has_finest, record
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

#: A focus head is too confident on its training images, and with few objects
#: chance decides. Thresholds that were chosen on training images, or on FEW
#: objects, are lowered by the factor SAFETY; thresholds that were chosen on
#: MANY objects are not. Levels, ranges and dilation are not chosen on FEW
#: objects.
SAFETY, FEW, MANY = 0.5, 100, 1000
#: Settings for other levels, or settings that are not tuned.
_RESET = 'batch_size', 'budget', 'budget_mpixel'
_STAGES = 'record', 'search', 'confirm', 'measure'


@dataclass(frozen=True)
class Tuned:
    """The settings that were chosen for a checkpoint, and their results.

    Args:
        study (:obj:`LevelStudy`): Object sizes that each level finds well.
        model (dict): The chosen settings, as the model of a config has them.
        curve (list[:obj:`Point`]): The best points of the simulation, cheapest
            first.
        rows (dict[str, dict]): Each row has AP, ``loss`` of AP to the pyramid,
            both in %, ``share`` of its pixels, and ``Mpixel`` and ``seconds``
            per image. Rows on the images of tuning are ``expected``, by
            simulation, whose ``seconds`` are None, and ``confirmed``, by a
            real run. Rows on other images, only if ``measure`` was True, are
            ``measured``; ``pyramid``, the chosen levels whole; and ``before``
            and ``pyramid before``, the settings of the config.
        seconds (dict[str, float]): Time of ``record``, ``search``, ``confirm``
            and ``measure``; and ``each``, an estimate of the time to run all
            simulated settings.
        tried (int): Number of simulated settings.
        objects (int): Number of objects in the images of tuning.
    """

    study: LevelStudy
    model: dict
    curve: list[Point]
    rows: dict[str, dict[str, float | None]]
    seconds: dict[str, float]
    tried: int
    objects: int


def tune(
    cfg: Config,
    checkpoint: str,
    budget: float | None = None,
    loss: float = 0.2,
    split: str = 'val',
    num: int = 0,
    measure: bool = True,
    keep_levels: bool = False,
    known: Recording | None = None,
) -> Tuned:
    """Choose all settings of AutoFocus that need no training.

    The detector runs once on the images of tuning, at many levels. Levels,
    ranges, thresholds and the other settings are tried by simulation. The best
    settings are run for real, and the chosen one is measured on images that
    were not used.

    Args:
        cfg (Config): Config of AutoFocus with a CocoMetric.
        checkpoint (str): File of its weights.
        budget (float, optional): Choose the best AP at no more than this share
            of the pyramid's pixels. Defaults to None: see ``loss``.
        loss (float): Choose the fewest pixels at no more than this loss of AP,
            in %, to the best setting. Defaults to 0.2.
        split, num: See :func:`~sniper_mmdet.fitting.splits.splits`.
            Thresholds from training data, or from few objects, are lowered
            by :func:`safety`, unless there is a budget. Default to 'val' and
            0.
        measure (bool): Also run the choice on images that were not used.
            Defaults to True.
        keep_levels (bool): Keep the levels of the config, and run the detector
            at these only. On training images ranges are kept too. Defaults to
            False. With 100 objects or less levels, ranges and dilation are
            kept in any case.
        known (:obj:`Recording`, optional): See
            :func:`~sniper_mmdet.fitting.recording.record`, on the images of
            tuning. Defaults to None.

    Raises:
        OSError: A file is missing.
        ValueError: The config, the checkpoint, the budget or the images are
            not suitable.
    """
    FocusBudget(budget)  # checks the budget
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
    every = [one for info in infos for one in info['instances']]
    objects = sum(not one['ignore_flag'] for one in every)
    few = objects <= FEW
    if not (keep_levels or few):
        scales = ladder(scales, size)
    recording = record(model, dataset, scales, tuning[1], known)
    ends.append(time.perf_counter())
    simulation, found = Simulation(recording), study(recording)
    own = _own_setting(recording)
    start = own
    # On images that it was trained on, a detector is good at any level.
    if not (few or (keep_levels and split == 'train')):
        start = best_pyramid(simulation, found, own, keep_levels)
    points, wanted, whole = search(simulation, start, budget, loss, few)
    if budget is not None and wanted.share > budget:
        raise ValueError(
            f'the budget must be at least {wanted.share:.3f}, the least share '
            f"of the pyramid's pixels of any setting. Received: {budget}."
        )
    curve = frontier(points)
    settings = [point.setting for point in near(curve, wanted)]
    # Only real runs show the effect of a border.
    settings.append(replace(wanted.setting, border=own.border / 2))
    if budget is None:
        by = safety(split, objects)
        settings = [_lowered(setting, by) for setting in settings]
    settings = [*dict.fromkeys(settings)]
    candidates = [*map(simulation.point, settings)]
    ends.append(time.perf_counter())
    ways = model, recording.scales
    # The recording has the pyramid, whose run would take longest.
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
    # The estimate takes the seconds per pixel of the recording.
    run_now = slice(-1 if has_finest(known, scales) else None)
    recorded = sum(i.sizes[run_now].prod(1).sum() for i in recording.images)
    simulated = len(tuning[1]) * sum(point.pixels for point in points)
    seconds['each'] = float(seconds['record'] * simulated / recorded)
    chosen = _changes(cfg, recording, expected.setting)
    return Tuned(found, chosen, curve, rows, seconds, len(points), objects)


def safety(split: str, objects: int) -> float:
    """Return the factor for thresholds chosen on a number of objects.

    Examples:
        >>> safety('train', 5000), safety('val', 100), safety('val', 1000)
        (0.5, 0.5, 1.0)
    """
    if split == 'train':
        return SAFETY
    power = np.interp(np.log(max(objects, 1)), np.log([FEW, MANY]), [1, 0])
    return round(SAFETY ** float(power), 2)


def _changes(cfg: Config, recording: Recording, chosen: Setting) -> dict:
    """Return the changes of a config's model."""
    return dict(
        scales=[recording.scales[level] for level in chosen.levels],
        valid_ranges=list(chosen.ranges),
        focus=[vars(step) for step in chosen.focus],
        border=chosen.border,
        **{key: None for key in _RESET if key in cfg.model},
    )


def _own_setting(recording: Recording) -> Setting:
    """Return the detector's own settings."""
    model = recording.model
    return Setting(
        tuple(map(recording.scales.index, model.pyramid.scales)),
        model.pyramid.valid_ranges,
        tuple(model.focus),
        model.border,
    )


def _measured(others, ways, chosen: Setting, own: Setting) -> dict[str, dict]:
    """Measure the chosen settings and the config's, on other images."""
    (new,), whole = run(*others, *ways, [chosen])
    same = chosen.levels == own.levels and chosen.ranges == own.ranges
    known = whole if same else None
    (old,), old_whole = run(*others, *ways, [own], ways[0].budget, known)
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
