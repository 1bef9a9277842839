"""Warnings about proposed settings."""

from collections.abc import Iterator

from sniper_mmdet.chips import ImageBoxes, box_sizes

from .advice import Advice
from .costs import FocusShare


def warnings_of(
    images: ImageBoxes,
    advice: Advice,
    expected: dict,
    share: FocusShare | None = None,
    num_without_area: int | None = None,
) -> Iterator[str]:
    """Warn of drawbacks of a proposal, in one sentence each.

    ``expected`` is the result of :func:`forecast` for the proposal, ``share``
    the one of :func:`focus_share`.
    """
    sizes = box_sizes(images.boxes)
    sides = images.boxes[:, 2:] - images.boxes[:, :2]
    levels = advice.settings.pyramid.level_sizes(images.widths, images.heights)
    if len(sizes) < 500:
        yield f'{len(sizes)} boxes are few: their percentiles may be off.'
    if num_without_area:
        yield (
            f'{num_without_area} boxes have no area inside their image; '
            'they are left out here and in training.'
        )
    thin = int((sides < advice.settings.min_side).any(1).sum())
    if thin:
        yield (
            f'{thin} boxes have a side below {advice.settings.min_side} px; '
            'no chip is cut for them.'
        )
    if expected['boxes_covered'] < 0.995:
        cures = ['--chip-size 512'] if advice.chip_size < 512 else []
        lower = 'lower valid ranges of the coarser levels'
        cures.append(lower if advice.focus else '--levels 2')
        yield (
            f'{expected["uncovered_boxes"]} boxes, '
            f'{1 - expected["boxes_covered"]:.1%}, train nowhere: a side is '
            f'below {advice.settings.min_side} px, or too long for a chip at '
            f'the level of their size. For long boxes try '
            f'{" or ".join(cures)}.'
        )
    for scale, count in zip(
        advice.scales, expected['valid_boxes_per_level'], strict=True
    ):
        if count == 0:
            yield (
                f'Level {scale} trains no box: it serves only AutoFocus, as '
                'a level to focus from.'
            )
    if (levels <= advice.chip_size).all():
        yield (
            'No level is larger than a chip: chips are whole images and save '
            'nothing.'
        )
    elif expected['pixel_ratio_pyramid'] > 0.8:
        yield (
            f'Chips have {expected["pixel_ratio_pyramid"]:.2f} times the '
            'pixels of the whole levels: objects are everywhere, and chips '
            'save little or nothing here.'
        )
    yield from _of_testing(levels, advice.plan, share)


def _of_testing(levels, plan, share) -> Iterator[str]:
    """Warn of the cost of testing, and of what AutoFocus cannot reach."""
    if plan is None and levels.prod(-1).max() > 2e7:
        width, height = levels.reshape(-1, 2)[levels.prod(-1).argmax()]
        yield (
            f'The largest image has {width}x{height} px at the finest level: '
            'testing it whole takes much memory.'
        )
    if share is not None and share.pixels > 0.5:
        yield (
            'AutoFocus will hardly pay: even with FocusPixels from the '
            f'annotations it looks at {share.pixels:.0%} of the pixels.'
        )
    if share is not None and share.boxes < 0.99:
        yield (
            f'AutoFocus cannot find {1 - share.boxes:.1%} of the boxes, '
            'however good its head: they are too small for FocusPixels on a '
            'coarser level, or FocusChips cut them. Take finer coarse levels, '
            'or lower the first of the sizes of FocusPixels.'
        )
