"""What several commands of benchmark.py need."""

import contextlib
import time
from unittest import mock

import numpy as np

from sniper_mmdet.chips import ImageBoxes


def random_boxes(
    num_images=50, num_boxes=900, seed=0, image=(640, 480), sizes=(8, 300)
):
    """Random boxes of images of one size, log-uniform between two sizes."""
    rng = np.random.default_rng(seed)
    boxes = []
    for _ in range(num_images):
        size = np.exp(rng.uniform(*np.log(sizes), num_boxes))
        ratio = np.exp(rng.uniform(-0.7, 0.7, num_boxes) / 2)
        sides = np.minimum(np.stack([size * ratio, size / ratio], 1), image)
        corner = rng.uniform(0, 1, (num_boxes, 2)) * (image - sides)
        boxes.append(np.concatenate([corner, corner + sides], 1))
    return ImageBoxes.from_lists([image] * num_images, boxes)


@contextlib.contextmanager
def watch(functions, spent, synchronize=lambda: None):
    """Add up the seconds of functions, (owner, name, key), while it lasts.

    Time within a watched function that another one calls counts for the
    inner one alone. ``synchronize`` waits for what a device has yet to do.
    """
    inner = [0.0]  # seconds of what was called, by depth

    def timed(function, key):
        def call(*args, **kwargs):
            synchronize()
            inner.append(0.0)
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                synchronize()
                seconds = time.perf_counter() - start
                spent[key] = spent.get(key, 0.0) + seconds - inner.pop()
                inner[-1] += seconds

        return call

    with contextlib.ExitStack() as stack:
        for owner, name, key in functions:
            change = mock.patch.object(
                owner, name, timed(getattr(owner, name), key)
            )
            stack.enter_context(change)
        yield
