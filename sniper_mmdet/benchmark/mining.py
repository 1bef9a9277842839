"""Measures the mining of chips, also beside the original C++ code.

:func:`benchmark_negatives` mines negative chips from a proposal file. It
watches the memory of the process
``python -m sniper_mmdet.benchmark.mining FILE.npz``.
"""

import itertools
import sys
import tempfile
import time
import timeit
from collections.abc import Sequence
from pathlib import Path
from subprocess import PIPE, Popen

import numpy as np

from sniper_mmdet.chips import (
    RELEASED_COCO,
    ChipSettings,
    ImageBoxes,
    ImagePyramid,
    Proposals,
    from_coco,
    mine_chips,
)

from .meters import memory

#: Times of the original C++ generator, on one core, on 446 COCO images. For
#: negative chips only its cover was measured.
ORIGINAL = dict(
    positive_ms_per_image=0.16,
    cover_ms_per_image_900_boxes=15.0,
    negative_ms_per_image_900_proposals=15.0,
)


def random_boxes(
    num_images: int = 50,
    num_boxes: int = 900,
    seed: int = 0,
    image: tuple[int, int] = (640, 480),
    sizes: tuple[float, float] = (8, 300),
) -> ImageBoxes:
    """Random boxes in images of one size; box sizes are log-uniform."""
    rng = np.random.default_rng(seed)
    boxes = []
    for _ in range(num_images):
        size = np.exp(rng.uniform(*np.log(sizes), num_boxes))
        ratio = np.exp(rng.uniform(-0.7, 0.7, num_boxes) / 2)
        sides = np.minimum(np.stack([size * ratio, size / ratio], 1), image)
        corner = rng.uniform(0, 1, (num_boxes, 2)) * (image - sides)
        boxes.append(np.concatenate([corner, corner + sides], 1))
    return ImageBoxes.from_lists([image] * num_images, boxes)


def benchmark_chips(ann: str, seed: int = 0) -> dict[str, float]:
    """Time of mining per image, beside that of the original code.

    Positive chips are mined from the boxes of a COCO json, the rest from
    random boxes.
    """
    images = from_coco(ann)
    crowded = random_boxes(seed=seed)
    # Every box at every level: no range reduces the work of the cover.
    pyramid = ImagePyramid([(-1, 512), 1.667, 3.0])
    cover = ChipSettings(pyramid, 512, stride=(56, 59))
    # All boxes are proposals, and the first of each image are objects.
    first = [crowded.of_image(i)[:8] for i in range(len(crowded))]
    objects = ImageBoxes.from_lists(crowded.sizes, first)
    scores = np.ones(len(crowded.boxes), np.float32)
    given = crowded.boxes, scores, crowded.offsets, np.arange(len(crowded))
    proposals = Proposals(*given)

    def ms_per_image(boxes, settings, repeats, *proposals):
        epochs = itertools.count()

        def mine():
            mine_chips(boxes, settings, seed, next(epochs), *proposals)

        seconds = timeit.repeat(mine, number=1, repeat=repeats)
        return min(seconds) / len(boxes) * 1e3

    mine_chips(objects, RELEASED_COCO, seed, 0, proposals)  # compiles
    positive = ms_per_image(images, RELEASED_COCO, 20)
    covering = ms_per_image(crowded, cover, 5)
    without = ms_per_image(objects, RELEASED_COCO, 20)
    negative = ms_per_image(objects, RELEASED_COCO, 20, proposals) - without
    ours = positive, covering, negative
    result = dict(zip(ORIGINAL, ours, strict=True))
    for key, original in ORIGINAL.items():
        result[f'{key}_original'] = original
        result[f'{key}_speedup'] = original / result[key]
    return dict(images=len(images), **result)


def benchmark_negatives(
    nums_images: Sequence[int], num_proposals: int, folder: str | None = None
) -> dict[str, float]:
    """Time and memory of mining from a mapped file, per number of images.

    The file, with ``num_proposals`` per image, is written into ``folder``.
    """
    result = {}
    for num_images in nums_images:
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            path = Path(temporary, 'proposals.npz')
            _write_synthetic(path, num_images, num_proposals)
            size = path.stat().st_size
            # The memory of a process of its own, without the pages of the
            # mapped file, which the system can take back at any time.
            command = [sys.executable, '-m', __name__, str(path)]
            child = Popen(command, stdout=PIPE, text=True)
            peak = 0
            while child.poll() is None:
                peak = max(peak, memory('RssAnon', child.pid) or 0)
                time.sleep(0.01)
            if child.returncode:
                raise ChildProcessError('mining failed: see the error above.')
            seconds = float(child.stdout.read())
        key = f'{num_images}_images'
        result[f'{key}_ms_per_image'] = seconds / num_images * 1e3
        result[f'{key}_private_mb'] = peak / 2**20
        result[f'{key}_file_mb'] = size / 2**20
    return result


def seconds_of_negatives(path: str) -> float:
    """Seconds to mine one epoch from a proposal file."""
    from sniper_mmdet.datasets import ProposalFile

    file = ProposalFile(path)
    boxes = random_boxes(100, 8)
    lists = [boxes.of_image(k % 100) for k in range(len(file))]

    def mine(num):
        images = ImageBoxes.from_lists(file.sizes[:num], lists[:num])
        proposals = file.select(file.keys[:num], file.sizes[:num])
        given = images, RELEASED_COCO, 0, 0, proposals
        return timeit.timeit(lambda: mine_chips(*given), number=1)

    mine(1)  # compiles
    return mine(len(file))


def _write_synthetic(path, num_images, num_proposals, block=5000) -> None:
    """Write a proposal file of random boxes, by blocks of images."""
    from sniper_mmdet.datasets.proposals import join_proposals, write_proposals

    parts = []
    for start in range(0, num_images, block):
        count = min(block, num_images - start)
        images = random_boxes(min(count, 100), num_proposals)
        boxes = [images.of_image(k % len(images)) for k in range(count)]
        scores = [np.ones(len(b), np.float32) for b in boxes]
        keys = [f'{start + k}' for k in range(count)]
        sizes = np.tile((640, 480), (count, 1))
        parts.append(f'{path}.{start:09d}')
        write_proposals(parts[-1], keys, sizes, boxes, scores, {})
    join_proposals(str(path), parts, {})


if __name__ == '__main__':
    print(seconds_of_negatives(sys.argv[1]))
