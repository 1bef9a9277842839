"""AutoFocus over a detector that stays as it is."""

import copy

import pytest
import torch
import torch.distributed as dist
from mmdet.structures import DetDataSample
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from tiny import plain_detector
from torch.nn.modules.batchnorm import _BatchNorm

from sniper_mmdet.models import PyramidDetector
from sniper_mmdet.registry import MODELS

LEVELS = dict(
    scales=[0.5, 1.0, 1.5], valid_ranges=[(60, None), (20, 90), (0, 40)]
)
NAMES = ['faster-rcnn', 'retinanet']


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmdet')
    torch.manual_seed(0)


def frozen(name='faster-rcnn', **changes):
    config = dict(
        type='sniper_mmdet.AutoFocus',
        detector=plain_detector(name),
        focus_head=dict(
            type='sniper_mmdet.FocusHead',
            in_channels=32,
            in_indices=(1, 0),
            stride=dict(zip(NAMES, (8, 16), strict=True))[name],
            feat_channels=8,
        ),
        focus=[dict(threshold=0, min_size=64)] * 2,
        frozen=True,
    )
    return MODELS.build({**config, **LEVELS, **changes})


def batch_of(model, count=2):
    images = torch.randint(256, (count, 3, 96, 128), dtype=torch.uint8)
    samples = [
        DetDataSample(
            metainfo=dict(ori_shape=(96, 128), img_shape=(96, 128)),
            gt_instances=InstanceData(
                bboxes=torch.tensor([[9.0, 9, 40, 40]]),
                labels=torch.zeros(1, dtype=torch.long),
            ),
        )
        for _ in images
    ]
    data = dict(inputs=list(images), data_samples=samples)
    return model.data_preprocessor(data, True)


@pytest.mark.parametrize('paramwise', [None, dict(norm_decay_mult=0)])
@pytest.mark.parametrize('name', NAMES)
def test_only_the_focus_head_learns(name, paramwise):
    model = frozen(name).train()
    before = copy.deepcopy(model.state_dict())
    optimizer = dict(type='SGD', lr=1, momentum=0.9, weight_decay=0.1)
    wrapper = dict(
        optimizer=optimizer,
        paramwise_cfg=paramwise,
        clip_grad=dict(max_norm=1),
    )
    wrapper = build_optim_wrapper(model, wrapper)
    for _ in range(3):
        losses = model(**batch_of(model), mode='loss')
        assert set(losses) == {'loss_focus'}
        wrapper.update_params(losses['loss_focus'])
    learned = [
        key
        for key, value in model.state_dict().items()
        if not torch.equal(value, before[key])
    ]
    own = [key for key in before if key.startswith('focus_head.')]
    assert learned == own and len(own) < len(before)
    assert len(wrapper.optimizer.state) == len(own)


def test_the_detector_stays_as_in_a_test():
    model = frozen().train()
    modes = {
        kind.training
        for kind in model.detector.modules()
        if isinstance(kind, _BatchNorm)
    }
    assert modes == {False}
    assert model.focus_head.training and not model.detector.training
    assert not model.eval().focus_head.training
    assert frozen(frozen=False).train().detector.training


@pytest.mark.parametrize('name', NAMES)
def test_nothing_but_features_is_computed(name):
    model = frozen(name).train()
    data, called = batch_of(model), []
    for part, module in model.detector.named_children():
        module.register_forward_hook(lambda *_, part=part: called.append(part))
    loss = model(**data, mode='loss')['loss_focus']
    assert called == ['backbone', 'neck']
    with torch.no_grad():
        features = model.detector.eval().extract_feat(data['inputs'])
    expected = model.focus_head.loss(features, data['data_samples'])
    assert torch.equal(loss, expected['loss_focus'])


def test_a_focus_head_of_the_backbone_needs_no_neck():
    channels = backbone_maps(frozen())[1].shape[1]
    head = dict(in_channels=channels, in_indices=(1,), stride=8)
    head.update(type='sniper_mmdet.FocusHead', feat_channels=8)
    model = frozen(features='backbone', focus_head=head).train()
    data, called = batch_of(model), []
    for part, module in model.detector.named_children():
        module.register_forward_hook(lambda *_, part=part: called.append(part))
    loss = model(**data, mode='loss')['loss_focus']
    assert called == ['backbone']
    with torch.no_grad():
        features = model.detector.backbone(data['inputs'])
    expected = model.focus_head.loss(features, data['data_samples'])
    assert torch.equal(loss, expected['loss_focus'])


def backbone_maps(model):
    with torch.no_grad():
        return model.detector.backbone(torch.zeros(1, 3, 64, 64))


def test_features_must_be_computed_by_extract_feat():
    model = frozen(features='roi_head').train()
    with pytest.raises(ValueError, match='by extract_feat. .*roi_head'):
        model(**batch_of(model), mode='loss')


@pytest.mark.parametrize('name', NAMES)
def test_threshold_0_gives_the_pyramid(name):
    model = frozen(name).eval()
    img = torch.randint(256, (3, 97, 131), dtype=torch.uint8)

    def detect(way):
        (found,) = way(model, [img], [DetDataSample()])
        return found.pred_instances

    ours, theirs = detect(type(model).predict), detect(PyramidDetector.predict)
    assert len(ours) > 10
    for key in ('bboxes', 'scores', 'labels', 'levels'):
        assert torch.equal(ours[key], theirs[key])


def test_nothing_is_fetched_for_it(monkeypatch):
    backbone = dict(type='Pretrained', checkpoint='nowhere.pth')
    detector = plain_detector('retinanet')
    detector['backbone']['init_cfg'] = backbone
    model = frozen('retinanet', detector=detector)
    model.init_weights()
    assert 0.005 < model.focus_head.out.weight.std() < 0.02


def test_is_trained_by_several_processes(tmp_path):
    dist.init_process_group(
        'gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1
    )
    try:
        model = frozen('retinanet')
        spread = torch.nn.parallel.DistributedDataParallel(model).train()
        assert not model.detector.training
        for _ in range(2):  # what is unused is an error the second time
            spread(**batch_of(model), mode='loss')['loss_focus'].backward()
    finally:
        dist.destroy_process_group()
