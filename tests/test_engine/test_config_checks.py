"""Settings that do not go together are told before a run."""

from types import SimpleNamespace

import pytest
from mmdet.models import DetDataPreprocessor
from mmengine.config import Config
from mmengine.runner import Runner
from tiny import ROOT, SAMPLE_CONFIG, sample_options
from torch import nn

from sniper_mmdet.chips import ImagePyramid
from sniper_mmdet.datasets import ChipDataset
from sniper_mmdet.engine.config_checks import check_agreement
from sniper_mmdet.engine.hooks.chip_mining_hook import _compare

pytestmark = pytest.mark.usefixtures('fast_configs')
TRAINED = [
    path
    for path in sorted((ROOT / 'configs').glob('*/*.py'))
    if path.parent.name in ('sniper', 'autofocus')
]
ONE, TWO = ImagePyramid([1.0]), ImagePyramid([0.5, 1.0])


@pytest.mark.parametrize('path', TRAINED, ids=lambda path: path.stem)
def test_shipped_configs_agree(path):
    cfg = Config.fromfile(path)
    data, model = cfg.train_dataloader.dataset, cfg.model
    pads = [
        augment.size
        for augment in model.data_preprocessor.batch_augments
        if augment.type == 'BatchFixedSizePad'
    ]
    assert pads
    assert not check_agreement(
        data.chip_size,
        ImagePyramid(data.scales),
        pads,
        model.data_preprocessor.pad_size_divisor,
        ImagePyramid(model.scales),
    )


@pytest.mark.parametrize(
    'settings',
    [
        (512, TWO),
        (512, TWO, [(512, 512)], 32, TWO),
        # As many levels, of other sizes: on purpose, as released.
        (512, TWO, [(512, 512)], 32, ImagePyramid([(-1, 512), 2.0])),
        # A chip itself is padded to 320.
        (300, ONE, [(320, 320)], 32),
        (300, ONE, [(300, 300)], 32, ONE),
    ],
)
def test_what_agrees(settings):
    assert check_agreement(*settings) == []


@pytest.mark.parametrize('size', [(512, 512), (320, 352), (352, 320)])
def test_too_much_padding_is_a_warning(size):
    (found,) = check_agreement(300, ONE, [size], 32)
    assert found == (
        'train_dataloader.dataset.chip_size is 300 but '
        f'model.data_preprocessor.batch_augments pads to {size}: the '
        'padding of a chip wastes computation.'
    )


@pytest.mark.parametrize('size', [(256, 256), (512, 256)])
def test_too_little_padding(size):
    with pytest.raises(ValueError, match='chip_size is 384 but .* pads to'):
        check_agreement(384, ONE, [size], 32)


def test_other_levels():
    (found,) = check_agreement(512, ONE, test_levels=TWO)
    assert found == (
        'train_dataloader.dataset.scales has 1 levels, [1.0], but '
        'model.scales has 2, [0.5, 1.0]: the levels of tests differ from '
        'those of training.'
    )


RESIZING = [
    dict(type='BatchSyncRandomResize', random_size_range=(64, 128)),
    dict(type='BatchResize', scale=(64, 128)),
]


@pytest.mark.parametrize('augment', RESIZING, ids=lambda one: one['type'])
@pytest.mark.parametrize('mode', ['drop', 'ignore'])
@pytest.mark.parametrize('focus', [True, False])
def test_resized_batches_for_a_focus_head(augment, mode, focus):
    steps = ['sniper_mmdet.CutChip', 'mmdet.PackDetInputs']
    data = ChipDataset(
        SimpleNamespace(),
        [1.0],
        pipeline=[dict(type=step) for step in steps],
        out_of_range=mode,
    )
    model = nn.Module()
    model.data_preprocessor = DetDataPreprocessor(batch_augments=[augment])
    if focus:
        model.focus_head = nn.Module()
    if mode == 'drop' and focus:
        match = f"out_of_range='drop'.* Received: {augment['type']}"
        with pytest.raises(ValueError, match=match):
            _compare(data, model)
    else:
        assert _compare(data, model) == []


@pytest.mark.parametrize(
    ('changes', 'warning', 'error'),
    [
        (
            {'model.scales': [1.0], 'model.valid_ranges': None},
            'but model.scales has 1, [1.0]',
            None,
        ),
        (
            {'model.data_preprocessor.batch_augments.0.size': (64, 64)},
            None,
            'chip_size is 96 but',
        ),
        (
            {'model.data_preprocessor.batch_augments.0.size': (128, 128)},
            'pads to (128, 128): the padding of a chip',
            None,
        ),
    ],
)
def test_a_run_is_checked(changes, warning, error, tiny_scenes, tmp_path):
    cfg = Config.fromfile(SAMPLE_CONFIG)
    name = str(tmp_path)
    options = {
        'work_dir': name,
        'experiment_name': name,
        'visualizer.name': name,
        'train_dataloader.dataset.dataset.data_root': f'{tiny_scenes}/',
        'train_dataloader.sampler.epoch_size': 2,
        'train_cfg.max_epochs': 1,
    }
    cfg.merge_from_dict(sample_options(**options, **changes))
    for key in ('val_dataloader', 'val_evaluator', 'val_cfg'):
        cfg[key] = None
    runner = Runner.from_cfg(cfg)
    if error:
        with pytest.raises(ValueError, match=error):
            runner.train()
        assert runner.iter == 0
    else:
        runner.train()
        (log,) = tmp_path.glob('2*/*.log')
        assert warning in log.read_text()
