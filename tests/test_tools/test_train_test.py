"""The command line tools, end to end on tiny scenes."""

import json
import pickle
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import recorder
import torch
from mmcv.transforms import Compose
from mmdet.models.detectors.base import BaseDetector
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from runs import ONE_EPOCH, TOOLS, free_port, start
from tiny import SAMPLE_CONFIG, cli, sample_options

from sniper_mmdet.datasets import SampleDataset
from sniper_mmdet.engine import build
from sniper_mmdet.engine.evaluation_options import (
    set_flip_tta,
    set_format_only,
    set_metrics,
)
from sniper_mmdet.utils.files import claimed

NAME = SAMPLE_CONFIG.stem
pytestmark = pytest.mark.usefixtures('fast_configs')


def logged(work_dir, key):
    """All values of a scalar that a run logged, run by run."""
    return [
        line[key]
        for path in sorted(Path(work_dir).rglob('scalars.json'))
        for line in map(json.loads, path.read_text().splitlines())
        if key in line
    ]


def test_one_training_a_work_dir_and_a_full_disk(tool, here, full_disk):
    options = sample_options(**ONE_EPOCH)
    (here / 'w').mkdir()
    (here / 'w/epoch_1.pth').write_text('old')
    args = 'train.py', SAMPLE_CONFIG, '--work-dir', 'w'
    with claimed('w/.lock', 'x'), pytest.raises(SystemExit) as stop:
        tool(*args, **options)
    assert stop.value.code == (
        'train: w cannot be written: another process does so now; wait for '
        'its end, or choose another place.'
    )
    assert [path.name for path in (here / 'w').iterdir()] == ['epoch_1.pth']
    with full_disk(300_000), pytest.raises(SystemExit) as stop:
        tool(*args, **options)
    assert 'w/epoch_1.pth cannot be written: File too large' in stop.value.code
    assert (here / 'w/epoch_1.pth').read_text() == 'old'
    assert not list(here.glob('w/.*'))


@pytest.mark.parametrize('name', ['train.py', 'test.py'])
def test_no_room_for_logs_and_no_place(
    tool, here, name, trained, full_disk, capfd
):
    args = [name, SAMPLE_CONFIG, trained][: 2 if name == 'train.py' else 3]
    options = sample_options(**ONE_EPOCH)
    with full_disk(10_000), pytest.raises(SystemExit) as stop:
        tool(*args, '--work-dir', 'w', **options)
    told = str(stop.value)
    assert told.endswith('w cannot be written: File too large.')
    assert 'Traceback' not in capfd.readouterr().err
    (here / 'file').write_text('')
    with pytest.raises(SystemExit) as stop:
        tool(*args, '--work-dir', 'file', **options)
    assert 'file' in stop.value.code


def test_proposals_of_any_path(tool, here, monkeypatch):
    trained = []

    def checked_runner(cfg, *splits):
        trained.append(cfg)
        return SimpleNamespace(train=lambda: None)

    monkeypatch.setattr(build, 'checked_runner', checked_runner)
    path = 'my runs/a,b [1].npz'
    tool('train.py', SAMPLE_CONFIG, '--proposals', path, **sample_options())
    assert trained[0].train_dataloader.dataset.proposals == path
    plain = (
        SAMPLE_CONFIG.parents[1]
        / 'baselines/faster-rcnn_r18-slim_fpn_stock-ms_9e_deeppcb.py'
    )
    with pytest.raises(SystemExit) as stop:
        tool('train.py', plain, '--proposals', path)
    assert 'dataset.type must be sniper_mmdet.ChipDataset' in stop.value.code


def test_train(trained):
    work_dir = trained.parent
    assert (work_dir / 'last_checkpoint').read_text() == str(trained)
    cfg = Config.fromfile(work_dir / SAMPLE_CONFIG.name)
    assert cfg.model.backbone.base_channels == 8
    assert len(logged(work_dir, 'loss')) == 9
    checkpoint = torch.load(trained, weights_only=False)
    assert checkpoint['meta']['dataset_meta']['classes'] == (
        'disc',
        'square',
        'triangle',
        'ring',
    )
    # As a plain detector names them.
    assert 'backbone.conv1.weight' in checkpoint['state_dict']
    assert not any(k.startswith('detector.') for k in checkpoint['state_dict'])


BARE = dict(
    sample_options(**ONE_EPOCH),
    **{
        'val_cfg': None,
        'val_dataloader': None,
        'val_evaluator': None,
        'log_level': 'WARNING',
    },
)


def test_the_train_script_of_anybody_runs_the_config(here):
    """mmengine finds this package by the scope in the config's types."""
    recording_config('config.py', **ONE_EPOCH)
    start(
        sys.executable,
        '-c',
        (
            'from mmengine.config import Config\n'
            'from mmengine.runner import Runner\n'
            "cfg = Config.fromfile('config.py', import_custom_modules=False)\n"
            "cfg.update(work_dir='out', custom_hooks=cfg.custom_hooks[:1])\n"
            "cfg.pop('custom_imports')\n"
            'Runner.from_cfg(cfg).train()'
        ),
        cwd=here,
    )
    assert (here / 'out/epoch_1.pth').exists()


def test_train_takes_the_work_dir_of_the_file_name(tool, here):
    tool('train.py', SAMPLE_CONFIG, **BARE)
    assert (here / f'work_dirs/{NAME}/epoch_1.pth').exists()


def test_train_takes_the_work_dir_of_the_config(tool, here):
    tool('train.py', SAMPLE_CONFIG, work_dir='of_config', **BARE)
    assert (here / 'of_config/epoch_1.pth').exists()
    assert not (here / 'work_dirs').exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason='AMP works with CUDA')
def test_amp_says_that_it_needs_a_gpu(tool):
    with pytest.raises(SystemExit, match='--amp needs a GPU'):
        tool('train.py', SAMPLE_CONFIG, '--amp', **BARE)


def test_auto_scale_lr(tool, here):
    tool(
        'train.py',
        SAMPLE_CONFIG,
        '--auto-scale-lr',
        '--work-dir',
        'out',
        **{**BARE, 'auto_scale_lr.base_batch_size': 8},
    )
    optimizer = torch.load('out/epoch_1.pth', weights_only=False)['optimizer']
    rate = optimizer['param_groups'][0]['initial_lr']
    assert rate == pytest.approx(0.001 * 2 / 8)


def test_auto_scale_lr_needs_a_base(tool):
    with pytest.raises(
        SystemExit,
        match=('--auto-scale-lr needs auto_scale_lr.base_batch_size'),
    ):
        tool('train.py', SAMPLE_CONFIG, '--auto-scale-lr', **BARE)


@pytest.mark.parametrize('checkpoint', [None, 'elsewhere.pth'])
def test_resume(tool, here, trained, checkpoint):
    if checkpoint is None:
        shutil.copytree(trained.parent, 'out')
        for path in Path('out').rglob('vis_data'):
            shutil.rmtree(path)
        Path('out/last_checkpoint').write_text(str(Path('out/epoch_1.pth')))
        args = ['--resume']
    else:
        shutil.copy(trained, checkpoint)
        args = ['--resume', checkpoint]
    tool(
        'train.py',
        SAMPLE_CONFIG,
        '--work-dir',
        'out',
        *args,
        **{**BARE, 'train_cfg.max_epochs': 2},
    )
    assert logged('out', 'step')[1:] == list(range(10, 19))
    meta = torch.load('out/epoch_2.pth', weights_only=False)['meta']
    # Where it was the latest one, a run of the config takes the latest too.
    assert Config.fromfile(Path('out', SAMPLE_CONFIG.name)).load_from == (
        checkpoint
    )
    assert (meta['epoch'], meta['iter']) == (2, 18)


def test_resume_with_nothing_to_resume(tool):
    tool('train.py', SAMPLE_CONFIG, '--work-dir', 'out', '--resume', **BARE)
    assert len(logged('out', 'loss')) == 9


@pytest.mark.parametrize('name', ['train.py', 'test.py'])
def test_unknown_launcher(tool, capsys, name):
    args = [SAMPLE_CONFIG, 'x.pth'][: 1 if name == 'train.py' else 2]
    with pytest.raises(SystemExit) as stop:
        tool(name, *args, '--launcher', 'rocket')
    assert stop.value.code == 2
    assert "invalid choice: 'rocket'" in capsys.readouterr().err


@pytest.mark.parametrize('name', ['train.py', 'test.py'])
def test_missing_config_is_named(tool, name):
    with pytest.raises(SystemExit, match='no/such.py'):
        tool(name, 'no/such.py', *['x.pth'][: name == 'test.py'])


def test_test_in_a_process_of_its_own(trained, here):
    done = start(
        sys.executable,
        TOOLS / 'test.py',
        SAMPLE_CONFIG,
        trained,
        '--work-dir',
        'out',
        '--eval',
        'bbox',
        '--out',
        'found.pkl',
        '--show-dir',
        'painted',
        *cli(sample_options()),
        cwd=here,
    )
    assert 'coco/bbox_mAP_50' in done.stdout
    found = pickle.loads((here / 'found.pkl').read_bytes())
    assert [f['img_id'] for f in found] == [1, 2]
    assert all(0 < len(f['pred_instances']['scores']) <= 200 for f in found)
    pictures = sorted(p.name for p in here.glob('out/*/painted/*'))
    assert pictures == ['val_00000.jpg', 'val_00001.jpg']


@pytest.fixture
def run_test(tool, trained):
    """tools/test.py with some flags, and the metrics that it writes."""

    def run(*args, config=SAMPLE_CONFIG, **options):
        tool(
            'test.py',
            config,
            trained,
            '--work-dir',
            'out',
            *args,
            **{**sample_options(), 'log_level': 'WARNING', **options},
        )
        files = sorted(Path('out').glob('*/*.json'))
        return json.loads(files[-1].read_text()) if files else {}

    return run


def test_eval_defaults_to_the_config(run_test):
    metrics = run_test()
    assert 'coco/bbox_mAP' in metrics and 'coco/AR@100' not in metrics


def test_eval_proposal(run_test):
    metrics = run_test('--eval', 'proposal')
    assert 'coco/AR@100' in metrics and 'coco/bbox_mAP' not in metrics


def test_eval_both(run_test):
    metrics = run_test('--eval', 'proposal', 'bbox')
    assert {'coco/AR@100', 'coco/bbox_mAP'} <= set(metrics)


def test_eval_segm_of_a_box_detector(run_test):
    with pytest.raises(SystemExit, match='the detector has no mask head'):
        run_test('--eval', 'segm')


def test_format_only(run_test, here):
    assert 'coco/bbox_mAP' not in run_test('--format-only')
    found = json.loads((here / 'out/results.bbox.json').read_text())
    assert {f['image_id'] for f in found} == {1, 2}
    assert {f['category_id'] for f in found} <= {1, 2, 3, 4}


def test_cfg_options_reach_the_test(run_test, here):
    run_test(
        '--out',
        'found.pkl',
        **{'model.max_per_img': 3, 'test_dataloader.dataset.indices': 1},
    )
    found = pickle.loads((here / 'found.pkl').read_bytes())
    assert [len(f['pred_instances']['scores']) for f in found] == [3]


@pytest.mark.parametrize(
    'args, sentence',
    [
        (
            ['--out', 'found.json'],
            '--out must be a .pkl file. Received: found.json.',
        ),
        (
            ['--eval', 'bbox', '--format-only'],
            '--format-only evaluates nothing: drop --eval.',
        ),
        (['--eval', 'keypoints'], "invalid choice: 'keypoints'"),
    ],
)
def test_wrong_flags(run_test, capsys, args, sentence):
    with pytest.raises(SystemExit) as stop:
        run_test(*args)
    assert stop.value.code == 2
    assert sentence in capsys.readouterr().err


def test_missing_checkpoint_is_named(tool):
    told = 'test: the checkpoint no/such.pth does not exist'
    with pytest.raises(SystemExit, match=told):
        tool('test.py', SAMPLE_CONFIG, 'no/such.pth', **sample_options())


def test_eval_of_other_metrics():
    evaluator = Config(dict(e=dict(type='mmdet.VOCMetric'))).e
    for name, metric in (('bbox', 'mAP'), ('proposal', 'recall')):
        set_metrics(evaluator, [name])
        assert evaluator.metric == metric
    with pytest.raises(
        ValueError, match='--eval segm: VOCMetric evaluates bbox proposal'
    ):
        set_metrics(evaluator, ['segm'])
    with pytest.raises(ValueError, match='VOCMetric takes one name per'):
        set_metrics(evaluator, ['bbox', 'proposal'])
    evaluator.type = 'OpenImagesMetric'
    with pytest.raises(ValueError, match='does not support OpenImages'):
        set_metrics(evaluator, ['bbox'])


@pytest.mark.parametrize(
    'evaluator', [dict(type='VOCMetric'), [dict(type='CocoMetric')] * 2]
)
def test_format_only_needs_one_coco_metric(evaluator):
    with pytest.raises(ValueError, match='--format-only needs a CocoMetric'):
        set_format_only(Config(dict(e=evaluator)).e, 'out')


def test_pixels_beside_the_coco_metric():
    evaluator = [
        dict(type='CocoMetric'),
        dict(type='sniper_mmdet.PixelsMetric'),
    ]
    evaluator = Config(dict(e=evaluator)).e
    set_metrics(evaluator, ['bbox'])
    set_format_only(evaluator, 'out')
    coco, pixels = evaluator
    assert coco.metric == 'bbox' and coco.format_only
    assert dict(pixels) == dict(type='sniper_mmdet.PixelsMetric')


def test_tta_merges_the_mirror_image(run_test, here, trained):
    run_test('--out', 'plain.pkl')
    metrics = run_test('--tta', '--out', 'tta.pkl')
    assert 'coco/bbox_mAP' in metrics
    plain, tta = (
        pickle.loads((here / name).read_bytes())
        for name in ('plain.pkl', 'tta.pkl')
    )
    for a, b in zip(plain, tta, strict=True):
        assert a['img_id'] == b['img_id'] and a['ori_shape'] == b['ori_shape']
        boxes = b['pred_instances']['bboxes']
        assert len(boxes) > 0
        assert not np.array_equal(a['pred_instances']['bboxes'], boxes)
        height, width = b['ori_shape']
        assert (boxes >= -1e-3).all()
        assert (boxes <= torch.tensor([width, height] * 2) + 1e-3).all()


@MODELS.register_module(force=True)
class SpotDetector(BaseDetector):
    """Finds the one bright spot."""

    def __init__(self, data_preprocessor=None):
        super().__init__(dict(type='DetDataPreprocessor'))

    def predict(self, inputs, samples, rescale=True):
        for img, sample in zip(inputs, samples, strict=True):
            ys, xs = (img[0] > 128).nonzero().T
            box = torch.stack([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
            box = box / torch.tensor(sample.scale_factor * 2)
            sample.pred_instances = InstanceData(
                bboxes=box[None],
                scores=torch.ones(1),
                labels=torch.zeros(1, dtype=torch.long),
            )
        return samples

    loss = extract_feat = _forward = None


def test_tta_finds_objects_where_they_are():
    cfg = Config.fromfile(SAMPLE_CONFIG)
    init_default_scope('mmdet')
    cfg.model = dict(
        type='sniper_mmdet.PyramidDetector',
        detector=dict(type='SpotDetector'),
        scales=[0.5, 1.0],
    )
    set_flip_tta(cfg)
    image = np.zeros((60, 100, 3), np.uint8)
    image[20:30, 10:40] = 255
    cfg.tta_pipeline[0] = dict(type='LoadImageFromNDArray')
    data = Compose(cfg.tta_pipeline)(dict(img=image, img_id=3))
    model = MODELS.build(cfg.model)
    (result,) = model.test_step(
        {key: [[view] for view in views] for key, views in data.items()}
    )
    found = result.pred_instances
    assert found.bboxes.tolist() == [[10, 20, 40, 30]]


def test_tta_keeps_what_the_metric_needs(run_test, here):
    """CocoMetric without a file makes its ground truth from the samples."""
    cfg = Config.fromfile(SAMPLE_CONFIG)
    cfg.test_evaluator.ann_file = None
    pack = cfg.test_dataloader.dataset.pipeline[-1]
    pack.meta_keys = (*pack.meta_keys, 'instances')
    cfg.dump('config.py')
    assert 'coco/bbox_mAP' in run_test('--tta', config='config.py')


def demo(*args, cwd, check=True):
    return start(
        sys.executable, TOOLS / 'image_demo.py', *args, cwd=cwd, check=check
    )


def test_image_demo_on_a_folder(trained, here):
    (here / 'in/sub').mkdir(parents=True)
    image = cv2.imread('data/sample/images/val_00000.jpg')
    cv2.imwrite('in/a.png', image)
    cv2.imwrite('in/sub/b.PNG', image[:50])
    (here / 'in/notes.txt').write_text('no image')
    done = demo(
        'in',
        SAMPLE_CONFIG,
        trained,
        '--out-dir',
        'out',
        '--score-thr',
        '0',
        *cli(sample_options()),
        cwd=here,
    )
    assert '2 images: drawn in' in done.stdout
    found = json.loads((here / 'out/predictions.json').read_text())
    assert [f['file'] for f in found] == ['a.png', 'sub/b.PNG']
    assert (
        len(found[0]['bboxes'])
        == len(found[0]['scores'])
        == len(found[0]['labels'])
        > 0
    )
    classes = SampleDataset.METAINFO['classes']
    named = [classes[label] for label in found[0]['labels']]
    assert found[0]['names'] == named
    assert found[0]['scores'] == sorted(found[0]['scores'], reverse=True)
    painted = cv2.imread('out/vis/a.png')
    assert painted.shape == image.shape and (painted != image).any()
    assert cv2.imread('out/vis/sub/b.PNG').shape[0] == 50


def test_image_demo_on_a_file(tool, trained, here):
    tool(
        'image_demo.py',
        'data/sample/images/val_00001.jpg',
        SAMPLE_CONFIG,
        trained,
        '--out-dir',
        'out',
        **sample_options(),
    )
    (entry,) = json.loads((here / 'out/predictions.json').read_text())
    assert entry['file'] == 'val_00001.jpg' and entry['bboxes']
    assert (here / 'out/vis/val_00001.jpg').exists()


def cut_file(path, share):
    """A jpeg whose transfer broke off."""
    whole = Path('data/sample/images/val_00000.jpg').read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])


@pytest.mark.parametrize(
    'given, sentence',
    [
        ('empty', 'image_demo: no image and no video in folder empty; known'),
        (
            'no/such.jpg',
            'image_demo: no/such.jpg is neither an image nor a folder.',
        ),
        ('broken.jpg', 'image_demo: broken.jpg cannot be read as an image.'),
        ('half.jpg', 'image_demo: half.jpg cannot be read as an image.'),
        ('notes.txt', 'image_demo: notes.txt cannot be read as an image or'),
    ],
)
def test_image_demo_on_wrong_input(tool, trained, here, given, sentence):
    (here / 'empty').mkdir()
    (here / 'notes.txt').write_text('no image')
    cut_file(here / 'broken.jpg', 0.01)
    cut_file(here / 'half.jpg', 0.5)
    with pytest.raises(SystemExit) as stop:
        tool(
            'image_demo.py',
            given,
            SAMPLE_CONFIG,
            trained,
            '--out-dir',
            'out',
            **sample_options(),
        )
    assert str(stop.value).startswith(sentence)
    assert '\n' not in str(stop.value)
    assert not (here / 'out/predictions.json').exists()


@pytest.mark.parametrize('place', [1, 2])
def test_image_demo_without_config_or_checkpoint(tool, trained, here, place):
    args = ['data/sample/images/val_00001.jpg', SAMPLE_CONFIG, trained]
    args[place] = 'no/such.file'
    with pytest.raises(SystemExit) as stop:
        tool('image_demo.py', *args, '--out-dir', 'out')
    assert str(stop.value) == 'image_demo: no/such.file does not exist.'


@pytest.mark.parametrize(
    'name, least', [('dist_train.sh', 1), ('dist_test.sh', 2)]
)
def test_launch_scripts_say_what_they_need(here, name, least):
    done = start('bash', TOOLS / name, *['x'] * least, cwd=here, check=False)
    assert done.returncode == 2
    assert 'usage: ' in done.stderr and 'CONFIG' in done.stderr


def recording_config(path, **options):
    """A config that writes down the chips of two epochs."""
    cfg = Config.fromfile(SAMPLE_CONFIG)
    cfg.merge_from_dict(
        sample_options(
            **{
                'log_level': 'WARNING',
                'train_dataloader.batch_size': 4,
                **options,
            }
        )
    )
    for key in ('val_dataloader', 'val_evaluator', 'val_cfg'):
        cfg[key] = None
    cfg.train_dataloader.dataset.pipeline[
        -1
    ].meta_keys = recorder.RecordChips.META_KEYS
    cfg.custom_imports = dict(imports=['recorder'])
    cfg.custom_hooks.append(dict(type='RecordChips'))
    cfg.dump(path)
    return path


@pytest.fixture
def reference(tool, here):
    """The chips of a run of one process that nothing disturbs."""
    tool(
        'train.py',
        recording_config('config.py'),
        '--work-dir',
        'whole',
        experiment_name='whole',
    )
    return recorder.read('whole')


def test_two_processes_see_together_the_chips_of_one(
    reference, here, monkeypatch
):
    monkeypatch.setenv('PORT', str(free_port()))
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '-1')
    monkeypatch.delenv('LOCAL_RANK')
    start(
        'bash',
        TOOLS / 'dist_train.sh',
        'config.py',
        '2',
        '--work-dir',
        'two',
        '--cfg-options',
        'train_dataloader.batch_size=2',
        cwd=here,
    )
    ranks = [recorder.read('two', rank) for rank in (0, 1)]
    together = [
        (*a[:2], sorted(a[2] + b[2])) for a, b in zip(*ranks, strict=True)
    ]
    assert len(together) == 10
    assert together == [(*s[:2], sorted(s[2])) for s in reference]
    assert not set(ranks[0][0][2]) & set(ranks[1][0][2])
    assert (here / 'two/epoch_2.pth').exists()


def test_killed_and_resumed(reference, tool, here):
    options = {
        'default_hooks.checkpoint.by_epoch': False,
        'default_hooks.checkpoint.interval': 1,
    }
    done = start(
        sys.executable,
        TOOLS / 'train.py',
        'config.py',
        '--work-dir',
        'killed',
        *cli({**options, 'custom_hooks.1.kill_at': 7}),
        cwd=here,
        check=False,
    )
    assert done.returncode == -9, done.stdout + done.stderr
    assert recorder.read('killed') == reference[:7]
    tool(
        'train.py', 'config.py', '--work-dir', 'killed', '--resume', **options
    )
    assert recorder.read('killed') == reference


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason='compares on the CPU')
def test_two_processes_test_as_one(trained, run_test, here, monkeypatch):
    one = run_test('--out', 'one.pkl')
    monkeypatch.setenv('PORT', str(free_port()))
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '-1')
    monkeypatch.delenv('LOCAL_RANK')
    done = start(
        'bash',
        TOOLS / 'dist_test.sh',
        SAMPLE_CONFIG,
        trained,
        '2',
        '--work-dir',
        'two',
        '--out',
        'two.pkl',
        *cli(sample_options()),
        cwd=here,
    )
    assert f'coco/bbox_mAP: {one["coco/bbox_mAP"]:.4f}' in done.stdout
    for a, b in zip(
        pickle.loads(Path('one.pkl').read_bytes()),
        pickle.loads(Path('two.pkl').read_bytes()),
        strict=True,
    ):
        assert a['img_id'] == b['img_id']
        # torchrun gives each process one thread: sums round otherwise.
        for key in ('bboxes', 'scores', 'labels'):
            torch.testing.assert_close(
                a['pred_instances'][key], b['pred_instances'][key]
            )
