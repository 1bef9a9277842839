"""Groups of classes by their features."""

import numpy as np
import pytest

from sniper_mmdet.tuning.super_classes import cluster_classes, group_by_name


def test_clusters_are_found():
    rng = np.random.default_rng(0)
    of = np.array([2, 0, 1, 1, 0, 2, 2, 0, 1, 0])
    means = np.eye(3)[of] * 10 + rng.normal(size=(10, 3))
    found = cluster_classes(means, 3)
    # Numbered by their first class.
    assert found == [0, 1, 2, 2, 1, 0, 0, 1, 2, 1]
    assert cluster_classes(means, 3, seed=5) == found
    assert cluster_classes(means, 1) == [0] * 10
    assert cluster_classes(means, 10) == list(range(10))


def test_equal_classes_are_one():
    with pytest.raises(ValueError, match='must be 1 to 2'):
        cluster_classes(np.array([[0, 1], [0, 1], [1, 1]]), 3)


def test_names():
    assert group_by_name(['b', 'a', 'b', 'c']) == [0, 1, 0, 2]
