"""tools/sniperize.py, and what its configs train."""

import json
import math
import os
from pathlib import Path

import pytest
from mmengine.config import Config
from shrink import shrunk
from tiny import SMALL, with_classes, write_voc
from zoo import PLAIN, ZOO

CLASSES = ('disc', 'square', 'triangle')
pytestmark = pytest.mark.usefixtures('fast_configs')


def write_user(path, base, data=None, **options):
    """A user's config of a tiny detector of mmdet's zoo, on data of theirs."""
    cfg = Config.fromfile(ZOO / base)
    found = {k: v for k, v in shrunk(cfg).items() if 'num_workers' not in k}
    for key in list(found):
        if key.startswith('test_dataloader'):
            del found[key]
    options = {**found, **options}
    if data:
        options['train_dataloader.num_workers'] = 0
        options['val_dataloader.num_workers'] = 0
        for loader in ('train', 'val'):
            dataset = cfg[f'{loader}_dataloader'].dataset
            key = f'{loader}_dataloader.dataset'
            while 'dataset' in dataset:
                dataset, key = dataset.dataset, f'{key}.dataset'
            options.update(
                {
                    f'{key}.data_root': f'{data}/',
                    f'{key}.ann_file': f'{loader}.json',
                    f'{key}.data_prefix.img': 'images/',
                    f'{key}.metainfo': dict(classes=CLASSES),
                }
            )
        options['val_evaluator.ann_file'] = f'{data}/val.json'
        options['val_evaluator.metric'] = 'bbox'
    cfg.merge_from_dict(options)
    if cfg.optim_wrapper.type == 'AmpOptimWrapper':  # for GPUs only
        cfg.optim_wrapper = dict(
            type='OptimWrapper', optimizer=cfg.optim_wrapper.optimizer
        )
    if data:
        cfg.test_dataloader = cfg.val_dataloader
        cfg.test_evaluator = cfg.val_evaluator
    cfg.dump(path)
    return path


@pytest.fixture(scope='module')
def data(tiny_scenes, tmp_path_factory):
    """Scenes of three classes, with masks, in COCO's and in VOC's format."""
    folder = tmp_path_factory.mktemp('data')
    (folder / 'images').symlink_to(tiny_scenes / 'images')
    for name in ('train', 'val'):
        coco = with_classes(tiny_scenes / f'{name}.json', CLASSES)
        (folder / f'{name}.json').write_text(json.dumps(coco))
    for year in ('VOC2007', 'VOC2012'):
        splits = dict(trainval='train', test='val')
        write_voc(tiny_scenes, folder / year, splits, CLASSES)
    return folder


@pytest.fixture
def written(tool, capsys):
    """Run the tool; returns the config that it writes, and what it tells."""

    def run(config, *args, out='mine.py'):
        tool('sniperize.py', config, '--out', out, *args)
        return Config.fromfile(out), capsys.readouterr().err

    return run


def train(tool, here, config, **options):
    """One short epoch and its validation, as train.py does them."""
    tool(
        'train.py',
        config,
        '--work-dir',
        here / 'work',
        **{
            **SMALL,
            'train_dataloader.num_batch_per_epoch': 2,
            'train_cfg.max_epochs': 1,
            'train_cfg.val_interval': 1,
            'default_hooks.logger.interval': 1,
            'log_level': 'WARNING',
            **options,
        },
    )
    lines = [
        json.loads(line)
        for file in (here / 'work').rglob('scalars.json')
        for line in file.read_text().splitlines()
    ]
    losses = [line['loss'] for line in lines if 'loss' in line]
    assert len(losses) == 2 and all(map(math.isfinite, losses))
    return lines


@pytest.mark.parametrize(
    ('base', 'args', 'heads'),
    [
        ('retinanet/retinanet_r50_fpn_1x_coco.py', [], ['bbox_head']),
        (
            'cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py',
            ['--autofocus'],
            [f'roi_head.bbox_head.{i}' for i in range(3)],
        ),
        (
            'mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
            [],
            ['roi_head.bbox_head', 'roi_head.mask_head'],
        ),
        ('dino/dino-4scale_r50_8xb2-12e_coco.py', [], ['bbox_head']),
        (
            'atss/atss_r18_fpn_8xb8-amp-lsj-200e_coco.py',
            ['--autofocus'],
            ['bbox_head'],
        ),
        ('rtmdet/rtmdet_s_8xb32-300e_coco.py', [], ['bbox_head']),
    ],
    ids=['retinanet', 'cascade', 'masks', 'dino', 'lsj', 'rtmdet'],
)
def test_what_is_written_trains_and_tests(
    base, args, heads, data, tool, here, written
):
    options = {f'model.{head}.num_classes': 3 for head in heads}
    if 'atss' in base:
        # Groups of one channel cannot be normed in cells of their own.
        options['model.bbox_head.feat_channels'] = 64
    write_user('user.py', base, data, **options)
    cfg, _ = written('user.py', *args)
    assert len(Path('mine.py').read_text().splitlines()) < 120
    assert cfg.train_dataloader.dataset.dataset.metainfo.classes == CLASSES
    if args:
        # No FocusPixel may be left after two iterations, and no detection.
        with open('mine.py', 'a') as file:
            file.write("model['focus'] = [dict(threshold=0.0)]\n")
    lines = train(tool, here, 'mine.py')
    assert any('coco/bbox_mAP' in line for line in lines)
    found = [key for line in lines for key in line if 'pixels/' in key]
    assert bool(found) == bool(args)


def test_voc_is_taken_out_of_repeat_and_concat(data, tool, here, written):
    base = 'pascal_voc/faster-rcnn_r50_fpn_1x_voc0712.py'
    cfg = Config.fromfile(ZOO / base)
    parts = cfg.train_dataloader.dataset.dataset.datasets
    for part in parts:
        part.update(data_root=f'{data}/', metainfo=dict(classes=CLASSES))
        part.ann_file = part.ann_file.replace('VOC2012', 'VOC2007')
    write_user(
        'user.py',
        base,
        **{
            'model.roi_head.bbox_head.num_classes': 3,
            'train_dataloader.dataset.dataset.datasets': parts,
            'train_dataloader.num_workers': 0,
            'val_dataloader.num_workers': 0,
            'val_dataloader.dataset.data_root': f'{data}/',
            'val_dataloader.dataset.metainfo': dict(classes=CLASSES),
        },
    )
    cfg, told = written('user.py')
    inner = cfg.train_dataloader.dataset.dataset
    assert inner.type == 'ConcatDataset' and len(inner.datasets) == 2
    assert not any(part.pipeline for part in inner.datasets)
    assert not any(p.filter_cfg.filter_empty_gt for p in inner.datasets)
    assert 'RepeatDataset(times=3) is taken out' in told
    lines = train(tool, here, 'mine.py')
    assert any('pascal_voc/mAP' in line for line in lines)


def test_command_line(tool, here, capsys):
    (here / 'sub').mkdir()
    (here / 'plain.py').write_text(PLAIN)
    tool('sniperize.py', 'plain.py')
    told = capsys.readouterr()
    assert "_base_ = 'plain.py'" in told.out and '- scales' in told.err
    assert (
        Config.fromstring(
            told.out.replace("'plain", f"'{here}/plain"), '.py'
        ).model.detector
        == 'RetinaNet'
    )
    tool('sniperize.py', 'plain.py', '--out', 'sub/mine.py')
    told = capsys.readouterr()
    assert told.out == '' and '- scales' in told.err
    assert "_base_ = '../plain.py'" in Path('sub/mine.py').read_text()
    assert Config.fromfile('sub/mine.py').model.detector == 'RetinaNet'
    assert [p.name for p in Path('sub').iterdir()] == ['mine.py']
    for args in (
        ('plain.py', '--out', 'sub/mine.py'),
        ('plain.py', '--out', 'plain.py', '--force'),
        ('plain.py', '--out', 'gone/mine.py'),
        ('plain.py', '--out', 'mine.txt'),
        ('gone.py',),
    ):
        with pytest.raises(SystemExit) as error:
            tool('sniperize.py', *args)
        assert error.value.code
    tool('sniperize.py', 'plain.py', '--out', 'sub/mine.py', '--force')
    name = 'mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py'
    tool('sniperize.py', name, '--out', 'fcos.py')
    assert f"_base_ = '{name}'" in Path('fcos.py').read_text()
    assert Config.fromfile('fcos.py').model.detector == 'FCOS'


def test_config_is_not_written_over_by_another_name(tool, here, capsys):
    text = PLAIN
    (here / 'sub').mkdir()
    (here / 'plain.py').write_text(text)
    (here / 'link.py').symlink_to('plain.py')
    (here / 'elsewhere').symlink_to('.')
    for out in ('sub/../plain.py', 'link.py', 'elsewhere/plain.py'):
        with pytest.raises(SystemExit):
            tool('sniperize.py', 'plain.py', '--out', out, '--force')
        assert 'must not be CONFIG' in capsys.readouterr().err
    assert (here / 'plain.py').read_text() == text
    assert (here / 'link.py').is_symlink()


def test_base_seen_from_a_linked_folder(tool, here):
    (here / 'a/deep/real').mkdir(parents=True)
    (here / 'b').mkdir()
    (here / 'plain.py').write_text(PLAIN)
    (here / 'b/link').symlink_to(here / 'a/deep/real')
    tool('sniperize.py', 'plain.py', '--out', 'b/link/mine.py')
    for path in ('b/link/mine.py', 'a/deep/real/mine.py'):
        assert Config.fromfile(path).model.detector == 'RetinaNet'
    os.rename('plain.py', 'a/deep/real/plain.py')
    tool('sniperize.py', 'b/link/plain.py', '--out', 'b/of_link.py')
    assert Config.fromfile('b/of_link.py').model.detector == 'RetinaNet'


def test_old_path_runs_the_tool(tool, here, capsys):
    (here / 'plain.py').write_text(PLAIN)
    tool('sniperize.py', 'plain.py')
    new = capsys.readouterr()
    tool('misc/sniperize.py', 'plain.py')
    old = capsys.readouterr()
    assert old.out == new.out
    told, rest = old.err.split('\n', 1)
    assert 'has moved to tools/sniperize.py' in told and rest == new.err
