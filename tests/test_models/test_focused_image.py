"""Chips of one image, and their batches."""

import numpy as np

from sniper_mmdet.models.detectors.focused_image import (
    FocusedImage,
    make_batches,
)


def padded(batch):
    h = max(chip[3] for _, chip in batch)
    w = max(chip[2] for _, chip in batch)
    return len(batch) * h * w


def batches_of(sizes, max_pixels, limits=None):
    limits = limits or [1] * len(sizes)
    todo = [
        (k, (0, 0, *size), limit)
        for k, (size, limit) in enumerate(zip(sizes, limits, strict=True))
    ]
    found = list(make_batches(todo, max_pixels))
    assert sorted(
        (*item, limit) for limit, batch in found for item in batch
    ) == sorted(todo)
    return [batch for _, batch in found]


def test_batches_are_bounded_and_lose_nothing():
    rng = np.random.default_rng(0)
    batches = batches_of(rng.integers(16, 300, (200, 2)).tolist(), 300000)
    for batch in batches:
        own = sum(chip[2] * chip[3] for _, chip in batch)
        assert len(batch) == 1 or padded(batch) <= min(300000, 1.25 * own)
    assert len(batches) < 150
    # However small, no more than would be of 256x256.
    batches = batches_of([(16, 16)] * 20, 300000)
    assert [len(batch) for batch in batches] == [4] * 5


def test_chips_of_one_size_run_together():
    assert len(batches_of([(256, 256), (256, 320)] * 8, 10**9)) == 1
    assert len(batches_of([(256, 64), (256, 512)] * 8, 10**9)) == 2
    batches = batches_of([(256, 256)] * 6, 10**9, [1, 2, 2, 1, 2, 2])
    assert [len(batch) for batch in batches] == [2, 4]


def test_a_chip_has_all_of_its_pixels():
    """Whatever the factor: its cells would not fit the map otherwise."""
    for width, height, factor in [(420, 200, 2.25), (333, 100, 1.75)]:
        size = np.rint(np.multiply((width, height), factor)).astype(int)
        img = FocusedImage(np.zeros((height, width, 3), np.uint8), size[None])
        for left in range(0, size[0] - 64, 16):
            for right in (left + 64, size[0].item()):
                pixels, _, _ = img.cut(0, [left, 0, right, size[1].item()])
                assert pixels.shape[1:] == (size[1], right - left)
