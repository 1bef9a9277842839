"""Comparison of proposed settings with others, and warnings."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from sniper_mmdet.chips import (
    ChipSettings,
    ImageBoxes,
    ImagePyramid,
    box_sizes,
)
from sniper_mmdet.chips.presets import RELEASED_COCO, RELEASED_COCO_TEST

from .advice import Advice
from .costs import focus_share, forecast, some_images
from .frontier import gain_of, ways_to_look
from .proposal import propose
from .warnings import warnings_of

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
CHIP_SIZES = (256, 384, 512)
# Upper bound of the images that are counted.
_MOST = 4000


def report_settings(
    images: ImageBoxes,
    chip_size: int | None = None,
    num_levels: int | None = None,
    own: tuple[ChipSettings, ImagePyramid | None] | None = None,
    focus_stride: int | None = None,
    num_without_area: int | None = None,
    strides: Sequence[int] | None = None,
) -> tuple[dict, Advice]:
    """Propose settings, and compare their cost with that of others.

    Args:
        images (ImageBoxes): The data set.
        chip_size (int, optional): See :func:`propose`.
        num_levels (int, optional): See :func:`propose`.
        own (tuple, optional): The user's settings: those of training, and the
            pyramid of testing or None if it is the same.
        focus_stride (int, optional): Stride of FocusPixels of the user's
            AutoFocus detector, for which at least two levels are proposed.
        num_without_area (int, optional): Number of boxes that were left out
            before.
        strides (Sequence[int], optional): Strides of FocusPixels to try, see
            :func:`propose`.

    Returns:
        tuple: The report, a dict, and the proposal, an Advice.

    Raises:
        ValueError: See :func:`propose`.
    """

    own_focus = strides, focus_stride
    some = some_images(images, _MOST)

    def expect(advice):
        return forecast(some, advice.settings, advice.test_pyramid)

    advice, plans = propose(images, chip_size, num_levels, *own_focus)
    expected = {
        'proposed': expect(advice),
        "COCO's": forecast(some, RELEASED_COCO, RELEASED_COCO_TEST),
    }
    if own:
        expected['config'] = forecast(some, *own)
    others = {}
    for size in () if chip_size else CHIP_SIZES:
        if size != advice.chip_size:
            other, _ = propose(images, size, num_levels, *own_focus)
            others[size] = dict(scales=other.scales, **expect(other))
    share = None
    if advice.focus:
        focus = advice.focus_sizes, advice.focus, advice.focus_stride
        share = focus_share(some, advice.test_pyramid, *focus)
    percentiles = np.percentile(box_sizes(images.boxes), PERCENTILES)
    sides, area = images.sizes, images.sizes.prod(1)
    known = expected['proposed'], share, num_without_area
    report = dict(
        images=len(images),
        boxes=len(images.boxes),
        counted_images=len(some),
        smallest_image=sides[area.argmin()].tolist(),
        largest_image=sides[area.argmax()].tolist(),
        sizes=dict(zip(PERCENTILES, percentiles.tolist(), strict=True)),
        proposed=asdict(advice),
        expected=expected,
        other_chip_sizes=others,
        focus_share=share and share._asdict(),
        gain=(
            '--levels 1 leaves no coarse level for AutoFocus to focus from.'
            if num_levels == 1
            else gain_of(advice, plans)
        ),
        ways=list(ways_to_look(some, advice, plans)),
        warnings=list(warnings_of(images, advice, *known)),
    )
    return report, advice
