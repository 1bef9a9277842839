"""Backbones of the released networks: shapes, and what is frozen."""

import pytest
import torch
from torch import nn

from sniper_mmdet.models import ExpandedMobileNetV2, PreActResNet


def tiny(**kwargs):
    torch.manual_seed(0)
    return PreActResNet(50, base_channels=8, **kwargs)


def test_both_maps_have_stride_16():
    c4, c5 = tiny()(torch.randn(1, 3, 65, 96))
    assert c4.shape == (1, 128, 5, 6) and c5.shape == (1, 256, 5, 6)


def test_without_deformable_convolutions_the_last_stage_has_stride_32():
    c4, c5 = tiny(deform_groups=None)(torch.randn(1, 3, 64, 64))
    assert c4.shape[2:] == (4, 4) and c5.shape[2:] == (2, 2)


def test_unknown_depth():
    with pytest.raises(ValueError, match=r'\[50, 101, 152\]. Received: 18'):
        PreActResNet(18)


@pytest.mark.parametrize('pretrained', [True, False])
def test_offsets_start_at_zero(pretrained, tmp_path):
    init_cfg = None
    if pretrained:
        # Of a classifier, which has none.
        state = {
            key: value
            for key, value in tiny().state_dict(prefix='backbone.').items()
            if 'offset' not in key
        }
        file = str(tmp_path / 'classifier.pth')
        torch.save(dict(state_dict=state), file)
        init_cfg = dict(type='Pretrained', checkpoint=file, prefix='backbone.')
    model = tiny(init_cfg=init_cfg)
    model.init_weights()
    if pretrained:
        expected = state['backbone.stage4.0.conv2.weight']
        assert model.stage4[0].conv2.weight.equal(expected)
    for unit in model.stage4:
        assert not unit.offset.weight.any() and not unit.offset.bias.any()
        assert unit.conv2.weight.any()


@pytest.mark.parametrize('frozen', [-1, 0, 1, 2])
def test_frozen_layers_do_not_train(frozen):
    model = tiny(frozen_stages=frozen).train()
    names = ['conv0', 'bn0'] if frozen >= 0 else []
    names += [f'stage{k}' for k in range(1, frozen + 1)]
    fixed = {
        name
        for name, parameter in model.named_parameters()
        if not parameter.requires_grad
    }
    expected = {
        name
        for name, _ in model.named_parameters()
        if name.split('.')[0] in names or name == 'bn_data.weight'
    }
    assert fixed == expected
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model(torch.randn(2, 3, 64, 64) * 50)
    moved = {
        name.split('.')[0]
        for name, value in model.state_dict().items()
        if name.endswith('running_mean') and not value.equal(before[name])
    }
    stays = {*names, 'bn_data'} if frozen >= 0 else set()
    stages = {f'stage{k}' for k in (1, 2, 3, 4)} | {'bn0', 'bn_data'}
    assert moved == stages - stays


def test_norm_eval_gathers_no_statistics():
    model = tiny(norm_eval=True).train()
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert not any(norm.training for norm in norms)
    assert model.stage3[0].bn1.weight.requires_grad


def test_checkpointing_changes_nothing_but_memory():
    results = []
    for with_cp in (False, True):
        model = tiny(with_cp=with_cp).train()
        x = torch.randn(2, 3, 64, 64, generator=torch.manual_seed(1))
        sum(m.square().mean() for m in model(x)).backward()
        # Running means and variances, and momenta as before.
        statistics = [b for b in model.buffers() if b.is_floating_point()]
        momenta = {m.momentum for m in model.modules() if hasattr(m, 'eps')}
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        results.append((statistics, gradients, momenta))
    for plain, recomputed in zip(*results, strict=True):
        assert len(plain) == len(recomputed) > 0
        if isinstance(plain, set):
            assert plain == recomputed == {0.005}
            continue
        for before, after in zip(plain, recomputed, strict=True):
            torch.testing.assert_close(before, after)


def test_mobilenet_expands_its_first_block():
    model = ExpandedMobileNetV2(
        out_indices=(7,),
        norm_cfg=dict(type='BN', eps=1e-5, requires_grad=False),
    )
    assert model.layer1[0].expand_conv.conv.weight.shape == (32, 32, 1, 1)
    (last,) = model(torch.randn(2, 3, 64, 64))
    assert last.shape == (2, 1280, 2, 2) and last.max() <= 6
    trains = [n for n, p in model.named_parameters() if p.requires_grad]
    assert trains and all(name.endswith('conv.weight') for name in trains)


def test_mobilenet_refuses_more_first_blocks():
    class Odd(ExpandedMobileNetV2):
        arch_settings = [[1, 16, 2, 1]]

    with pytest.raises(ValueError, match='one block. Received: 2'):
        Odd(out_indices=(1,))


def test_weights_train_while_statistics_stay():
    model = tiny(frozen_weights=False).train()
    assert all(
        parameter.requires_grad
        for name, parameter in model.named_parameters()
        if name != 'bn_data.weight'
    )
    parts = model.bn0, model.bn_data, model.stage1
    assert not any(module.training for module in parts)
    assert model.stage2.training
