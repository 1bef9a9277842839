"""How thresholds of few objects are lowered."""

import pytest

from sniper_mmdet.fitting.tuner import safety


@pytest.mark.parametrize(
    'split, objects, factor',
    [
        ('val', 0, 0.5),
        ('val', 100, 0.5),
        ('val', 316, 0.71),
        ('val', 1000, 1),
        ('val', 50_000, 1),
        ('train', 50_000, 0.5),
    ],
)
def test_thresholds_of_few_objects_are_lowered(split, objects, factor):
    assert safety(split, objects) == factor
