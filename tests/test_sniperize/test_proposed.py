"""Settings proposed for a user's data, in the config that is written."""

import json

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.structures import InstanceData

from sniper_mmdet.registry import DATASETS, MODELS
from sniper_mmdet.sniperize import read_plain, sniperize
from sniper_mmdet.sniperize.focus_head import focus_head_config
from sniper_mmdet.sniperize.proposed import focus_heads

USER = """
_base_ = 'mmdet::retinanet/retinanet_r18_fpn_1x_coco.py'
model = dict(
    backbone=dict(init_cfg=None, base_channels=8),
    neck=dict(in_channels=[8, 16, 32, 64], out_channels=16),
    bbox_head=dict(
        num_classes=1, in_channels=16, feat_channels=16, stacked_convs=1))
train_dataloader = dict(
    dataset=dict(
        data_root=None,
        ann_file='a.json',
        data_prefix=dict(img=''),
        metainfo=dict(classes=('ship', ))))
"""


@pytest.fixture
def user(tmp_path, monkeypatch):
    """A config of 20 images of 960x640 px with two ships of 12 to 30 px."""
    rng = np.random.default_rng(0)
    coco = dict(categories=[dict(id=1, name='ship')], images=[])
    coco['annotations'] = [
        dict(id=i + 1, image_id=i // 2, category_id=1, area=9.0, iscrowd=0)
        for i in range(40)
    ]
    for found in coco['annotations']:
        box = *rng.uniform(0, (900, 600)), *rng.uniform(12, 30, 2)
        found['bbox'] = [round(float(side), 1) for side in box]
    for i in range(20):
        image = dict(id=i, width=960, height=640, file_name=f'{i}.jpg')
        coco['images'].append(image)
    (tmp_path / 'a.json').write_text(json.dumps(coco))
    (tmp_path / 'user.py').write_text(USER)
    monkeypatch.chdir(tmp_path)
    return str(tmp_path / 'user.py')


def test_an_autofocus_by_plan_runs(user):
    text, notes = sniperize(read_plain(user), user, True, True)
    cfg = Config.fromstring(text, '.py')
    assert any('AutoFocus looks at' in note for note in notes)
    assert not any('released for COCO' in note for note in notes)
    coarse, finest = cfg.model.scales
    assert finest == 3 and coarse < 1.5
    head = cfg.model.focus_head
    # The FPN of RetinaNet starts at 8; beside it is the map of 16.
    assert (head.stride, head.in_indices, head.in_channels) == (8, (0, 1), 32)
    chips = DATASETS.build(cfg.train_dataloader.dataset)
    assert chips.settings.pyramid.scales == (coarse, finest)
    assert chips.settings.focus_sizes == head.sizes
    size = chips.settings.chip_size
    assert len(chips) > 0
    model = MODELS.build(cfg.model).eval()
    assert model.data_preprocessor.batch_augments[0].size == (size, size)
    assert len(model.focus) == 1 and model.focus[0].min_size % 8 == 0
    model.ground_truth = True
    sample = DetDataSample(metainfo=dict(ori_shape=(640, 960)))
    boxes = torch.tensor([[100.0, 200, 120, 218]])
    sample.gt_instances = InstanceData(bboxes=boxes)
    image = torch.zeros(3, 640, 960, dtype=torch.uint8)
    (found,) = model.predict([image], [sample])
    focus = found.focus
    assert focus['pixels'][0] == focus['pyramid_pixels'][0]
    assert 0 < focus['pixels'][1] < 0.1 * focus['pyramid_pixels'][1]


def test_a_pyramid_has_no_level_to_focus_from(user):
    text, notes = sniperize(read_plain(user), user, suggest=True)
    cfg = Config.fromstring(text, '.py')
    assert cfg.model.type.endswith('PyramidDetector')
    assert cfg.model.scales == [3.0]
    assert cfg.train_dataloader.dataset.scales == [3.0]
    assert 'focus_sizes' not in cfg.train_dataloader.dataset
    assert any('--autofocus writes that' in note for note in notes)


def test_maps_of_a_focus_head():
    maps = [(256, 4), (256, 8), (256, 16), (256, 32)]
    assert focus_head_config(maps) == dict(
        in_channels=512, in_indices=(2, 1), stride=16
    )
    assert focus_head_config(maps, 8) == dict(
        in_channels=512, in_indices=(1, 2), stride=8
    )
    assert focus_head_config([(64, 8)], 8) == dict(
        in_channels=64, in_indices=(0,), stride=8
    )
    # Of maps of one stride the deepest; none of stride 16 or 8 is there.
    maps = [(64, 32), (96, 32)]
    assert focus_head_config(maps) == dict(
        in_channels=96, in_indices=(1,), stride=32
    )


def test_heads_of_what_cannot_be_built():
    assert focus_heads(dict(type='sniper_mmdet.PyramidDetector')) == {}
