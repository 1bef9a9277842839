"""Geometry and advice work where nothing but NumPy, SciPy and Numba is."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sniper_mmdet.chips import RELEASED_COCO, from_coco, mine_chips

ROOT = Path(__file__).resolve().parents[2]
#: An interpreter in which whatever is no part of that cannot be imported.
ALONE = """
import sys

ABSENT = {'PIL', 'cv2', 'matplotlib', 'mmcv', 'mmdet', 'mmengine', 'torch'}


class Blocker:
    def find_spec(name, path=None, target=None):
        if name.partition('.')[0] in ABSENT:
            raise ModuleNotFoundError(f'{name} is not here', name=name)


sys.meta_path.insert(0, Blocker)
_, root, ann_file, out = sys.argv
sys.path.insert(0, root)

import numpy as np

from sniper_mmdet.chips import RELEASED_COCO, from_coco, mine_chips
from sniper_mmdet.chips.focus import focus_labels
from sniper_mmdet.tuning import chip_statistics, focus_share, suggest

images = from_coco(ann_file)
table = mine_chips(images, RELEASED_COCO, seed=3)
np.save(out, table)
assert focus_labels(images.of_image(0), (640, 480)).any()
advice = suggest(images)
share = focus_share(images, advice.test_pyramid, advice.focus_sizes,
                    advice.focus)
statistics = chip_statistics(images, RELEASED_COCO, [table])
print(len(images), len(table), statistics['images'], 0 < share.pixels <= 1)
print(*ABSENT & set(sys.modules))
"""


@pytest.fixture
def ann_file(tmp_path) -> Path:
    """446 images of many sizes with boxes of all sizes."""
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for i in range(446):
        width, height = rng.integers(300, 800, 2).tolist()
        images.append(dict(id=i, width=width, height=height))
        for side in np.exp(rng.uniform(2, 5.5, rng.integers(1, 15))):
            x, y = rng.uniform(0, [width, height]).tolist()
            annotations.append(
                dict(id=len(annotations), image_id=i, category_id=1)
                | dict(bbox=[x, y, side, side], area=side**2, iscrowd=0)
            )
    path = tmp_path / 'ann.json'
    path.write_text(
        json.dumps(
            dict(
                images=images,
                annotations=annotations,
                categories=[dict(id=1, name='thing')],
            )
        )
    )
    return path


def test_chips_and_tuning_need_no_framework(ann_file, tmp_path):
    out = tmp_path / 'table.npy'
    done = subprocess.run(
        [sys.executable, '-c', ALONE, ROOT, ann_file, out],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    here = mine_chips(from_coco(ann_file), RELEASED_COCO, seed=3)
    assert done.stdout.splitlines() == [f'446 {len(here)} 446 True', '']
    np.testing.assert_array_equal(np.load(out), here)
