"""Proposed settings beside others, and what there is to know of them."""

from dataclasses import asdict

import numpy as np

from sniper_mmdet.chips import (
    ChipSettings,
    ImageBoxes,
    ImagePyramid,
    box_sizes,
)
from sniper_mmdet.chips.presets import RELEASED_COCO, RELEASED_COCO_TEST

from .advice import Advice, suggest
from .costs import focus_share, forecast, some_images
from .warnings import warnings_of

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
CHIP_SIZES = (256, 384, 512)
# Images that are counted, at most: chips, and FocusChips, which take longer.
_MOST, _MOST_FOCUS = 4000, 400


def report_settings(
    images: ImageBoxes,
    chip_size: int | None = None,
    num_levels: int | None = None,
    own: tuple[ChipSettings, ImagePyramid | None] | None = None,
    focus_stride: int | None = None,
    num_without_area: int | None = None,
) -> tuple[dict, Advice]:
    """Propose settings, and count what they cost beside others.

    Args:
        images (ImageBoxes): The data set.
        chip_size (int, optional): See :func:`suggest`.
        num_levels (int, optional): See :func:`suggest`.
        own (tuple, optional): The user's settings: of training, and the
            levels of testing if those are others.
        focus_stride (int, optional): Of FocusPixels, of the user's AutoFocus
            detector: at least two levels are proposed for it.
        num_without_area (int, optional): Boxes that were left out before.

    Returns:
        tuple: dict, all there is to tell, and Advice, the proposal.

    Raises:
        ValueError: See :func:`suggest`.
    """

    def propose(chip_size):
        advice = suggest(images, chip_size, num_levels)
        if focus_stride and len(advice.scales) < 2:
            # AutoFocus needs a level to focus from.
            advice = suggest(images, chip_size, 2)
        return advice

    some = some_images(images, _MOST)

    def expect(advice):
        return forecast(some, advice.settings, advice.test_pyramid)

    advice = propose(chip_size)
    expected = {
        'proposed': expect(advice),
        "COCO's": forecast(some, RELEASED_COCO, RELEASED_COCO_TEST),
    }
    if own:
        expected['config'] = forecast(some, *own)
    others = {}
    for size in () if chip_size else CHIP_SIZES:
        if size != advice.chip_size:
            other = propose(size)
            others[size] = dict(scales=other.scales, **expect(other))
    share = None
    if advice.focus:
        fewer = some_images(images, _MOST_FOCUS)
        focus = advice.focus_sizes, advice.focus, focus_stride or 16
        share = focus_share(fewer, advice.test_pyramid, *focus)
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
        warnings=list(warnings_of(images, advice, *known)),
    )
    return report, advice
