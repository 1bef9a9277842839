"""Statistics of the cost and coverage of chips."""

import numpy as np

from sniper_mmdet.chips import (
    ChipSettings,
    ImageBoxes,
    ImagePyramid,
    box_coverage,
    chip_pixels,
    valid_boxes,
)


def chip_statistics(
    images: ImageBoxes, settings: ChipSettings, tables: list[np.ndarray]
) -> dict:
    """Compute counts, coverage and pixels of chips, averaged over epochs.

    Args:
        images (ImageBoxes): The data set.
        settings (ChipSettings): Settings by which the chips were cut.
        tables (list[ndarray]): One chip table per epoch.

    Returns:
        dict: Lists per level are coarse to fine. ``boxes_covered`` is the
        share of all boxes that lie whole in a chip of a level at which their
        size is valid; ``valid_boxes_covered`` is the same share of the boxes
        that some chip must cover. ``pixel_ratio_single_scale`` and
        ``pixel_ratio_pyramid`` are the ratios of the level pixels of all chips
        to those of one 800x1333 pass, and to those of all whole levels;
        ``_padded`` counts every chip as a full square.

    Examples:
        >>> import numpy as np
        >>> from sniper_mmdet.chips import (
        ...     ImageBoxes, RELEASED_COCO, mine_chips)
        >>> boxes = [[10, 10, 30, 30], [400, 200, 600, 400]]
        >>> images = ImageBoxes(
        ...     widths=np.array([1000]), heights=np.array([600]),
        ...     boxes=np.array(boxes, np.float32), offsets=np.array([0, 2]))
        >>> tables = [mine_chips(images, RELEASED_COCO, seed=0, epoch=0)]
        >>> stats = chip_statistics(images, RELEASED_COCO, tables)
        >>> stats['chips_per_level'], f'{stats["boxes_covered"]:.0%}'
        ([1.0, 0.0, 1.0], '100%')
    """
    pyramid, num_images, n = settings.pyramid, max(len(images), 1), len(tables)

    def whole(pyramid):
        sizes = pyramid.level_sizes(images.widths, images.heights)
        return max(sizes.prod(-1).sum(), 1)

    single = whole(ImagePyramid([(800, 1333)]))
    counts = np.zeros((2, len(pyramid)))  # negative, positive
    pixels = num_chips = covered = valid_covered = 0.0
    must = valid_boxes(images, settings)
    for table in tables:
        np.add.at(counts, (table['positive'].astype(int), table['level']), 1)
        pixels += chip_pixels(table, images, pyramid).sum()
        num_chips += len(table)
        coverage = box_coverage(images, settings, table)
        covered += coverage.any(1).mean() if len(coverage) else 0
        valid_covered += coverage[must].mean() if must.any() else 1
    padded = num_chips * settings.chip_size**2
    negative, positive = counts / n
    return dict(
        images=len(images),
        boxes=len(images.boxes),
        epochs=n,
        chips_per_image=num_chips / n / num_images,
        chips_per_level=(counts.sum(0) / n).tolist(),
        positive_chips_per_level=positive.tolist(),
        negative_chips_per_level=negative.tolist(),
        valid_boxes_per_level=must.sum(0).tolist(),
        boxes_covered=covered / n,
        valid_boxes_covered=valid_covered / n,
        pixels_per_image=pixels / n / num_images,
        pixel_ratio_single_scale=pixels / n / single,
        pixel_ratio_single_scale_padded=padded / n / single,
        pixel_ratio_pyramid=pixels / n / whole(pyramid),
    )
