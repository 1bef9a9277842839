"""Losses of the focus head."""

import math

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from sniper_mmdet.registry import MODELS

FOCAL = dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25)


def head_of(**changes):
    init_default_scope('mmdet')
    config = dict(type='sniper_mmdet.FocusHead', in_channels=4, stride=8)
    return MODELS.build(dict(config, feat_channels=4, **changes))


def sample(*boxes):
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    return DetDataSample(
        metainfo=dict(img_shape=(16, 24)),
        gt_instances=InstanceData(bboxes=boxes),
    )


def loss_of(head, chip, logits):
    """Loss where all 2 x 3 cells, and the padded fourth column, have these."""
    for value in head.parameters():
        torch.nn.init.zeros_(value)
    head.out.bias.data = torch.tensor(logits)
    maps = [torch.zeros(1, 4, 2, 4)]
    return head.loss(maps, [chip])['loss_focus'].item()


@pytest.mark.parametrize('logits', [(0.0, 0.0), (1.5, -0.5), (-1.0, 2.0)])
@pytest.mark.parametrize('weight', [1.0, 4.0])
@pytest.mark.parametrize(
    'boxes, positive, negative',
    [
        ([(1, 1, 7, 7)], 4, 2),  # cells 0 to 1 of both rows
        ([(0, 0, 4, 4)], 0, 2),  # too small: four cells do not count
        ([], 0, 6),
    ],
)
def test_focal_loss_is_divided_by_the_focus_pixels(
    logits, weight, boxes, positive, negative
):
    head = head_of(loss_cls=FOCAL, loss_weight=weight)
    p = 1 / (1 + math.exp(logits[0] - logits[1]))
    total = positive * 0.25 * (1 - p) ** 2 * -math.log(p)
    total += negative * 0.75 * p**2 * -math.log(1 - p)
    found = loss_of(head, sample(*boxes), logits)
    assert found == pytest.approx(weight * total / max(positive, 1), rel=1e-5)


@pytest.mark.parametrize('weight', [1.0, 4.0])
def test_cross_entropy_is_divided_by_the_cells(weight):
    head = head_of(loss_weight=weight)
    found = loss_of(head, sample((1, 1, 7, 7)), (1.0, -1.0))
    p = 1 / (1 + math.exp(2))
    total = 4 * -math.log(p) + 2 * -math.log(1 - p)
    assert found == pytest.approx(weight * total / 6, rel=1e-5)


@pytest.mark.parametrize('loss, at_first', [(FOCAL, 0.01), (None, 0.5)])
def test_how_many_cells_are_focus_pixels_at_first(loss, at_first):
    head = head_of(loss_cls=loss)
    head.init_weights()
    maps = [torch.rand(1, 4, 6, 6)]
    found = head.predict(maps, [sample()])
    assert torch.allclose(found, torch.tensor(at_first), rtol=0.02)
    assert found.shape == (1, 6, 6)


def test_weights_are_the_same_whatever_the_loss():
    shapes = [
        {
            key: value.shape
            for key, value in head_of(**loss).state_dict().items()
        }
        for loss in ({}, dict(loss_cls=FOCAL))
    ]
    assert shapes[0] == shapes[1]


def test_input_is_normalised_by_running_statistics():
    head = head_of(norm_input=True).train()
    scales = torch.tensor([0.1, 1.0, 50.0, 1e3]).reshape(1, 4, 1, 1)
    maps = scales * (3 + torch.randn(2, 4, 32, 32))
    for _ in range(100):
        head([maps])
    seen = []
    head.convs.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    head.eval()([maps])
    mean, deviation = seen[0].mean((0, 2, 3)), seen[0].std((0, 2, 3))
    assert torch.allclose(mean, torch.zeros(4), atol=0.05)
    assert torch.allclose(deviation, torch.ones(4), atol=0.05)
    # A part alone is normalised as the whole was: nothing is of one chip.
    head([maps[:1, :, :8, :8]])
    assert torch.allclose(seen[1], seen[0][:1, :, :8, :8], atol=1e-3)


@pytest.mark.parametrize('sizes, around', [((3, 1), 3), ((3, 3), 5)])
def test_how_far_a_cell_sees(sizes, around):
    head = head_of(kernel_sizes=sizes)
    for value in head.parameters():
        torch.nn.init.ones_(value)
    maps = torch.zeros(1, 4, 11, 11, requires_grad=True)
    head([maps])[0, 1, 5, 5].backward()
    seen = maps.grad[0, 0] != 0
    assert seen.sum() == around**2 and seen[5, 5]


@pytest.mark.parametrize('sizes', [(3,), (3, 2), (1, 1, 1)])
def test_kernels_must_be_two_odd_numbers(sizes):
    with pytest.raises(ValueError, match='two odd numbers. Received: .*'):
        head_of(kernel_sizes=sizes)
