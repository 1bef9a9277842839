"""Peak memory of a large image: its own bytes, and one bounded batch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

#: Looks at one full batch; ``max_pixels`` and ``side`` of its chips come
#: before, ``peak`` of an image after.
BATCH = """
import numpy as np, resource, torch
from mmdet.structures import DetDataSample
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from sniper_mmdet.models import PyramidDetector
from sniper_mmdet.registry import MODELS
from tiny import plain_detector

def peak():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

init_default_scope('mmdet')
torch.manual_seed(0)
detector = plain_detector('faster-rcnn')
detector.backbone.base_channels = 32
detector.neck.in_channels = [32, 64, 128, 256]
model = MODELS.build(dict(
    type='sniper_mmdet.AutoFocus',
    detector=detector,
    scales=[0.06, 0.25, 1.0],
    focus_head=dict(
        type='sniper_mmdet.FocusHead', in_channels=32, in_indices=(2, 1),
        sizes=(1, 64, 90)),
    focus=[dict(threshold=0.5, min_size=64),
           dict(threshold=0.5, min_size=64)],
    max_pixels=max_pixels,
    ground_truth=True)).eval()
chips = [torch.zeros(3, side, side, dtype=torch.uint8)] * (
    model.max_pixels // side**2)
meta = dict(img_shape=(side, side), ori_shape=(side, side),
            scale_factor=(1.0, 1.0))
for _ in range(2):  # what the first one leaves behind counts too
    with torch.no_grad():
        model.run_detector(
            chips, [DetDataSample(metainfo=meta) for _ in chips])
batch = peak()
"""
#: An image with chips for many batches.
CHIPS = """
image = torch.full((3, 6000, 8000), 100, dtype=torch.uint8)
sample = DetDataSample(
    metainfo=dict(img_shape=(6000, 8000), ori_shape=(6000, 8000)))
x, y = np.meshgrid(np.arange(500, 8000, 700), np.arange(500, 6000, 700))
corners = np.stack([x.ravel(), y.ravel()], 1)
boxes = torch.tensor(np.hstack([corners, corners + 60]), dtype=torch.float32)
sample.gt_instances = InstanceData(
    bboxes=boxes, labels=torch.zeros(len(boxes), dtype=torch.long))
(found,) = model.predict([image], [sample])
print(batch, peak(), image.numel(), found.focus['pixels'][2])
"""
#: An image whose finest level is looked at whole, by the pyramid and in one
#: FocusChip.
LEVELS = """
image = torch.full((3, 1600, 2400), 100, dtype=torch.uint8)
sample = DetDataSample(metainfo=dict(ori_shape=(1600, 2400)))
PyramidDetector.predict(model, [image], [sample])
sample.gt_instances = InstanceData(
    bboxes=torch.tensor([[0.0, 0, 2400, 1600]]),
    labels=torch.zeros(1, dtype=torch.long))
model.focus_head.sizes = 1, 4000, 4000
(found,) = model.predict([image], [sample])
print(batch, peak(), image.numel(), found.focus['pixels'][2])
"""


def measure(max_pixels, side, look):
    """Peak of a batch, then of an image; bytes of it; pixels looked at."""
    done = subprocess.run(
        [
            sys.executable,
            '-c',
            f'max_pixels, side = {max_pixels}, {side}' + BATCH + look,
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).resolve().parents[1],
        # Large blocks go back to the system, so that the peak is what is used.
        env={
            **os.environ,
            'OMP_NUM_THREADS': '1',
            'MALLOC_ARENA_MAX': '1',
            'MALLOC_MMAP_THRESHOLD_': '65536',
        },
    )
    return [int(word) for word in done.stdout.splitlines()[-1].split()]


pytestmark = pytest.mark.skipif(
    not sys.platform.startswith('linux'), reason='needs ru_maxrss in KiB'
)


def test_an_image_of_48_megapixels():
    batch, peak, image, looked_at = measure(2**22, 320, CHIPS)
    assert image == 3 * 6000 * 8000
    assert looked_at > 2 * 2**22
    # Results of all chips, and pixels of the next batch, uint8.
    assert peak <= 1.05 * batch + image


def test_levels_and_chips_in_tiles():
    """They have fifteen times what may be looked at in one piece."""
    batch, peak, image, looked_at = measure(2**18, 512, LEVELS)
    assert looked_at == 2400 * 1600
    assert peak <= 1.05 * batch + image
