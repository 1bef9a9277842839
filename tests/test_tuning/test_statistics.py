"""Counts and pixels of chips, against the original's on real annotations."""

import numpy as np
import pytest

from sniper_mmdet.chips import (
    RELEASED_COCO,
    ChipSettings,
    ImageBoxes,
    ImagePyramid,
    from_coco,
    mine_chips,
)
from sniper_mmdet.tuning import chip_statistics


def statistics(images, settings, epochs=1):
    tables = [mine_chips(images, settings, 0, e) for e in range(epochs)]
    return chip_statistics(images, settings, tables)


@pytest.mark.real_data
def test_released_settings_on_coco(shared_data):
    images = from_coco(shared_data / 'coco_annotations/instances_446.json')
    stats = statistics(images, RELEASED_COCO, epochs=3)
    assert stats['images'] == 446 and stats['boxes'] == 3767
    assert stats['chips_per_image'] == pytest.approx(4.28, rel=0.03)
    assert stats['chips_per_level'] == pytest.approx([380, 663, 868], rel=0.05)
    assert stats['valid_boxes_covered'] == 1
    assert stats['boxes_covered'] > 0.995
    assert stats['pixel_ratio_single_scale'] == pytest.approx(1.19, rel=0.03)
    padded = stats['pixel_ratio_single_scale_padded']
    assert padded == pytest.approx(1.26, rel=0.03)


def test_pixels_by_hand():
    images = ImageBoxes.from_lists(
        [(1000, 500), (80, 60)],
        [[(0, 0, 10, 10), (300, 300, 340, 340)], [(0, 0, 30, 30)]],
    )
    pyramid = ImagePyramid([1.0, 2.0], [(20, None), (0, 20)])
    stats = statistics(images, ChipSettings(pyramid, 100, 20), epochs=2)
    assert stats['epochs'] == 2
    assert stats['chips_per_image'] == 1.5
    assert stats['chips_per_level'] == [2, 1]
    assert stats['positive_chips_per_level'] == [2, 1]
    assert stats['negative_chips_per_level'] == [0, 0]
    assert stats['valid_boxes_per_level'] == [2, 1]
    assert stats['boxes_covered'] == 1
    # The small image is one chip of 80 x 60.
    pixels = 2 * 100 * 100 + 80 * 60
    assert stats['pixels_per_image'] == pytest.approx(pixels / 2)
    single = 1333 * 667 + 1067 * 800
    assert stats['pixel_ratio_single_scale'] == pytest.approx(pixels / single)
    assert stats['pixel_ratio_single_scale_padded'] == pytest.approx(
        3 * 100 * 100 / single
    )
    pyramid_pixels = 1000 * 500 + 80 * 60 + 2000 * 1000 + 160 * 120
    assert stats['pixel_ratio_pyramid'] == pytest.approx(
        pixels / pyramid_pixels
    )


def test_boxes_that_no_chip_covers_are_counted():
    # The second is valid at no level, and 30 px away from the only chip.
    boxes = [(0, 0, 10, 10), (400, 400, 495, 410)]
    images = ImageBoxes.from_lists([(500, 500)], [boxes])
    settings = ChipSettings(ImagePyramid([1.0]), 100, 20)
    stats = statistics(images, settings)
    assert stats['boxes_covered'] == 0.5
    assert stats['valid_boxes_covered'] == 1
    table = mine_chips(images, settings)
    table['x1'] += 200
    table['x2'] += 200
    stats = chip_statistics(images, settings, [table])
    assert stats['valid_boxes_covered'] == 0


def test_negative_chips_are_counted_apart():
    images = ImageBoxes.from_lists([(500, 500)], [[(0, 0, 10, 10)]])
    settings = ChipSettings(ImagePyramid([1.0]), 100, 20)
    table = np.repeat(mine_chips(images, settings), 3)
    table['positive'][1:] = False
    stats = chip_statistics(images, settings, [table])
    assert stats['positive_chips_per_level'] == [1]
    assert stats['negative_chips_per_level'] == [2]
    assert stats['chips_per_level'] == [3]


def test_no_images_and_no_boxes():
    for images in (
        ImageBoxes.from_lists([], []),
        ImageBoxes.from_lists([(640, 480)], [[]]),
    ):
        stats = statistics(images, RELEASED_COCO)
        assert stats['chips_per_image'] == stats['boxes_covered'] == 0
        assert stats['pixel_ratio_pyramid'] == 0
