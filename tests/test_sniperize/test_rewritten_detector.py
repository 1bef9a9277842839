"""Detectors of configs for chips."""

import pytest
import torch
from mmengine.structures import InstanceData
from zoo import ZOO, delta_of

from sniper_mmdet.registry import MODELS
from sniper_mmdet.sniperize.config import read_plain, sniperize
from sniper_mmdet.sniperize.detector import divisor, level_test_cfg
from sniper_mmdet.sniperize.probe import feature_maps, without_weights

pytestmark = pytest.mark.usefixtures('fast_configs')


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


def test_maps_are_looked_at_with_a_chip():
    """SSD takes no small image."""
    cfg = read_plain(str(ZOO / 'ssd/ssd300_coco.py'))
    detector = MODELS.build(without_weights(cfg.model))
    name, maps = feature_maps(detector)
    assert name == 'neck' and (512, 8) in maps and (1024, 16) in maps


def test_norms_of_several_gpus_are_built_on_one(plain):
    cfg, _, _ = plain(("type='SyncBN'", "type='MMSyncBN'"), autofocus=True)
    assert cfg.model.backbone.norm_cfg.type == 'MMSyncBN'


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
