"""What an AutoFocus learns from, and settings that do not fit it."""

import pytest
import torch
from mmengine.structures import InstanceData
from test_autofocus import (  # noqa: F401
    HEAD,
    SCALES,
    autofocus,
    detect,
    image,
    sample,
    scope,
)


def test_losses_of_both_from_features_computed_once(monkeypatch):
    model = autofocus().train()
    calls = []
    backbone = model.detector.backbone.forward
    monkeypatch.setattr(
        model.detector.backbone,
        'forward',
        lambda x: calls.append(1) or backbone(x),
    )
    img = image()
    data = model.data_preprocessor(
        dict(inputs=[img], data_samples=[sample(img, [(10, 10, 40, 40)])]),
        True,
    )
    losses = model(**data, mode='loss')
    assert len(calls) == 1
    assert {'loss_focus', 'loss_rpn_cls', 'loss_bbox'} <= set(losses)
    losses['loss_focus'].backward()
    assert model.focus_head.out.weight.grad.abs().sum() > 0
    conv1 = model.detector.backbone.layer2[0].conv1.weight
    assert conv1.grad.abs().sum() > 0


def test_targets_count_ignored_boxes_and_no_padding():
    head = autofocus().focus_head
    chip = sample(image(64, 48), [(0, 0, 10, 10)])
    chip.ignored_instances = InstanceData(
        bboxes=torch.tensor([[40.0, 20, 60, 40]])
    )
    labels = head.targets([chip], (5, 6))[0]
    assert labels.tolist() == [
        [1, 1, 0, 0, -1, -1],
        [1, 1, 1, 1, -1, -1],
        [0, 0, 1, 1, -1, -1],
        [-1, -1, -1, -1, -1, -1],
        [-1, -1, -1, -1, -1, -1],
    ]


def test_padding_is_without_effect_on_the_loss():
    head = autofocus().focus_head
    chip = sample(image(64, 48))
    maps = [torch.zeros(1, 16, s, s) for s in (16, 8, 4)]
    logits = head(maps)
    expected = torch.nn.functional.cross_entropy(
        logits[0, :, 0, 0][None], torch.zeros(1, dtype=torch.long)
    )
    loss = head.loss(maps, [chip])['loss_focus']
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize(
    'changes, sentence',
    [
        (dict(focus=[{}]), 'focus has 1 entries for 3 scales'),
        (dict(features='nose'), "a module of the detector. Received: 'nose'"),
        (dict(features='train_cfg'), "Received: 'train_cfg'"),
        (dict(focus=[dict(min_size=9)] * 2), 'focus must give threshold'),
        (dict(focus=[dict(threshold=1, size=9)] * 2), 'focus must give'),
        (dict(focus_head=dict(HEAD, sizes=(9, 5, 90))), 'sizes must be'),
        (dict(focus_head=dict(HEAD, precedence='x')), 'precedence must be'),
        (dict(focus_head=dict(HEAD, in_indices=())), 'in_indices must name'),
        (dict(focus=[dict(threshold=-1)] * 2), 'threshold must be'),
        (dict(focus=[dict(threshold=float('nan'))] * 2), 'threshold must be'),
        (dict(focus=[dict(threshold='x')] * 2), 'threshold must be'),
        (dict(focus=[dict(threshold=1, dilation=0)] * 2), 'dilation must'),
        (dict(focus=[dict(threshold=1, min_size=0.5)] * 2), 'min_size must'),
        (dict(scales=SCALES[::-1]), 'scales must be listed coarse to fine'),
        (dict(max_pixels=0), 'max_pixels must be'),
    ],
)
def test_wrong_settings(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        autofocus(**changes)


@pytest.mark.parametrize(
    'changes, sentence',
    [
        (dict(in_indices=(0, 9)), 'below 5, the number of feature maps'),
        (dict(in_channels=24), 'in_channels must be 32'),
    ],
)
def test_a_head_that_does_not_fit_the_detector(changes, sentence):
    model = autofocus(focus_head=dict(HEAD, **changes))
    with pytest.raises(ValueError, match=sentence):
        detect(model, image())


@pytest.mark.parametrize('stride', [8, 32])
def test_a_stride_that_is_not_the_maps(stride):
    model = autofocus(focus_head=dict(HEAD, stride=stride)).train()
    img = image(400, 300)
    data = dict(inputs=[img], data_samples=[sample(img)])
    data = model.data_preprocessor(data, True)
    with pytest.raises(ValueError, match='stride must be about 16'):
        model(**data, mode='loss')
    with pytest.raises(ValueError, match='stride must be about 16'):
        detect(model.eval(), img)


def test_features_of_a_module_that_is_not_called():
    with pytest.raises(ValueError, match="to detect. Received: 'roi_head'"):
        detect(autofocus(features='roi_head'), image())
