"""Matches, precision and recall of scenes counted by hand."""

import numpy as np
import pytest

from sniper_mmdet.evaluation.matching import match, precision_recall


def thing(box, iscrowd=0):
    return dict(bbox=box, iscrowd=iscrowd)


def test_each_threshold_matches_for_itself():
    objects = [thing([0, 0, 10, 10]), thing([20, 0, 10, 10])]
    boxes = np.array([[0, 0, 10, 8], [0, 0, 10, 10], [20, 0, 10, 5.0]])
    hits, ignored = match(boxes, objects, np.array([0.9, 0.4, 0.6]))
    assert hits.tolist() == [
        [False, True, False],
        [True, False, True],  # the better box comes second: it is taken
        [True, False, False],
    ]
    assert not ignored.any()


def test_a_crowd_takes_what_finds_no_object():
    objects = [thing([0, 0, 100, 100], iscrowd=1), thing([0, 0, 10, 10])]
    boxes = np.array([[0, 0, 10, 10], [50, 50, 10, 10], [95, 0, 10, 10.0]])
    hits, ignored = match(boxes, objects, np.array([0.5, 0.75]))
    assert hits.tolist() == [[True, False, False]] * 2
    assert ignored.tolist() == [[False, True, True], [False, True, False]]


def test_nothing_to_match():
    hits, ignored = match(np.zeros((3, 4)), [], np.array([0.5]))
    assert hits.shape == ignored.shape == (1, 3) and not hits.any()
    hits, _ = match(np.zeros((0, 4)), [thing([0, 0, 1, 1])], np.array([0.5]))
    assert hits.shape == (1, 0)


def test_precision_and_recall_of_as_many_as_are_asked_for():
    hits = np.array([[True], [False], [True], [True]])
    ignored = np.array([[False], [True], [False], [False]])
    area, recall = precision_recall(
        np.array([0.9, 0.8, 0.6, 0.7]),
        np.array([0, 1, 2, 0]),  # the last is of another image
        hits,
        ignored,
        4,
        (1, 2, 3),
    )
    assert area == pytest.approx([0.75])
    assert recall.tolist() == [[0.5, 0.5, 0.75]]
