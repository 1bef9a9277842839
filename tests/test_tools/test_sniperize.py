"""Configs for chips, written for other configs, and what they train."""

import gc
import json
import math
import random
import time
from pathlib import Path

import mmdet
import pytest
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper
from shrink import shrunk
from tiny import ROOT, with_classes, write_voc

from sniper_mmdet.apis.sniperize import read_plain, sniperize
from sniper_mmdet.apis.sniperize_rules import (
    classes_of_heads,
    leaves,
    without_weights,
)
from sniper_mmdet.registry import DATASETS, MODELS
from sniper_mmdet.utils.config_text import Code, assignment, comment

ZOO = Path(mmdet.__file__).parent / '.mim/configs'
CLASSES = ('disc', 'square', 'triangle')
#: Chips and levels of tiny scenes.
SMALL = {
    'model.data_preprocessor.batch_augments.0.size': (96, 96),
    'model.scales': [0.5, 1.0],
    'model.valid_ranges': [(32, None), (0, 64)],
    'train_dataloader.dataset.scales': [0.5, 1.0],
    'train_dataloader.dataset.valid_ranges': [(40, None), (0, 48)],
    'train_dataloader.dataset.chip_size': 96,
    'train_dataloader.dataset.stride': (10, 12),
}
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


def delta_of(text, **options):
    """The config that a user's text becomes, and its notes."""
    cfg = Config.fromstring(text, '.py')
    cfg.merge_from_dict(options)
    return cfg


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
        tool('misc/sniperize.py', config, '--out', out, *args)
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


ZOO_DELTAS = sorted(
    path
    for path in (ROOT / 'configs/sniper').glob('*.py')
    if "'mmdet::" in path.read_text() and '_1x_' in path.stem
) + [
    ROOT / f'configs/sniper/{name}.py'
    for name in (
        'rtmdet_s_sniper_300e_coco',
        'dino-4scale_r50_sniper_12e_coco',
    )
]


@pytest.mark.parametrize('path', ZOO_DELTAS, ids=lambda path: path.stem)
def test_is_what_was_written_by_hand(path):
    """Configs of this package are the same deltas, by another hand."""
    base = 'mmdet::' + path.read_text().split("'mmdet::")[1].split("'")[0]
    text, _ = sniperize(read_plain(base), base)
    ours, hand = delta_of(text), Config.fromfile(path)
    if 'dino' in path.stem or 'rtmdet' in path.stem:
        assert ours.model.pop('max_per_img') == 300
    if 'mask' in path.stem:
        pad = ours.model.data_preprocessor.batch_augments[0]
        assert pad.pop('pad_mask')
    assert ours.model.to_dict() == hand.model.to_dict()
    for cfg in (ours, hand):
        # By hand the loader is not the user's.
        chips = cfg.train_dataloader.dataset
        cfg.train_dataloader = dict(
            sampler=cfg.train_dataloader.sampler, dataset=chips
        )
        chips.pipeline = [
            {k: v for k, v in step.items() if k in ('type', 'out_of_range')}
            for step in chips.pipeline
            if 'HSV' not in step.type
        ]
        for key in ('backend_args', 'pipeline', '_scope_'):
            chips.dataset.pop(key, None)
    assert ours.train_dataloader.to_dict() == hand.train_dataloader.to_dict()
    assert {h.type for h in ours.custom_hooks} == {
        h.type for h in hand.custom_hooks
    }


@pytest.mark.parametrize(
    'name', ['retinanet_r50_fpn', 'faster-rcnn_r50-caffe_c4']
)
def test_focus_head_is_what_was_written_by_hand(name):
    hand = Config.fromfile(
        ROOT / f'configs/autofocus/{name}_autofocus_1x_coco.py'
    )
    plain = (ROOT / f'configs/sniper/{name}_sniper_1x_coco.py').read_text()
    base = str(ZOO / plain.split("'mmdet::")[1].split("'")[0])
    ours = delta_of(sniperize(read_plain(base), base, autofocus=True)[0])
    for key in ('type', 'focus_head', 'features', 'valid_ranges'):
        assert ours.model.get(key) == hand.model.get(key)
    assert ours.val_evaluator[1].type == 'sniper_mmdet.PixelsMetric'


PLAIN = """
data = dict(
    type='CocoDataset',
    metainfo=dict(classes=('cat', )),
    data_root='data/mine/',
    ann_file='a.json',
    filter_cfg=dict(filter_empty_gt=True, min_size=8),
    pipeline=[
        dict(type='LoadImageFromFile', to_float32=True, backend_args=None),
        dict(type='LoadAnnotations', with_bbox=True)])
train_dataloader = dict(
    batch_size=3,
    num_workers=0,
    pin_memory=True,
    sampler=dict(type='ClassAwareSampler'),
    dataset=dict(
        type='MultiImageMixDataset',
        dataset=dict(
            type='ConcatDataset',
            datasets=[
                dict(type='RepeatDataset', times=2, dataset=data),
                dict(
                    type='ClassBalancedDataset',
                    oversample_thr=0.1,
                    dataset=data)]),
        pipeline=[
            dict(type='Mosaic', img_scale=(64, 64)),
            dict(
                type='RandomChoice',
                transforms=[[dict(type='Resize')], [dict(type='RandomCrop')]]),
            dict(
                type='RandomApply',
                transforms=[dict(type='PhotoMetricDistortion')]),
            dict(type='MyFog'),
            dict(type='RandomFlip', prob=0.3, direction=['vertical']),
            dict(type='PackDetInputs', meta_keys=('img_id', 'mine'))]))
test_pipeline = [
    dict(type='LoadImageFromFile', to_float32=True),
    dict(type='MyFog'),
    dict(type='Resize', scale=(99, 99), keep_ratio=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'scale_factor', 'mine'))]
val_dataloader = dict(
    batch_size=1,
    dataset=dict(
        type='ConcatDataset',
        datasets=[dict(data, pipeline=test_pipeline) for _ in range(2)]))
test_dataloader = dict(
    batch_size=1, dataset=dict(data, pipeline=test_pipeline))
val_evaluator = [dict(type='CocoMetric', ann_file='a.json')]
test_evaluator = val_evaluator
train_cfg = dict(type='IterBasedTrainLoop', max_iters=900, val_interval=90)
custom_hooks = [
    dict(type='YOLOXModeSwitchHook', num_last_epochs=15),
    dict(type='EMAHook')]
tta_model = dict(type='DetTTAModel')
data_preprocessor = dict(
    type='DetDataPreprocessor',
    pad_size_divisor=64,
    batch_augments=[dict(type='BatchSyncRandomResize')])
model = dict(
    type='RetinaNet',
    backbone=dict(type='ResNet', depth=18, norm_cfg=dict(type='SyncBN')),
    neck=dict(
        type='FPN',
        in_channels=[64, 128, 256, 512],
        out_channels=64,
        start_level=3,
        add_extra_convs='on_input',
        num_outs=2),
    bbox_head=dict(
        type='RetinaHead',
        num_classes=80,
        in_channels=64,
        anchor_generator=dict(
            type='AnchorGenerator',
            octave_base_scale=4,
            scales_per_octave=3,
            ratios=[1.0],
            strides=[32, 64])),
    train_cfg=dict(
        assigner=dict(
            type='MaxIoUAssigner',
            pos_iou_thr=0.5,
            neg_iou_thr=(0.1, 0.4))),
    test_cfg=dict(
        score_thr=0.0,
        nms=dict(type='soft_nms', iou_threshold=0.5, min_score=0.1),
        max_per_img=1000))
"""


@pytest.fixture
def plain(tmp_path):
    """Rewrite PLAIN; returns the config, its text and its notes, joined."""

    def run(*changes, autofocus=False):
        text = PLAIN
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / 'plain.py'
        path.write_text(text)
        text, notes = sniperize(read_plain(str(path)), str(path), autofocus)
        return delta_of(text), text, ' '.join(notes)

    return run


def test_data_are_kept_and_wrappers_are_not(plain):
    cfg, text, notes = plain()
    loader = cfg.train_dataloader
    assert (loader.batch_size, loader.pin_memory) == (3, True)
    assert loader.batch_sampler is None
    assert loader.sampler == dict(type='sniper_mmdet.ChipSampler')
    first, second = loader.dataset.dataset.datasets
    assert (first.type, first.metainfo.classes) == ('CocoDataset', ('cat',))
    assert first.filter_cfg == dict(filter_empty_gt=False, min_size=8)
    assert (first.pipeline, second.dataset.pipeline) == ([], [])
    assert second.type == 'ClassBalancedDataset'
    for told in ('RepeatDataset(times=2)', 'ClassAwareSampler is taken out'):
        assert told in notes


def test_transforms_that_fit_a_chip_are_kept(plain):
    cfg, _, notes = plain()
    pipeline = cfg.train_dataloader.dataset.pipeline
    assert [step.type for step in pipeline] == [
        'LoadImageFromFile',
        'LoadAnnotations',
        'sniper_mmdet.CutChip',
        'RandomApply',
        'RandomFlip',
        'PackDetInputs',
    ]
    assert pipeline[0] == dict(type='LoadImageFromFile', backend_args=None)
    assert pipeline[4].direction == ['vertical']
    assert pipeline[5].meta_keys == ('img_id', 'mine')
    assert 'training pipeline: Mosaic, RandomChoice;' in notes
    assert 'what becomes of boxes and sizes there: MyFog;' in notes


def test_images_are_tested_as_they_are(plain):
    cfg, _, notes = plain()
    wanted = [
        dict(type='LoadImageFromFile'),
        dict(type='PackDetInputs', meta_keys=('img_id', 'mine')),
    ]
    parts = cfg.val_dataloader.dataset.datasets
    assert [part.pipeline for part in parts] == [wanted, wanted]
    assert cfg.test_dataloader.dataset.pipeline == wanted
    assert parts[0].ann_file == 'a.json'
    assert 'Taken out of the val pipeline: MyFog' in notes


def test_model_has_what_chips_and_levels_ask_for(plain):
    cfg, _, _ = plain()
    model = cfg.model
    assert cfg.data_preprocessor == dict(
        type='DetDataPreprocessor',
        pad_size_divisor=64,
        batch_augments=[dict(type='BatchFixedSizePad', size=(512, 512))],
    )
    assert model.train_cfg.assigner.ignore_iou_thr == 0.4
    # soft_nms has arguments that nms has not; a user's 1000 stay 1000.
    assert model.test_cfg == dict(
        score_thr=0.0,
        nms=dict(type='nms', iou_threshold=0.7),
        max_per_img=1000,
    )
    assert model.max_per_img == 1000


def test_notes_say_what_was_not_decided(plain):
    cfg, text, notes = plain()
    for told in (
        'suggest_settings.py proposes',
        'max_iters=900 and the learning rate are kept',
        'an iteration is 3 chips of 512x512 px',
        'Batch norm of backbone is trained',
        'num_classes is 80, and the classes of the data are 1',
        'tta_model',
        'BatchSyncRandomResize',
        'no L1 loss',
    ):
        assert told in notes
    head = ' '.join(text.split('_base_ =')[0].replace('#', ' ').split())
    assert notes in head.replace(' - ', ' ')
    assert [hook.type for hook in cfg.custom_hooks] == [
        'sniper_mmdet.ChipMiningHook',
        'EMAHook',
    ]
    assert all(
        len(line) < 80 for line in text.splitlines() if '_base_ =' not in line
    )


def test_focus_head_without_a_map_of_stride_16(plain):
    cfg, _, notes = plain(autofocus=True)
    assert cfg.model.focus_head == dict(
        type='sniper_mmdet.FocusHead',
        in_channels=64,
        in_indices=(0,),
        stride=32,
    )
    assert 'No map of the neck has stride 16' in notes
    assert 'stride 32 (there are: [32, 64])' in notes
    assert [e.type for e in cfg.val_evaluator] == [
        'CocoMetric',
        'sniper_mmdet.PixelsMetric',
    ]


@pytest.mark.parametrize(
    ('assigner', 'dropped'),
    [
        ("type='ATSSAssigner', topk=9", False),
        ("type='HungarianAssigner'", True),
        ("type='MyAssigner'", True),
    ],
)
def test_boxes_are_ignored_where_assigners_can(plain, assigner, dropped):
    cfg, _, notes = plain(
        (
            """            type='MaxIoUAssigner',
            pos_iou_thr=0.5,
            neg_iou_thr=(0.1, 0.4))""",
            f'            {assigner})',
        )
    )
    cut = cfg.train_dataloader.dataset.pipeline[2]
    assert cut.get('out_of_range') == ('drop' if dropped else None)
    assert ('cannot ignore a box' in notes) == dropped
    thr = cfg.model.train_cfg.assigner.get('ignore_iof_thr')
    assert thr == (None if dropped else 0.5)


@pytest.mark.parametrize(
    ('change', 'why'),
    [
        (("type='RetinaNet'", "type='Retina'"), 'must name what is regist'),
        (('model = ', 'other = '), 'has no model'),
        (('train_dataloader = ', 'loader = '), 'no train_dataloader'),
        (("type='RetinaNet'", "type='GLIP'"), 'what a text names'),
        (("type='RetinaNet'", "type='SOLOv2'"), 'masks come without boxes'),
        (("type='RetinaNet'", "type='LAD'"), 'its teacher is none of its'),
        (("type='RetinaNet'", "type='PanopticFPN'"), 'panoptic segments'),
        (("type='RetinaNet'", "type='SoftTeacher'"), 'unlabelled'),
        (("type='RetinaNet'", "type='QDTrack'"), 'no detector of single'),
        (
            ("type='RetinaNet'", "type='sniper_mmdet.AutoFocus'"),
            'has a AutoFocus already',
        ),
        (("type='CocoDataset'", "type='YouTubeVISDataset'"), 'holds videos'),
        (("type='CocoDataset'", "type='CocaDataset'"), 'dataset.type must'),
        (
            ('with_bbox=True', 'with_bbox=True, with_seg=True'),
            'loads segmentation maps (with_seg)',
        ),
        (
            ("dict(type='PackDetInputs', meta_keys=('img_id', 'mine'))", ''),
            'the train pipeline must load',
        ),
        (
            (
                "    type='DetDataPreprocessor'",
                "    type='ImgDataPreprocessor'",
            ),
            'must be a DetDataPreprocessor',
        ),
    ],
)
def test_refused_with_the_reason(plain, change, why):
    with pytest.raises(ValueError) as error:
        plain(change)
    assert why in str(error.value) and '\n' not in str(error.value)


def test_refused_configs(tmp_path):
    lazy = tmp_path / 'lazy.py'
    lazy.write_text(
        'from mmengine.config import read_base\n'
        'with read_base():\n    from .other import *\n'
    )
    broken = tmp_path / 'broken.py'
    broken.write_text("_base_ = './gone.py'\n")
    typo = tmp_path / 'typo.py'
    typo.write_text('model = dict(\n')
    for path, why in (
        (lazy, 'pure Python'),
        (typo, 'cannot be read: SyntaxError'),
        (broken, 'cannot be read'),
        (tmp_path / 'none.py', 'there is no config'),
        ('mmdet::retinanet/none.py', 'cannot be read'),
    ):
        with pytest.raises(ValueError, match=why):
            read_plain(str(path))


def test_focus_needs_feature_maps_of_each_image(plain):
    """A detector that cannot be built here says why."""
    with pytest.raises(ValueError, match='cannot be run here: .*ResNot'):
        plain(("type='ResNet'", "type='ResNot'"), autofocus=True)
    base = str(ZOO / 'tridentnet/tridentnet_r50-caffe_1x_coco.py')
    with pytest.raises(ValueError, match='one feature map a level and image'):
        sniperize(read_plain(base), base, autofocus=True)


def test_command_line(tool, here, capsys):
    (here / 'sub').mkdir()
    (here / 'plain.py').write_text(PLAIN)
    tool('misc/sniperize.py', 'plain.py')
    told = capsys.readouterr()
    assert "_base_ = 'plain.py'" in told.out and '- scales' in told.err
    assert (
        Config.fromstring(
            told.out.replace("'plain", f"'{here}/plain"), '.py'
        ).model.detector
        == 'RetinaNet'
    )
    tool('misc/sniperize.py', 'plain.py', '--out', 'sub/mine.py')
    told = capsys.readouterr()
    assert told.out == '' and '- scales' in told.err
    assert "_base_ = '../plain.py'" in Path('sub/mine.py').read_text()
    assert Config.fromfile('sub/mine.py').model.detector == 'RetinaNet'
    assert not list(here.rglob('.part-*'))
    for args in (
        ('plain.py', '--out', 'sub/mine.py'),
        ('plain.py', '--out', 'plain.py', '--force'),
        ('plain.py', '--out', 'gone/mine.py'),
        ('plain.py', '--out', 'mine.txt'),
        ('gone.py',),
    ):
        with pytest.raises(SystemExit) as error:
            tool('misc/sniperize.py', *args)
        assert error.value.code
    tool('misc/sniperize.py', 'plain.py', '--out', 'sub/mine.py', '--force')
    name = 'mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py'
    tool('misc/sniperize.py', name, '--out', 'fcos.py')
    assert f"_base_ = '{name}'" in Path('fcos.py').read_text()
    assert Config.fromfile('fcos.py').model.detector == 'FCOS'


def test_text_of_a_config():
    value = dict(
        a=[1, (2,), {'b c': None}], long=['x' * 30] * 3, ref=Code('_base_.a')
    )
    text = assignment('name', value)
    assert max(map(len, text.splitlines())) < 80
    scope = {'_base_': type('Base', (), dict(a=5))}
    exec(text, scope)
    assert scope['name'] == dict(value, ref=5)
    assert assignment('a', dict(b=1)) == 'a = dict(b=1)'
    assert comment('word ' * 30).count('\n# ') == 1


def one_step(text, scenes, folder):
    """Train a step on two chips with what is written for a config.

    Returns:
        tuple: What it says of it, and a function that tests an image.
    """
    cfg = delta_of(text)
    num = max(classes_of_heads(cfg.model), default=80)
    classes = [f'class {i}' for i in range(num)]
    coco = with_classes(scenes / 'train.json', classes)
    (folder / 'train.json').write_text(json.dumps(coco))
    chips = cfg.train_dataloader.dataset
    chips.dataset = dict(
        type='CocoDataset',
        ann_file=str(folder / 'train.json'),
        data_prefix=dict(img=str(scenes / 'images')),
        metainfo=dict(classes=classes),
    )
    chips.update(
        scales=[1.2, 1.6],
        valid_ranges=[(30, None), (0, 50)],
        chip_size=320,
        stride=40,
    )
    cfg.model.data_preprocessor.batch_augments[0].size = (320, 320)
    cfg.model.scales = chips.scales
    cfg.model.valid_ranges = chips.valid_ranges
    torch.manual_seed(0)
    model = MODELS.build(without_weights(cfg.model))
    model.init_weights()
    for weight in model.parameters():
        # TridentNet's are what the memory held, without a checkpoint.
        if not weight.data.abs().max() < 1e3:
            weight.data.normal_(std=0.01)
    model.train()
    chips = DATASETS.build(chips)
    table = chips.mine(0, 0)
    batch = pseudo_collate([chips[table[0]], chips[table[-1]]])
    trained = [p for p in model.parameters() if p.requires_grad]
    # What a loop tells those that ask.
    for name in ('epoch', 'iter'):
        MessageHub.get_current_instance().update_info(name, 0)
    optim = OptimWrapper(torch.optim.SGD(trained, 1e-4))
    loss = model.train_step(batch, optim)['loss'].item()
    assert math.isfinite(loss)

    def test():
        model.eval()
        data, _ = next(leaves(cfg.val_dataloader.dataset, ''))
        image = Compose(data.pipeline)(chips.dataset.get_data_info(0))
        (found,) = model.test_step(pseudo_collate([image]))
        boxes = found.pred_instances
        if 'masks' in boxes:
            assert boxes.masks.shape[1:] == found.ori_shape
        return f'{len(boxes)} boxes of an image'

    return f'trained, loss {loss:.2f}', test


@pytest.mark.slow
def test_ten_configs_of_the_zoo(tiny_scenes, tmp_path, capsys):
    """Each trains a step, or it is told why not."""
    zoo = [p for p in ZOO.rglob('*.py') if '_base_' not in p.parts]
    random.seed(0)
    rows, wrong = [], []
    for path in random.sample(sorted(zoo), 10):
        start, text, test = time.perf_counter(), None, None
        try:
            text, _ = sniperize(read_plain(str(path)), str(path))
        except ValueError as error:
            row = f'refused: {error}'
        try:
            if text is not None:
                row, test = one_step(text, tiny_scenes, tmp_path)
        except ModuleNotFoundError as error:
            row = f'needs a package that is not here: {error}'
        except Exception as error:
            row = f'{type(error).__name__}: {error}'
            # mmcv has some operators for GPUs only.
            if 'implementation for device cpu' not in row:
                wrong.append(path)
        if test is not None:
            # Without weights some detectors find what they cannot handle.
            try:
                row = f'{row}; {test()}'
            except Exception as error:
                row = f'{row}; an image: {type(error).__name__}: {error}'
        seconds = time.perf_counter() - start
        rows.append(f'{path.relative_to(ZOO)}: {row} ({seconds:.0f} s)')
        test = None
        gc.collect()
    with capsys.disabled():
        print('', *rows, sep='\n')
    assert not wrong, rows
