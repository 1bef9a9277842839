"""The picture of object sizes."""

import numpy as np
import pytest

from sniper_mmdet.chips import ImageBoxes
from sniper_mmdet.tuning import suggest
from sniper_mmdet.visualization import draw_sizes


@pytest.mark.parametrize('num_levels', [1, 3, 6])
def test_the_legend_covers_no_curve(num_levels):
    boxes = np.array([[0, 0, w, w] for w in range(8, 400, 4)], np.float32)
    images = ImageBoxes.from_lists([(640, 480)], [boxes])
    advice = suggest(images, num_levels=num_levels)
    figure = draw_sizes(images, advice.settings, advice.target)
    figure.draw_without_rendering()
    (legend,) = figure.legends
    assert len(legend.get_texts()) == num_levels + 1
    box = legend.get_window_extent()
    panels = [axis.get_tightbbox() for axis in figure.axes]
    assert len(panels) == 3 and not any(box.overlaps(p) for p in panels)
    assert box.y0 >= 0 and min(p.height for p in panels) > 50


def test_nothing_to_draw():
    images = ImageBoxes.from_lists([(640, 480)], [np.zeros((0, 4))])
    other = ImageBoxes.from_lists([(640, 480)], [np.array([[0, 0, 50, 50]])])
    with pytest.raises(ValueError, match='of boxes only. Received: none.'):
        draw_sizes(images, suggest(other).settings)
