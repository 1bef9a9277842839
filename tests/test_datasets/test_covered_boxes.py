"""Boxes that count as covered are those that CutChip trains, one by one."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sniper_mmdet.chips import (
    ChipSettings,
    ImageBoxes,
    ImagePyramid,
    box_coverage,
    chip_regions,
    mine_chips,
)
from sniper_mmdet.datasets import ChipDataset, CutChip

CUT = CutChip()


class Drawn:
    """A data set of a user's own: boxes without any image file."""

    metainfo = dict(classes=('thing',))

    def __init__(self, sizes, boxes):
        self.sizes, self.boxes = sizes, boxes

    def __len__(self):
        return len(self.sizes)

    def get_data_info(self, index):
        width, height = self.sizes[index]
        instances = [
            dict(bbox=box.tolist(), bbox_label=0, ignore_flag=0)
            for box in self.boxes[index]
        ]
        return dict(
            img_path=f'{index}.png',
            width=width,
            height=height,
            instances=instances,
        )


def random_boxes(rng, size, num):
    sides = np.exp(rng.uniform(-0.5, np.log(max(size)), (num, 2)))
    corner = rng.uniform(-5, size, (num, 2))
    return np.concatenate([corner, corner + sides], 1)


def at_borders(rng, regions):
    """Boxes with a corner of a chip, a hundredth of a pixel in or out."""
    inner = np.abs(rng.normal(0, 12, regions.shape)) * [1, 1, -1, -1]
    keep = rng.uniform(size=regions.shape) < 0.6
    nudge = rng.uniform(-0.03, 0.03, regions.shape)
    return np.where(keep, regions + nudge, regions + inner)


def trained(dataset, table):
    """bool (M, L): which boxes CutChip trains in any chip of the level."""
    found = np.zeros((len(dataset.images.boxes), 2), bool)
    for row in table:
        info = dataset.get_data_info(row)
        boxes = np.float32([i['bbox'] for i in info['instances']])
        count = len(boxes)
        results = CUT.transform(
            dict(
                info,
                img=np.zeros((info['height'], info['width'], 3), np.uint8),
                gt_bboxes=boxes.reshape(-1, 4),
                gt_bboxes_labels=np.arange(count),
                gt_ignore_flags=np.zeros(count, bool),
            )
        )
        kept = results['gt_bboxes_labels'][~results['gt_ignore_flags']]
        found[dataset.images.offsets[row['image']] + kept, row['level']] = True
    return found


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    width=st.integers(40, 900),
    height=st.integers(40, 900),
    fine=st.floats(0.9, 3.1),
)
def test_covered_is_trained(seed, width, height, fine):
    rng = np.random.default_rng(seed)
    sizes = [(width, height), (height + 7, width)]
    boxes = [random_boxes(rng, size, 12) for size in sizes]
    pyramid = ImagePyramid([0.5, fine], [(24, None), (0, 60)])
    cut = ChipSettings(pyramid, 96, (8, 12))
    mined = mine_chips(ImageBoxes.from_lists(sizes, boxes), cut)
    for index in range(len(sizes)):
        regions = chip_regions(mined[mined['image'] == index])
        boxes[index] = np.concatenate([boxes[index], at_borders(rng, regions)])
    dataset = ChipDataset(
        Drawn(sizes, boxes),
        pyramid.scales,
        pyramid.valid_ranges,
        chip_size=96,
        stride=(8, 12),
    )
    table = dataset.mine(seed % 5, 0)
    covered = box_coverage(dataset.images, dataset.settings, table)
    np.testing.assert_array_equal(covered, trained(dataset, table))


def test_far_from_the_origin():
    """Chips are stored in float32, whose steps grow with the coordinates."""
    rng = np.random.default_rng(0)
    sizes = [(60_000, 40)]
    corner = rng.uniform(50_000, 59_000, (40, 1))
    boxes = np.concatenate(
        [corner, np.full_like(corner, 10), corner + 9.3, corner * 0 + 19], 1
    )
    dataset = ChipDataset(
        Drawn(sizes, [boxes]), [0.5, 1.337], chip_size=96, stride=(8, 12)
    )
    table = dataset.mine(0, 0)
    covered = box_coverage(dataset.images, dataset.settings, table)
    assert covered.all()
    np.testing.assert_array_equal(covered, trained(dataset, table))
