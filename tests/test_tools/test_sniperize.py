"""Configs for chips, written for other configs, and what they train."""

import ast
import gc
import inspect
import json
import math
import os
import random
import textwrap
import time
from pathlib import Path

import mmdet
import pytest
import torch
from mmcv.transforms import Compose
from mmdet.models import dense_heads
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.structures import InstanceData
from shrink import shrunk
from tiny import ROOT, SMALL, with_classes, write_voc

from sniper_mmdet.registry import DATASETS, MODELS, TASK_UTILS
from sniper_mmdet.sniperize.config import read_plain, sniperize
from sniper_mmdet.sniperize.detector import (
    RANGE_AWARE,
    classes_of_heads,
    divisor,
    level_test_cfg,
    range_aware,
    without_ignoring,
)
from sniper_mmdet.sniperize.probe import feature_maps, without_weights
from sniper_mmdet.sniperize.rules import leaves
from sniper_mmdet.utils.config_text import Code, assignment, comment

ZOO = Path(mmdet.__file__).parent / '.mim/configs'
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
    # By hand it is the 200 of PyramidDetector.
    many = 'dino' in path.stem or 'rtmdet' in path.stem
    assert ours.model.pop('max_per_img') == (300 if many else 100)
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
        ]
        # By hand the data set says it, to whatever pipeline.
        if 'out_of_range' in chips:
            told = chips.pop('out_of_range')
            chips.pipeline[2].out_of_range = told
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
    assert 'training pipeline: Mosaic, RandomChoice, MyFog;' in notes


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
    ('head', 'assigner', 'change'),
    [
        (
            'ATSSHead',
            "type='ATSSAssigner', topk=9",
            ('sniper_mmdet.RangeAwareATSSAssigner', 0.3, None),
        ),
        (
            'RetinaHead',
            "type='MaxIoUAssigner', pos_iou_thr=0.1, neg_iou_thr=0.1, "
            'ignore_iof_thr=0.5',
            ('sniper_mmdet.RangeAwareAssigner', 0.3, -1),
        ),
        (
            'RetinaHead',
            "type='sniper_mmdet.RangeAwareAssigner', pos_iou_thr=0.5, "
            'neg_iou_thr=0.4',
            ('sniper_mmdet.RangeAwareAssigner', None, None),
        ),
        ('RetinaHead', "type='PointAssigner'", None),
        (
            'RetinaHead',
            "type='CenterRegionAssigner', pos_scale=0.2, neg_scale=0.2",
            None,
        ),
        (
            'FreeAnchorRetinaHead',
            "type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4",
            None,
        ),
    ],
)
def test_boxes_are_ignored_where_it_is_told(plain, head, assigner, change):
    cfg, _, notes = plain(
        (
            """            type='MaxIoUAssigner',
            pos_iou_thr=0.5,
            neg_iou_thr=(0.1, 0.4))""",
            f'            {assigner})',
        ),
        ("type='RetinaHead'", f"type='{head}'"),
        *(
            [
                ('scales_per_octave=3', 'scales_per_octave=1'),
                (
                    'strides=[32, 64]))',
                    'strides=[32, 64]), loss_centerness=dict('
                    "type='CrossEntropyLoss', use_sigmoid=True))",
                ),
            ]
            if head == 'ATSSHead'
            else []
        ),
    )
    cut = cfg.train_dataloader.dataset.pipeline[2]
    assert cut.get('out_of_range') == (None if change else 'drop')
    assert ('cannot ignore a box' in notes) == (not change)
    if change:
        found = cfg.model.train_cfg.assigner
        keys = ('type', 'ignore_iou_thr', 'ignore_iof_thr')
        assert tuple(map(found.get, keys)) == change
        off = 'ignore_iof_thr=0.5 of MaxIoUAssigner is off' in notes
        assert off == (change[2] == -1)


@pytest.mark.parametrize(
    ('base', 'cannot'),
    [
        ('vfnet/vfnet_r50_fpn_1x_coco.py', ['VFNetHead']),
        ('ddod/ddod_r50_fpn_1x_coco.py', []),
        ('gfl/gfl_r50_fpn_1x_coco.py', []),
        ('paa/paa_r50_fpn_1x_coco.py', []),
        ('yolact/yolact_r50_1xb8-55e_coco.py', []),
        ('htc/htc_r50_fpn_1x_coco.py', []),
        ('tood/tood_r50_fpn_1x_coco.py', ['TaskAlignedAssigner']),
        ('fsaf/fsaf_r50_fpn_1x_coco.py', ['CenterRegionAssigner']),
        (
            'guided_anchoring/ga-retinanet_r50-caffe_fpn_1x_coco.py',
            ['ApproxMaxIoUAssigner'],
        ),
        (
            'crowddet/crowddet-rcnn_r50_fpn_8xb2-30e_crowdhuman.py',
            ['MultiInstanceAssigner'],
        ),
        ('fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py', ['FCOSHead']),
        ('foveabox/fovea_r50_fpn_4xb4-1x_coco.py', ['FoveaHead']),
        ('yolox/yolox_s_8xb8-300e_coco.py', ['SimOTAAssigner', 'YOLOXHead']),
        (
            'detr/detr_r50_8xb2-150e_coco.py',
            ['DETRHead', 'HungarianAssigner'],
        ),
    ],
)
def test_which_detectors_cannot_ignore(base, cannot):
    model = read_plain(str(ZOO / base)).model
    assert without_ignoring(model) == cannot
    if 'fcos' in base:
        # Some configs still have one; the head does not read it.
        model.train_cfg = dict(assigner=dict(type='MaxIoUAssigner'))
        assert without_ignoring(model) == ['FCOSHead']


def test_heads_that_tell_what_to_ignore_are_known():
    """Whether mmdet's heads use what they are told, by their code."""

    def uses(head):
        code = textwrap.dedent(inspect.getsource(head.loss_by_feat))
        return any(
            isinstance(node, ast.Name)
            and node.id == 'batch_gt_instances_ignore'
            for node in ast.walk(ast.parse(code))
        )

    wrong = []
    for name in dense_heads.__all__:
        head = getattr(dense_heads, name)
        found = MODELS.get(f'mmdet.{name}')
        # One gets its targets from a teacher, and is refused; one learns from
        # what it tells to ignore.
        known = name in ('LADHead', 'VFNetHead')
        if known or not found or not hasattr(head, 'loss_by_feat'):
            continue
        told = not without_ignoring(
            dict(type='RetinaNet', bbox_head=dict(type=name))
        )
        # Of those that would ignore, some have assigners that do not.
        if told and not uses(head):
            wrong.append(name)
        if issubclass(head, dense_heads.AnchorHead) and uses(head) != told:
            wrong.append(name)
    assert not wrong


def _assign(kind, valid, ignored):
    """Anchors of a grid and what of them an assigner says."""
    grid = TASK_UTILS.build(
        dict(
            type='AnchorGenerator',
            strides=[8, 16, 32, 64],
            ratios=[1.0],
            octave_base_scale=6,
            scales_per_octave=1,
        )
    )
    levels = grid.grid_priors(
        [(64, 64), (32, 32), (16, 16), (8, 8)], device='cpu'
    )
    settings = dict(
        MaxIoUAssigner=dict(pos_iou_thr=0.5, neg_iou_thr=0.4),
        ATSSAssigner=dict(topk=9),
    )[kind]
    cfg = dict(type=kind, ignore_iof_thr=0.5, **settings)
    cfg.update(range_aware(cfg))
    args = [InstanceData(priors=torch.cat(levels))]
    if kind == 'ATSSAssigner':
        args.append([len(level) for level in levels])
    result = TASK_UTILS.build(cfg).assign(
        *args,
        InstanceData(
            bboxes=torch.tensor(valid).reshape(-1, 4).float(),
            labels=torch.zeros(len(valid), dtype=torch.long),
        ),
        InstanceData(bboxes=torch.tensor(ignored).reshape(-1, 4).float()),
    )
    return args[0].priors, result.gt_inds


@pytest.mark.parametrize('kind', RANGE_AWARE)
def test_objects_in_front_of_an_ignored_box_are_learned(kind):
    """By each assigner that is said to ignore."""
    small, large = [236, 236, 284, 284], [100, 100, 400, 400]
    _, alone = _assign(kind, [small], [])
    anchors, found = _assign(kind, [small], [large])
    assert (alone > 0).any() and ((alone > 0) == (found > 0)).all()
    # With and without an object, what is like the ignored box is ignored.
    for valid in ([small], []):
        anchors, found = _assign(kind, valid, [large])
        like = (anchors - torch.tensor(large)).abs().max(1).values < 60
        assert like.any() and (found[like] == -1).all()
        far = anchors[:, 0] > 410
        assert far.any() and (found[far] == 0).all()


@pytest.mark.parametrize(
    'base',
    [
        'atss/atss_r50_fpn_1x_coco.py',
        'ddod/ddod_r50_fpn_1x_coco.py',
        'gfl/gfl_r50_fpn_1x_coco.py',
        'retinanet/retinanet_r50_fpn_1x_coco.py',
    ],
)
def test_heads_learn_nothing_where_it_is_ignored(base):
    """Scores of ignored anchors have no gradient, others have one."""
    torch.manual_seed(0)
    path = str(ZOO / base)
    cfg = delta_of(sniperize(read_plain(path), path)[0])
    head = MODELS.build(without_weights(cfg.model)).detector.bbox_head
    maps = [torch.rand(1, 256, side, side) for side in (64, 32, 16, 8, 4)]
    # As large as an anchor of stride 16, or 32, about one of its cells.
    ignored = InstanceData(
        bboxes=torch.tensor([[72.0, 72.0, 200.0, 200.0]]),
        labels=torch.tensor([0]),
    )
    objects = InstanceData(
        bboxes=torch.tensor([[10.0, 10.0, 60.0, 60.0]]),
        labels=torch.tensor([0]),
    )
    untrained = {}
    for told in (False, True):
        outs = head(maps)
        for scores in outs[0]:
            scores.retain_grad()
        losses = head.loss_by_feat(
            *outs,
            batch_gt_instances=[objects],
            batch_img_metas=[dict(img_shape=(512, 512), pad_shape=(512, 512))],
            batch_gt_instances_ignore=[ignored if told else None],
        )
        total = [
            part
            for key, loss in losses.items()
            if 'cls' in key
            for part in (loss if isinstance(loss, list) else [loss])
        ]
        sum(total).backward()
        untrained[told] = sum(
            int((scores.grad == 0).sum()) for scores in outs[0]
        )
        assert any((scores.grad != 0).any() for scores in outs[0])
    # MaxIoUAssigner has anchors that are neither object nor background.
    assert untrained[False] == 0 or 'retinanet' in base
    assert untrained[False] < untrained[True]


@pytest.mark.parametrize(
    ('base', 'own', 'found'),
    [
        ('rtmdet/rtmdet_x_p6_4xb8-300e_coco.py', 32, 64),
        ('rtmdet/rtmdet_s_8xb32-300e_coco.py', 32, 32),
        # An FPN makes its levels above stride 32 of any size.
        ('retinanet/retinanet_r50_fpn_1x_coco.py', 48, 96),
        ('faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py', 1, 32),
        ('ssd/ssd300_coco.py', 1, 32),
        ('yolo/yolov3_d53_8xb8-ms-608-273e_coco.py', 32, 32),
        ('nas_fpn/retinanet_r50_nasfpn_crop640-50e_coco.py', 128, 128),
    ],
)
def test_sides_are_multiples_of_strides(base, own, found):
    assert divisor(read_plain(str(ZOO / base)).model, own) == found


def test_six_strides_fit_levels_of_any_size(tmp_path):
    """Maps of a P6 backbone are merged by sizes that must be double."""
    path = tmp_path / 'p6.py'
    path.write_text(
        """_base_ = 'mmdet::rtmdet/rtmdet_x_p6_4xb8-300e_coco.py'
model = dict(
    backbone=dict(widen_factor=0.125, deepen_factor=0.167),
    neck=dict(
        in_channels=[32, 64, 96, 128], out_channels=32, num_csp_blocks=1),
    bbox_head=dict(in_channels=32, feat_channels=32))
"""
    )
    cfg = delta_of(sniperize(read_plain(str(path)), str(path))[0])
    sizes = cfg.model.data_preprocessor.pad_size_divisor
    detector = MODELS.build(without_weights(cfg.model)).eval().detector
    with torch.no_grad():
        detector.extract_feat(torch.zeros(1, 3, sizes, 3 * sizes))
        with pytest.raises(RuntimeError):
            detector.extract_feat(torch.zeros(1, 3, 32, 96))


@pytest.mark.parametrize('two_stage', [False, True])
def test_test_cfg_of_a_user(two_stage):
    own = dict(
        score_thr=0.3,
        max_per_img=50,
        nms=dict(type='nms', iou_threshold=0.4, class_agnostic=True),
    )
    changes, merging, replaced = level_test_cfg(
        dict(rpn=dict(max_per_img=1000), rcnn=own) if two_stage else own
    )
    if two_stage:
        assert changes['rpn'] == dict(max_per_img=300)
        changes = changes['rcnn']
    assert (changes['score_thr'], changes['max_per_img']) == (0.001, 300)
    assert changes['nms'].pop('_delete_')
    assert changes['nms'] == dict(own['nms'], iou_threshold=0.7)
    assert merging['max_per_img'] == 50
    assert merging['merge']['class_agnostic']
    assert merging['merge']['type'] == 'soft_nms'
    assert 'score_thr=0.3 is 0.001' in replaced and '0.4' in replaced


def test_test_cfg_without_numbers():
    assert level_test_cfg({}) == ({}, {}, '')
    assert level_test_cfg(dict(max_per_img=100)) == (
        {},
        dict(max_per_img=100),
        '',
    )
    # All of a level, and all of an image.
    changes, merging, _ = level_test_cfg(
        dict(max_per_img=-1, nms=dict(type='nms', iou_threshold=0.5))
    )
    assert 'max_per_img' not in changes and merging['max_per_img'] == -1


def test_boxes_of_all_classes_are_merged_if_they_were(plain):
    cfg, _, notes = plain(
        ("type='soft_nms'", "class_agnostic=True, type='soft_nms'"),
        ('score_thr=0.0,', 'score_thr=0.2,'),
        ('max_per_img=1000', 'max_per_img=7'),
    )
    for told in ('score_thr=0.2 is 0.001 now', "type='soft_nms'"):
        assert told in notes
    model = MODELS.build(without_weights(cfg.model))
    assert model.max_per_img == 7
    results = [
        InstanceData(
            bboxes=torch.tensor([[0.0, 0.0, 100.0, 100.0]]),
            scores=torch.tensor([score]),
            labels=torch.tensor([label]),
        )
        for label, score in enumerate((0.9, 0.8))
    ]
    assert model.merge_levels(results).scores[1] < 0.5


def test_rates_by_layer_are_taken_out(plain):
    optim = """
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='LearningRateDecayOptimizerConstructor',
    paramwise_cfg=dict(
        decay_rate=0.7, decay_type='layer_wise', num_layers=6,
        norm_decay_mult=0.0),
    optimizer=dict(type='AdamW', lr=0.1, weight_decay=0.05))
model = dict("""
    cfg, _, notes = plain(('\nmodel = dict(', optim))
    assert 'LearningRateDecayOptimizerConstructor, decay_rate' in notes
    assert cfg.optim_wrapper.paramwise_cfg == dict(norm_decay_mult=0.0)
    model = MODELS.build(without_weights(cfg.model))
    optim = build_optim_wrapper(model, cfg.optim_wrapper)
    assert {group['lr'] for group in optim.param_groups} == {0.1}
    assert 'optim_wrapper' not in plain()[1]


def test_norms_of_several_gpus_are_built_on_one(plain):
    cfg, _, _ = plain(("type='SyncBN'", "type='MMSyncBN'"), autofocus=True)
    assert cfg.model.backbone.norm_cfg.type == 'MMSyncBN'


def test_maps_are_looked_at_with_a_chip():
    """SSD takes no small image."""
    cfg = read_plain(str(ZOO / 'ssd/ssd300_coco.py'))
    detector = MODELS.build(without_weights(cfg.model))
    name, maps = feature_maps(detector)
    assert name == 'neck' and (512, 8) in maps and (1024, 16) in maps


@pytest.mark.parametrize(
    ('option', 'why'),
    [
        ("model = 'x'", 'model must be a dict. Received: str.'),
        ('model = dict(bbox_head=[dict()])', 'model.bbox_head must be a d'),
        (
            'model = dict(train_cfg=[dict()])',
            'model.train_cfg must be a dict. Received: list.',
        ),
        ("model = dict(test_cfg='x')", 'model.test_cfg must be a dict'),
        ('train_dataloader = [dict(a=1)]', 'train_dataloader must be a d'),
        (
            "custom_hooks = dict(type='EMAHook')",
            'custom_hooks must be a list. Received: ConfigDict.',
        ),
    ],
)
def test_parts_of_other_kinds_are_refused(tmp_path, option, why):
    path = tmp_path / 'user.py'
    path.write_text(
        f"_base_ = 'mmdet::retinanet/retinanet_r18_fpn_1x_coco.py'\n{option}"
    )
    with pytest.raises(ValueError) as error:
        sniperize(read_plain(str(path)), str(path))
    assert str(error.value).startswith(why)


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
        (("type='RetinaNet'", "type='RPN'"), 'model.rpn_only=True'),
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
    imports = tmp_path / 'imports.py'
    imports.write_text(
        "custom_imports = dict(imports=['gone_module'], "
        'allow_failed_imports=False)\n'
    )
    leaves_early = tmp_path / 'leaves.py'
    leaves_early.write_text('raise SystemExit(3)\n')
    for path, why in (
        (lazy, 'pure Python'),
        (typo, 'cannot be read: SyntaxError'),
        (broken, 'cannot be read'),
        (tmp_path / 'none.py', 'there is no config'),
        ('mmdet::retinanet/none.py', '^there is no config mmdet::ret'),
        (imports, "cannot be read: ModuleNotFoundError: .*'gone_module'$"),
        (leaves_early, 'cannot be read: SystemExit: 3'),
    ):
        with pytest.raises(ValueError, match=why):
            read_plain(str(path))


def test_what_cannot_be_built_or_looked_at(plain):
    """Says why."""
    for autofocus in (False, True):
        with pytest.raises(
            ValueError,
            match='RetinaNet cannot be built here: KeyError: ResNot is not',
        ):
            plain(("type='ResNet'", "type='ResNot'"), autofocus=autofocus)
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
    assert [p.name for p in Path('sub').iterdir()] == ['mine.py']
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


def test_config_is_not_written_over_by_another_name(tool, here, capsys):
    text = PLAIN
    (here / 'sub').mkdir()
    (here / 'plain.py').write_text(text)
    (here / 'link.py').symlink_to('plain.py')
    (here / 'elsewhere').symlink_to('.')
    for out in ('sub/../plain.py', 'link.py', 'elsewhere/plain.py'):
        with pytest.raises(SystemExit):
            tool('misc/sniperize.py', 'plain.py', '--out', out, '--force')
        assert 'must not be CONFIG' in capsys.readouterr().err
    assert (here / 'plain.py').read_text() == text
    assert (here / 'link.py').is_symlink()


def test_base_seen_from_a_linked_folder(tool, here):
    (here / 'a/deep/real').mkdir(parents=True)
    (here / 'b').mkdir()
    (here / 'plain.py').write_text(PLAIN)
    (here / 'b/link').symlink_to(here / 'a/deep/real')
    tool('misc/sniperize.py', 'plain.py', '--out', 'b/link/mine.py')
    for path in ('b/link/mine.py', 'a/deep/real/mine.py'):
        assert Config.fromfile(path).model.detector == 'RetinaNet'
    os.rename('plain.py', 'a/deep/real/plain.py')
    tool('misc/sniperize.py', 'b/link/plain.py', '--out', 'b/of_link.py')
    assert Config.fromfile('b/of_link.py').model.detector == 'RetinaNet'


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
                row = f'{row}; {test()}'
        except Exception as error:
            row = f'{type(error).__name__}: {error}'
            if not _is_of_this_machine(error):
                wrong.append(path)
        seconds = time.perf_counter() - start
        rows.append(f'{path.relative_to(ZOO)}: {row} ({seconds:.0f} s)')
        test = None
        gc.collect()
    with capsys.disabled():
        print('', *rows, sep='\n')
    assert not wrong, rows


def _is_of_this_machine(error):
    """Whether a package is missing, or a GPU: mmcv has operators for these."""
    return isinstance(error, ImportError) or any(
        words in str(error)
        for words in (
            'implementation for device cpu',
            'is not compiled with GPU support',
            'No NVIDIA driver',
            'not compiled with CUDA enabled',
        )
    )
