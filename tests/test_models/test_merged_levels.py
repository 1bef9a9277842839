"""Ranges of levels, and how the detections of all of them are merged."""

import numpy as np
import torch
from mmcv.ops import nms, soft_nms
from test_pyramid_detector import (  # noqa: F401
    assert_same,
    detect,
    fixed,
    image,
    instances,
    scope,
)

# A 100 px wide image at scales 0.5, 1 and 2 is 50, 100 and 200 px wide.
BIG, MIDDLE, SMALL = (0, 0, 80, 80), (0, 0, 40, 40), (0, 0, 10, 10)


def test_valid_ranges_hold_low_and_not_high():
    rows = [(*box, 0.9, k) for k, box in enumerate((BIG, MIDDLE, SMALL))]
    # 20 x 45 has the size 30: not its longer side counts, nor the shorter.
    rows.append((0, 0, 20, 45, 0.9, 3))
    model = fixed(
        {width: rows for width in (50, 100, 200)},
        scales=[0.5, 1.0, 2.0],
        valid_ranges=[(40, None), (30, 40), (0, 30)],
    )
    levels = [
        model.detect_level([image(100, 100)], k)[0].labels.tolist()
        for k in range(3)
    ]
    assert levels == [[0, 1], [3], [2]]
    (found,) = detect(model, [image(100, 100)])
    assert sorted(found.labels.tolist()) == [0, 1, 2, 3]


def test_inverted_boxes_have_size_zero():
    model = fixed(
        {50: [(30, 30, 10, 10, 0.9, 0)]},
        scales=[0.5],
        valid_ranges=[(10, None)],
    )
    assert len(detect(model, [image(100, 100)])[0]) == 0


def random_rows(number, seed):
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, 60, (number, 2))
    sides = rng.integers(10, 40, (number, 2))
    scores = rng.permutation(np.linspace(0.01, 0.99, number))
    labels = rng.integers(0, 3, number)
    return np.concatenate(
        [corner, corner + sides, scores[:, None], labels[:, None]], 1
    ).tolist()


def merged_by(merge, op, **kwargs):
    """Detections of two levels merged, and the op over them per class."""
    rows = {50: random_rows(60, 0), 100: random_rows(60, 1)}
    options = {} if merge is None else dict(merge=merge)
    model = fixed(rows, scales=[0.5, 1.0], max_per_img=1000, **options)
    (found,) = detect(model, [image(100, 100)])
    both = torch.tensor(rows[50] + rows[100])
    expected = []
    for label in range(3):
        part = both[both[:, 5] == label]
        dets, _ = op(
            part[:, :4].contiguous(), part[:, 4].contiguous(), **kwargs
        )
        expected += [(*d, label) for d in dets.tolist()]
    expected.sort(key=lambda row: -row[4])
    got = [
        (*box, score, label)
        for box, score, label in zip(
            found.bboxes.tolist(),
            found.scores.tolist(),
            found.labels.tolist(),
            strict=True,
        )
    ]
    return got, expected


def test_levels_are_merged_by_soft_nms_per_class():
    got, expected = merged_by(
        None, soft_nms, method='gaussian', sigma=0.55, min_score=0.001
    )
    assert len(got) == len(expected) > 100
    # Equal scores may be in any order.
    assert np.allclose(sorted(got), sorted(expected), atol=1e-5)
    assert min(row[4] for row in got) < 0.005


def test_merge_may_be_plain_nms():
    got, expected = merged_by(
        dict(type='nms', iou_threshold=0.4), nms, iou_threshold=0.4
    )
    assert 10 < len(got) == len(expected) < 100
    assert np.allclose(sorted(got), sorted(expected), atol=1e-6)


def test_at_most_max_per_img_by_falling_score():
    rows = {50: random_rows(60, 0), 100: random_rows(60, 1)}
    (every,) = detect(fixed(rows, scales=[0.5, 1.0]), [image(100, 100)])
    (some,) = detect(
        fixed(rows, scales=[0.5, 1.0], max_per_img=7), [image(100, 100)]
    )
    assert len(every) > 100 and len(some) == 7
    assert_same(some, every[:7])
    for found in (every, some):
        assert (found.scores.diff() <= 0).all()


def test_max_per_img_defaults_to_200():
    rows = [(300 * k, 0, 300 * k + 20, 20, 0.5, 0) for k in range(150)]
    model = fixed(
        {50: rows, 100: [(*r[:5], 1) for r in rows]}, scales=[0.5, 1.0]
    )
    assert len(detect(model, [image(100, 100)])[0]) == 200


def test_settings_of_the_merge_stay_as_they_are():
    merge = dict(type='nms', iou_threshold=0.4, class_agnostic=True)
    model = fixed({50: random_rows(9, 0)}, scales=[0.5, 1.0], merge=merge)
    (first,) = detect(model, [image(100, 100)])
    (second,) = detect(model, [image(100, 100)])
    assert_same(second, first)
    assert model.merge == dict(
        type='nms', iou_threshold=0.4, class_agnostic=True
    )


def test_thousands_of_classes_cost_no_digits():
    scores = []
    for apart in (1, 40_000):
        rows = np.array(random_rows(60, 0))
        rows[:, :4] += np.random.default_rng(1).random((60, 4))
        rows[:, 5] *= apart
        levels = {50: rows.tolist(), 100: random_rows(0, 0)}
        model = fixed(levels, scales=[0.5, 1.0], max_per_img=1000)
        (found,) = detect(model, [image(100, 100)])
        assert set((found.labels // apart).tolist()) == {0, 1, 2}
        scores.append(found.scores)
    assert torch.equal(*scores) and len(scores[0]) == 60
