"""A wrapped detector: its training, its config and its checkpoints."""

import copy

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS as MMDET_MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.hooks import EMAHook
from mmengine.model import MMDistributedDataParallel
from mmengine.runner import Runner, load_checkpoint, save_checkpoint
from mmengine.structures import InstanceData
from test_pyramid_detector import (  # noqa: F401
    assert_same,
    detect,
    image,
    plains,
    scope,
    wrap,
)
from tiny import plain_detector

from sniper_mmdet.models import PyramidDetector


@pytest.mark.parametrize('name', ['faster-rcnn', 'mask-rcnn', 'retinanet'])
def test_training_is_that_of_the_bare_detector(plains, name):  # noqa: F811
    plain = copy.deepcopy(plains(name)).train()
    model = wrap(plain, name, scales=[0.5, 1.0]).train()
    data = []
    for seed in range(2):
        sample = DetDataSample(
            metainfo=dict(img_shape=(64, 64), ori_shape=(64, 64))
        )
        sample.gt_instances = InstanceData(
            bboxes=torch.tensor([[4.0, 4, 40, 40]]), labels=torch.tensor([1])
        )
        if name == 'mask-rcnn':
            masks = np.zeros((1, 64, 64), np.uint8)
            masks[:, 8:36, 8:36] = 1
            sample.gt_instances.masks = BitmapMasks(masks, 64, 64)
        pixels = torch.from_numpy(image(64, 64, seed)).permute(2, 0, 1)
        data.append(dict(inputs=pixels, data_samples=sample))
    losses = []
    for net in (plain, model):
        torch.manual_seed(1)  # samplers draw
        np.random.seed(1)
        batch = net.data_preprocessor(
            dict(
                inputs=[d['inputs'] for d in data],
                data_samples=[copy.deepcopy(d['data_samples']) for d in data],
            ),
            True,
        )
        losses.append(net(**batch, mode='loss'))
    assert losses[0].keys() == losses[1].keys()
    for key, value in losses[0].items():
        value = value if isinstance(value, list) else [value]
        other = losses[1][key]
        other = other if isinstance(other, list) else [other]
        for a, b in zip(value, other, strict=True):
            assert torch.equal(a, b), key


def assert_same_tensors(a, b):
    a, b = a.state_dict(), b.state_dict()
    assert list(a) == list(b)
    assert all(torch.equal(a[key].cpu(), b[key].cpu()) for key in a)


def fresh_pair():
    plain = MMDET_MODELS.build(plain_detector('faster-rcnn'))
    model = PyramidDetector(plain_detector('faster-rcnn'), scales=[1.0, 2.0])
    assert not torch.equal(
        plain.backbone.conv1.weight, model.detector.backbone.conv1.weight
    )
    return plain, model


@pytest.mark.parametrize('to_plain', [False, True])
def test_state_dicts_are_interchangeable(to_plain):
    target, source = fresh_pair()
    if not to_plain:
        target, source = source, target
    result = target.load_state_dict(source.state_dict())
    assert not result.missing_keys and not result.unexpected_keys
    assert_same_tensors(source, target)


@pytest.mark.parametrize('to_plain', [False, True])
def test_checkpoint_files_are_interchangeable(to_plain, tmp_path):
    target, source = fresh_pair()
    if not to_plain:
        target, source = source, target
    path = str(tmp_path / 'model.pth')
    save_checkpoint(dict(state_dict=source.state_dict(), meta={}), path)
    load_checkpoint(target, path, map_location='cpu', strict=True)
    assert_same_tensors(source, target)


def test_its_own_keys_load_too():
    _, model = fresh_pair()
    state = {
        f'detector.{k}': torch.zeros_like(v)
        for k, v in model.state_dict().items()
    }
    result = model.load_state_dict(state)
    assert not result.missing_keys and not result.unexpected_keys
    assert not model.detector.backbone.conv1.weight.any()


def test_foreign_keys_are_named():
    plain, model = fresh_pair()
    state = plain.state_dict()
    state['neck.foreign'] = state.pop('backbone.conv1.weight')
    result = model.load_state_dict(state, strict=False)
    assert result.missing_keys == ['detector.backbone.conv1.weight']
    assert result.unexpected_keys == ['detector.neck.foreign']


@pytest.mark.parametrize('to_plain', [False, True])
def test_runner_loads_the_checkpoint_of_the_other(to_plain, tmp_path):
    target, source = fresh_pair()
    if not to_plain:
        target, source = source, target
    path = str(tmp_path / 'model.pth')
    save_checkpoint(dict(state_dict=source.state_dict(), meta={}), path)
    runner = Runner(
        target,
        work_dir=str(tmp_path / 'work'),
        load_from=path,
        default_scope='mmdet',
        experiment_name=tmp_path.name,
    )
    runner.load_or_resume()
    assert_same_tensors(source, target)


@pytest.fixture
def process_group(tmp_path):
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1
    )
    yield
    torch.distributed.destroy_process_group()


def test_state_dict_inside_ddp(process_group):
    plain, model = fresh_pair()
    parallel = MMDistributedDataParallel(model)
    state = parallel.state_dict()
    assert list(state) == [f'module.{k}' for k in plain.state_dict()]
    for key, value in plain.state_dict().items():
        state[f'module.{key}'] = value
    result = parallel.load_state_dict(state)
    assert not result.missing_keys and not result.unexpected_keys
    assert_same_tensors(plain, model)
    parallel.eval()
    (found,) = detect(parallel, [image(40, 60)])
    assert_same(found, detect(model, [image(40, 60)])[0])


def test_ema_hook_saves_and_loads_plain_weights(tmp_path):
    plain, model = fresh_pair()
    hook = EMAHook(momentum=0.5)
    runner = Runner(
        model,
        work_dir=str(tmp_path),
        default_scope='mmdet',
        resume=True,
        experiment_name=tmp_path.name,
    )
    hook.before_run(runner)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    # The first step of the average copies, the second averages.
    hook.ema_model.update_parameters(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    hook.ema_model.update_parameters(model)
    checkpoint = dict(state_dict=model.state_dict())
    hook.before_save_checkpoint(runner, checkpoint)
    assert list(checkpoint['state_dict']) == list(plain.state_dict())
    key = 'rpn_head.rpn_conv.weight'
    assert torch.allclose(checkpoint['state_dict'][key], before[key] + 0.5)
    checkpoint = copy.deepcopy(checkpoint)  # as a file would be
    for parameter in (*model.parameters(), *hook.ema_model.parameters()):
        parameter.data.zero_()
    hook.after_load_checkpoint(runner, checkpoint)
    result = model.load_state_dict(checkpoint['state_dict'])
    assert not result.missing_keys and not result.unexpected_keys
    assert torch.allclose(model.state_dict()[key], before[key] + 1)
    averaged = hook.ema_model.module.state_dict()[key]
    assert torch.allclose(averaged, before[key] + 0.5)


def test_keywords_or_a_whole_config_build_the_same():
    cfg = plain_detector('retinanet')
    whole = PyramidDetector(cfg, scales=[1.0])
    cfg = dict(cfg)
    split = PyramidDetector(cfg.pop('type'), scales=[1.0], **cfg)
    assert repr(whole) == repr(split)
    assert split.data_preprocessor is split.detector.data_preprocessor
    assert split.data_preprocessor.pad_size_divisor == 32
