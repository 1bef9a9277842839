import copy
import pickle
from collections import namedtuple
from contextlib import contextmanager

import pytest
import torch
from mmdet.registry import MODELS
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODEL_WRAPPERS, init_default_scope
from tiny import ROOT, plain_detector
from torch import nn
from torch.nn.utils import parameters_to_vector

from sniper_mmdet.engine.half_precision import (
    HalfPrecisionOptimWrapper,
    keep_float32,
)

RECIPE = Config.fromfile(ROOT / 'configs/_base_/schedules/half_precision.py')
HALF = dict(float16=torch.float16, bfloat16=torch.bfloat16)
needs_fp16 = pytest.mark.cpu_fp16
each_dtype = pytest.mark.parametrize(
    'dtype', [pytest.param('float16', marks=needs_fp16), 'bfloat16']
)


class Net(nn.Module):
    """Two layers, a head of two layers that has no forward of its own."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(8, 8)
        self.body = nn.Linear(8, 8)
        self.heads = nn.ModuleList([nn.Linear(8, 2), nn.Linear(8, 2)])

    def forward(self, x):
        x = self.body(self.stem(x))
        return self.heads[0](x) + self.heads[1](x)


def wrapper(model, lr=0.1, **kwargs):
    optimizer = torch.optim.SGD(model.parameters(), lr)
    return HalfPrecisionOptimWrapper(optimizer=optimizer, **kwargs)


def seen_types(model, names):
    """Fills with what modules of these names give."""
    seen = {}
    for name in names:
        model.get_submodule(name).register_forward_hook(
            lambda module, inputs, output, name=name: seen.update(
                {name: output.dtype}
            )
        )
    return seen


@each_dtype
def test_named_modules_run_in_fp32(dtype):
    net = Net()
    seen = seen_types(net, ['stem', 'body', 'heads.0', 'heads.1'])
    optim = wrapper(net, dtype=dtype, float32=['stem', 'heads'])
    with optim.optim_context(net):
        net(torch.ones(2, 8, dtype=HALF[dtype]))
    single = torch.float32
    assert seen == {
        'stem': single,
        'body': HALF[dtype],
        'heads.0': single,
        'heads.1': single,
    }
    net.eval()
    net(torch.ones(2, 8))
    assert set(seen.values()) == {single}


def test_results_in_fp32_are_those_of_fp32():
    net, x = Net(), torch.randn(4, 8)
    plain = net(x)
    optim = wrapper(net, dtype='bfloat16', float32=['stem', 'body', 'heads'])
    with optim.optim_context(net):
        assert torch.equal(net(x), plain)
    optim = wrapper(Net(), dtype='bfloat16')
    net = Net()
    with optim.optim_context(net):
        assert not torch.equal(net(x), plain)


@needs_fp16
def test_nested_inputs_are_cast():
    Pair = namedtuple('Pair', 'a b')

    class Nested(nn.Module):
        def forward(self, x, options):
            self.seen = x, options

    module, half = Nested(), torch.ones(1).half()
    keep_float32(module, 'cpu')
    indices, double = torch.ones(1).long(), torch.ones(1).double()
    with torch.autocast('cpu', torch.float16):
        module(Pair(half, [half]), options=dict(a=(half, indices), b=double))
    x, options = module.seen
    assert isinstance(x, Pair) and x.a.dtype == x.b[0].dtype == torch.float32
    assert options['a'][0].dtype == torch.float32
    assert options['a'][1] is indices and options['b'] is double


def test_a_copy_is_a_model_of_its_own():
    net = Net()
    optim = wrapper(net, dtype='bfloat16', float32=['stem'])
    with optim.optim_context(net):
        pass
    x = torch.randn(2, 8)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert torch.equal(other(x), net(x))
        nn.init.zeros_(other.stem.weight)
        nn.init.zeros_(other.stem.bias)
        assert not torch.equal(other(x), net(x))
        seen = seen_types(other, ['stem', 'body'])
        with torch.autocast('cpu', torch.bfloat16):
            other(x)
        assert seen['stem'] == torch.float32 != seen['body']


def pyramid(detector: dict) -> dict:
    return dict(
        type='sniper_mmdet.PyramidDetector',
        detector=detector,
        scales=[0.5, 1.0],
        valid_ranges=[(32, None), (0, 64)],
    )


@MODEL_WRAPPERS.register_module(force=True)
class Wrapped(nn.Module):
    """As DistributedDataParallel: the model is its ``module``."""

    def __init__(self, module):
        super().__init__()
        self.module = module


@pytest.mark.parametrize('distributed', [False, True])
@pytest.mark.parametrize('in_pyramid', [False, True])
def test_names_are_those_of_the_plain_detector(in_pyramid, distributed):
    init_default_scope('mmdet')
    cfg = plain_detector('faster-rcnn')
    model = MODELS.build(pyramid(cfg) if in_pyramid else cfg)
    detector = model.detector if in_pyramid else model
    optim = wrapper(
        model,
        dtype='bfloat16',
        # Its name in a PyramidDetector is as good.
        float32=['detector.backbone.conv1', 'rpn_head.rpn_cls'],
    )
    if distributed:
        model = Wrapped(model)
    optim.initialize_count_status(model, 0, 10)
    seen = seen_types(
        detector, ['backbone.conv1', 'backbone.layer1', 'rpn_head.rpn_conv']
    )
    seen |= seen_types(detector, ['rpn_head.rpn_cls'])
    with optim.optim_context(model), torch.no_grad():
        x = detector.extract_feat(torch.zeros(1, 3, 64, 64))
        detector.rpn_head(x)
        rpn_cls = detector.rpn_head.rpn_cls(x[0])
    assert rpn_cls.dtype == torch.float32
    assert seen['backbone.conv1'] == torch.float32
    assert seen['backbone.layer1'] == torch.bfloat16
    assert seen['rpn_head.rpn_conv'] == torch.bfloat16


@needs_fp16
def test_names_that_match_nothing():
    net = Net()
    with pytest.raises(ValueError, match=r"float32 .* Received: 'steam'"):
        wrapper(net, float32=['stem', 'steam']).initialize_count_status(
            net, 0, 1
        )
    with pytest.raises(ValueError, match='a module of Net'):
        wrapper(net, float32=['.*head', '(neck)?']).initialize_count_status(
            net, 0, 1
        )
    # An expression may match nothing where another does; classes count.
    optim = wrapper(net, float32=['rpn.*', 'ModuleList'])
    seen = seen_types(net, ['body', 'heads.0'])
    with optim.optim_context(net):
        net(torch.ones(1, 8))
    assert seen == {'body': torch.float16, 'heads.0': torch.float32}


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        (dict(dtype='float32'), "'float16' or 'bfloat16'.* 'float32'"),
        (dict(loss_scale='static'), "loss_scale .* Received: 'static'"),
        (dict(loss_scale=-1), 'loss_scale .* Received: -1'),
    ],
)
def test_settings_out_of_bounds(settings, words):
    with pytest.raises(ValueError, match=words):
        wrapper(Net(), **settings)


@needs_fp16
@pytest.mark.parametrize('clip_grad', [None, dict(max_norm=10)])
@pytest.mark.parametrize(
    ('loss_scale', 'first', 'after'),
    [(100, 100, 100), (100.0, 100, 100), ('dynamic', 2**16, 2**15)],
)
def test_a_step_with_inf_is_skipped(loss_scale, first, after, clip_grad):
    net = Net()
    optim = wrapper(net, loss_scale=loss_scale, clip_grad=clip_grad)
    weights = copy.deepcopy(net.state_dict())
    assert optim.loss_scaler.get_scale() == first
    optim.update_params(net.stem(torch.full((1, 8), torch.inf)).sum())
    assert optim.loss_scaler.get_scale() == after
    hub = MessageHub.get_current_instance()
    assert hub.get_scalar('train/grad_scale').current() == after
    assert all(torch.equal(w, weights[k]) for k, w in net.named_parameters())
    # The next is as without a scale.
    optim.update_params(net.stem(torch.ones(1, 8)).sum())
    assert optim.loss_scaler.get_scale() == after
    moved = weights['stem.weight'] - net.stem.weight
    norm = (8 * 8 + 8) ** 0.5  # of the gradient, which is 1 everywhere
    size = 0.1 * (min(1, 10 / norm) if clip_grad else 1)
    assert torch.allclose(moved, torch.full_like(moved, size), atol=1e-4)


@needs_fp16
def test_bfloat16_has_no_scale_unless_one_is_given():
    assert not wrapper(Net(), dtype='bfloat16').loss_scaler.is_enabled()
    optim = wrapper(Net(), dtype='bfloat16', loss_scale=8)
    assert optim.loss_scaler.get_scale() == 8
    optim = wrapper(Net(), loss_scale=dict(init_scale=4, growth_interval=1))
    optim.update_params(Net()(torch.ones(1, 8)).sum() * 0 + loss_of(optim))
    assert optim.loss_scaler.get_scale() == 8


def loss_of(optim):
    return optim.optimizer.param_groups[0]['params'][0].sum()


def test_torch_before_2_3_scales_on_gpus_only(monkeypatch):
    monkeypatch.delattr(torch.amp, 'GradScaler', raising=False)
    with pytest.raises(ValueError, match=r'torch >= 2.3\. Received: torch'):
        wrapper(Net())
    assert not wrapper(Net(), dtype='bfloat16').loss_scaler.is_enabled()


@each_dtype
def test_accumulation_equals_one_large_batch(dtype):
    torch.manual_seed(0)
    net, x = Net(), torch.randn(8, 8)
    other = copy.deepcopy(net)
    settings = dict(dtype=dtype, float32=['stem', 'heads'])
    optim = wrapper(net, accumulative_counts=4, **settings)
    start = copy.deepcopy(net.state_dict())
    for k in range(4):
        assert torch.equal(net.body.weight, start['body.weight'])
        with optim.optim_context(net):
            loss = net(x[2 * k : 2 * k + 2]).square().mean()
        optim.update_params(loss)
    large = wrapper(other, **settings)
    with large.optim_context(other):
        loss = other(x).square().mean()
    large.update_params(loss)
    for (name, a), b in zip(
        net.named_parameters(), other.parameters(), strict=True
    ):
        step = (b - start[name]).abs().max()
        assert step > 0 and (a - b).abs().max() < 0.02 * step


def test_gradients_that_add_up_are_not_synchronised():
    class Distributed(Net):
        entered = 0

        @contextmanager
        def no_sync(self):
            self.entered += 1
            yield

    net = Distributed()
    optim = wrapper(net, dtype='bfloat16', accumulative_counts=3)
    for entered in (1, 2, 2):
        with optim.optim_context(net):
            loss = net(torch.ones(1, 8)).sum()
        assert net.entered == entered
        optim.update_params(loss)


@needs_fp16
def test_state_survives_a_resume():
    optim = wrapper(Net(), loss_scale='dynamic')
    optim.update_params(loss_of(optim) * torch.inf)
    state = optim.state_dict()
    again = wrapper(Net(), lr=0.5)
    again.load_state_dict(copy.deepcopy(state))
    assert again.loss_scaler.get_scale() == 2**15
    assert again.get_lr()['lr'] == [0.1]
    # A precision or a scale that the config changed counts.
    static = wrapper(Net(), loss_scale=100)
    static.load_state_dict(copy.deepcopy(state))
    assert static.loss_scaler.get_scale() == 100
    without = wrapper(Net(), dtype='bfloat16')
    without.load_state_dict(copy.deepcopy(state))
    for source in (without, wrapper(Net(), loss_scale=None)):
        state = source.state_dict()
        again = wrapper(Net(), loss_scale=dict(init_scale=4.0))
        again.load_state_dict(state)
    assert again.loss_scaler.get_scale() == 2**16


def train_step(cfg: dict, settings: dict | None):
    """Losses of a step, the model after it, how far its weights moved.

    Without settings it is a step in fp32.
    """
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = MODELS.build(cfg)
    model.init_weights()
    model.train()
    before = parameters_to_vector(model.parameters()).detach()
    optimizer = dict(type='SGD', lr=0.01)
    optim = build_optim_wrapper(
        model,
        dict(dict(type='OptimWrapper'), optimizer=optimizer, **settings or {}),
    )
    # At 64 pixels RetinaNet's last map comes from one cell: there bfloat16
    # gradients of torch 2.13's strided convolutions on the CPU are garbage.
    data = demo_mm_inputs(2, [[3, 96, 96]] * 2, num_classes=3, with_mask=True)
    torch.manual_seed(0)
    losses = model.train_step(data, optim)
    after = parameters_to_vector(model.parameters()).detach()
    return losses, model, after - before


@pytest.mark.parametrize(
    ('name', 'setting'),
    [
        pytest.param('faster-rcnn', 'half_precision', marks=needs_fp16),
        ('faster-rcnn', 'bfloat16'),
        ('mask-rcnn', 'bfloat16'),
        pytest.param('retinanet', 'half_precision_static', marks=needs_fp16),
        ('retinanet', 'bfloat16'),
    ],
)
def test_the_recipe_trains_any_detector(name, setting):
    """float16 is slow on most CPUs, not wrong."""
    cfg = pyramid(plain_detector(name))
    half, model, half_move = train_step(cfg, RECIPE[setting])
    single, _, move = train_step(cfg, None)
    assert half.keys() == single.keys()
    for key in single.keys() - {'acc'}:
        assert half[key].dtype == torch.float32
        assert torch.allclose(half[key], single[key], rtol=0.02, atol=0.01)
    assert {w.dtype for w in model.parameters()} == {torch.float32}
    assert (half_move - move).norm() < 0.05 * move.norm()


@pytest.mark.parametrize('with_cp', [False, True])
def test_recomputed_activations(with_cp):
    """Checkpointing: same gradients; BatchNorm meets a batch twice."""
    cfg = plain_detector('faster-rcnn')
    cfg.backbone.update(
        with_cp=with_cp,
        norm_eval=False,
        norm_cfg=dict(type='BN', requires_grad=True, momentum=0.1),
    )
    settings = dict(
        RECIPE.bfloat16, float32=['backbone.layer2', 'rpn_head', 'roi_head']
    )
    _, model, move = train_step(cfg, settings)
    cfg.backbone.with_cp = False
    _, plain, plain_move = train_step(cfg, settings)
    assert (move - plain_move).norm() < 1e-4 * move.norm()
    first, second = (m.backbone.layer2[0].bn1 for m in (model, plain))
    # Variance: from 1 to v by m, or by 1 - (1 - m)**2.
    ratio = (1 - first.running_var) / (1 - second.running_var)
    expected = 0.19 / 0.1 if with_cp else 1.0
    assert torch.allclose(ratio, torch.tensor(expected), rtol=1e-3)


BASES = {
    'sniper': '_base_ = ["{root}/configs/sniper/'
    'faster-rcnn_r18-slim_fpn_sniper_2e_sample.py", "{recipe}"]',
    'mmdet': '_base_ = ["mmdet::retinanet/retinanet_r50_fpn_1x_coco.py",'
    ' "{recipe}"]',
    'paramwise': '_base_ = ["mmdet::pvt/retinanet_pvt-t_fpn_1x_coco.py",'
    ' "{recipe}"]\noptim_wrapper = dict(paramwise_cfg=dict('
    'norm_decay_mult=0.0))',
}


@pytest.mark.parametrize(
    ('base', 'setting'),
    [
        pytest.param('sniper', 'half_precision', marks=needs_fp16),
        pytest.param('mmdet', 'half_precision_static', marks=needs_fp16),
        ('paramwise', 'bfloat16'),
    ],
)
def test_the_recipe_keeps_the_optimizer(base, setting, fast_configs, tmp_path):
    recipe = ROOT / 'configs/_base_/schedules/half_precision.py'
    text = BASES[base].format(root=ROOT, recipe=recipe)
    before = text.replace(f', "{recipe}"', '')
    plain, path = tmp_path / 'plain.py', tmp_path / 'half.py'
    plain.write_text(before)
    if base == 'paramwise':
        text = f'_base_ = ["{plain}", "{recipe}"]'
    path.write_text(f'{text}\noptim_wrapper = _base_.{setting}\n')
    cfg = Config.fromfile(path)
    before = Config.fromfile(plain).optim_wrapper
    cfg.merge_from_dict({'optim_wrapper.accumulative_counts': 4})
    for key in before.keys() - {'type'}:
        assert cfg.optim_wrapper[key] == before[key]
    net = Net()
    cfg.optim_wrapper.float32 = ['stem']
    optim = build_optim_wrapper(net, cfg.optim_wrapper)
    assert type(optim) is HalfPrecisionOptimWrapper
    assert optim._accumulative_counts == 4
    assert bool(optim.clip_grad_kwargs) == ('clip_grad' in before)
    scale = dict(half_precision=2**16, half_precision_static=100, bfloat16=1)
    assert optim.loss_scaler.get_scale() == scale[setting]
    # What is saved beside the checkpoints is the same config.
    cfg.dump(tmp_path / 'dumped.py')
    assert Config.fromfile(tmp_path / 'dumped.py').to_dict() == cfg.to_dict()


@pytest.mark.gpu
@pytest.mark.parametrize('dtype', HALF)
def test_on_cuda(dtype):
    net = Net().cuda()
    optim = wrapper(net, dtype=dtype, float32=['stem'])
    seen = seen_types(net, ['stem', 'body'])
    with optim.optim_context(net):
        loss = net(torch.ones(2, 8, device='cuda')).square().mean()
    optim.update_params(loss)
    assert seen == {'stem': torch.float32, 'body': HALF[dtype]}
    assert all(w.isfinite().all() for w in net.parameters())
