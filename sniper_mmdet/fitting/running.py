"""Real runs of settings of AutoFocus."""

from collections.abc import Sequence
from functools import partial

from mmengine.config import Config

from sniper_mmdet.apis.comparison import coco_row, measure, with_changes
from sniper_mmdet.chips import ImagePyramid
from sniper_mmdet.chips.budget import NO_BUDGET, FocusBudget
from sniper_mmdet.models import AutoFocus, PyramidDetector

from .simulation import Point, Setting


def run(
    cfg: Config,
    indices: Sequence[int],
    model: AutoFocus,
    scales: tuple,
    settings: Sequence[Setting],
    budget: FocusBudget = NO_BUDGET,
    whole: Point | None = None,
) -> tuple[list[Point], Point]:
    """Run settings and their pyramid, in turns image by image.

    Args:
        cfg (Config): Config with the test data.
        indices (Sequence[int]): Indices of the test images to use.
        model (:obj:`AutoFocus`): The detector.
        scales (tuple): Scales of the levels of the settings.
        settings (Sequence[:obj:`Setting`]): Different settings with the same
            levels and ranges.
        budget (:obj:`FocusBudget`): Budget of each image. Defaults to no
            bound.
        whole (:obj:`Point`, optional): Result of the pyramid, if it is known.
            Defaults to None: the pyramid is run too.

    Returns:
        tuple: The points of the settings, and the point of the pyramid.
    """
    levels = [scales[level] for level in settings[0].levels]
    ways = {
        setting: with_changes(
            model,
            model.predict,
            pyramid=ImagePyramid(levels, setting.ranges),
            focus=setting.focus,
            border=setting.border,
            budget=budget,
        )
        for setting in settings
    }
    if whole is None:
        ways[None] = with_changes(
            model,
            partial(PyramidDetector.predict, model),
            pyramid=ImagePyramid(levels, settings[0].ranges),
            batch_size=[None] * len(levels),
        )
    rows = measure(cfg, ways, indices)
    pyramid_pixels = rows[settings[0]]['pyramid_pixels'].sum()
    points = []
    for setting, row in rows.items():
        pixels = row['pixels'].sum() if 'pixels' in row else pyramid_pixels
        found, of = coco_row(row), setting or settings[0].whole
        seen = pixels / row['images'], pixels / pyramid_pixels
        AP = 100 * found['AP']
        points.append(Point(of, *map(float, (AP, *seen, found['seconds']))))
    whole = whole or points.pop()
    return points, whole
