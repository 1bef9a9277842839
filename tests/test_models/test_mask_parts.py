"""Masks that are held as parts, beside whole ones."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from tiny import plain_detector

from sniper_mmdet.benchmark.meters import memory
from sniper_mmdet.models.detectors.focused_image import FocusedImage
from sniper_mmdet.models.detectors.mask_parts import crop_masks, full_masks
from sniper_mmdet.registry import MODELS


def blobs(num, height, width, dtype=torch.bool):
    """Masks of a few pixels, of all, of none, some beyond any box."""
    g = torch.Generator().manual_seed(num)
    masks = torch.rand(num, height, width, generator=g) > 0.995
    masks[::3] = False
    masks[1::3, height // 2 :] = False
    masks[-1] = True
    return (masks * (1 if dtype == torch.bool else 200)).to(dtype)


def result(masks):
    num = len(masks)
    return InstanceData(
        bboxes=torch.zeros(num, 4),
        labels=torch.arange(num),
        scores=torch.linspace(1, 0, num),
        masks=masks,
    )


@pytest.mark.parametrize('dtype', [torch.bool, torch.uint8, torch.float32])
def test_parts_are_the_masks(dtype):
    masks = blobs(10, 40, 50, dtype)
    parts = crop_masks(result(masks.clone()))
    assert sum(part.pixels.numel() for part in parts.masks[:-1]) > 0
    assert parts.masks[0].pixels.numel() == 0
    keep = torch.tensor([7, 0, 9, 1])
    found = full_masks(parts[keep], (40, 50))
    assert found.masks.dtype == dtype
    assert torch.equal(found.masks, masks[keep])
    valid = found.labels > 5
    none = full_masks(crop_masks(found)[valid & ~valid], (40, 50))
    assert none.masks.shape == (0, 40, 50) and none.masks.dtype == torch.bool


def test_parts_hold_nothing_else():
    """A view of a part would keep the whole mask."""
    masks = torch.zeros(5, 400, 300, dtype=torch.bool)
    masks[:, 20:24, 30:35] = True
    for part in crop_masks(result(masks)).masks:
        assert (part.x, part.y, *part.pixels.shape) == (30, 20, 4, 5)
        assert part.pixels.untyped_storage().nbytes() == 20


@pytest.mark.parametrize('masks', [None, [dict(size=[4, 5], counts=b'0')]])
def test_what_is_no_tensor_is_left(masks):
    """Boxes alone; and what a detector of the user's own has encoded."""
    found = result([0])
    found.pop('masks')
    if masks is not None:
        found.masks = masks
    found = full_masks(crop_masks(found), (4, 5))
    assert found.get('masks') == masks


@pytest.mark.parametrize(
    'offset', [(0, 0), (7.4, 12.6), (59.5, 60), (70.2, 70.5)]
)
def test_masks_of_a_chip_lie_where_it_is(offset):
    """A chip may stick out of the image by what rounding adds."""
    masks = blobs(6, 40, 50)
    image = FocusedImage(np.zeros((100, 110, 3), np.uint8), np.ones((1, 2)))
    image.add(crop_masks(result(masks.clone())), np.array(offset))
    found = full_masks(image.found[0], image.shape).masks
    x, y = np.rint(offset).astype(int)
    expected = torch.zeros(6, 200, 200, dtype=torch.bool)
    expected[:, y : y + 40, x : x + 50] = masks
    assert torch.equal(found, expected[:, :100, :110])


def many_masks(inputs, samples):
    """100 small objects in each chip, as a mask head gives them."""
    rng = np.random.default_rng(len(inputs))
    found = []
    for sample in samples:
        height, width = sample.ori_shape
        corner = rng.uniform(0, 1, (100, 2)) * (width - 40, height - 40)
        boxes = torch.tensor(np.hstack([corner, corner + 40])).float()
        masks = torch.zeros(100, height, width, dtype=torch.bool)
        for mask, (x1, y1, x2, y2) in zip(masks, boxes.int(), strict=True):
            mask[y1:y2, x1:x2] = True
        found.append(
            InstanceData(
                bboxes=boxes,
                scores=torch.linspace(0.9, 0.1, 100),
                labels=torch.arange(100) % 3,
                masks=masks,
            )
        )
    return found


FOCUS = dict(
    type='sniper_mmdet.AutoFocus',
    ground_truth=True,
    focus_head=dict(
        type='sniper_mmdet.FocusHead',
        in_channels=32,
        in_indices=(2, 1),
        sizes=(2, 40, 60),
    ),
    focus=[dict(threshold=0.5, min_size=64)] * 2,
)


@pytest.mark.skipif(
    memory('VmHWM') is None, reason='no peak of the memory to reset'
)
@pytest.mark.parametrize(
    'kind', [dict(type='sniper_mmdet.PyramidDetector'), FOCUS]
)
def test_peak_of_many_masks(kind, monkeypatch):
    """Of 2000x1500 px: 3 MB each, 0.3 GB at a time from a level."""
    init_default_scope('mmdet')
    detector = plain_detector('mask-rcnn')
    scales = [0.25, 0.5, 1.0]
    model = MODELS.build(dict(kind, detector=detector, scales=scales)).eval()
    monkeypatch.setattr(model, 'run_detector', many_masks)
    sample = DetDataSample(metainfo=dict(ori_shape=(1500, 2000)))
    corners = torch.tensor([[x, 700.0] for x in (100, 700, 1300, 1900)])
    sample.gt_instances = InstanceData(
        bboxes=torch.cat([corners, corners + 20], 1), labels=torch.zeros(4)
    )
    image = torch.zeros(3, 1500, 2000, dtype=torch.uint8)
    Path('/proc/self/clear_refs').write_text('5')
    before = memory('VmRSS')
    (found,) = model.predict([image], [sample])
    peak = memory('VmHWM') - before
    instances = found.pred_instances
    assert instances.masks.shape == (200, 1500, 2000)
    for mask, box in zip(instances.masks, instances.bboxes, strict=True):
        x1, y1, x2, y2 = box.round().int().tolist()
        assert mask[y1 + 1 : y2 - 1, x1 + 1 : x2 - 1].all()
        assert 38**2 <= mask.sum() <= 41**2
    assert peak < 0.9 * 2**30
