"""No stage of a detector learns background from an ignored region."""

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from tiny import ROOT, shrunk

from sniper_mmdet.models import RangeAwareAssigner, RangeAwareATSSAssigner
from sniper_mmdet.registry import MODELS

pytestmark = pytest.mark.usefixtures('fast_configs')
SIDE = 256
REGION, OBJECT = (20, 20, 236, 180), (60, 60, 110, 110)


def sample_of(boxes, label):
    meta = dict(
        img_shape=(SIDE, SIDE),
        pad_shape=(SIDE, SIDE),
        batch_input_shape=(SIDE, SIDE),
        ori_shape=(SIDE, SIDE),
        scale_factor=(1.0, 1.0),
    )
    sample = DetDataSample(metainfo=meta)
    for name, found, given in (
        ('gt_instances', boxes, 0),
        ('ignored_instances', [REGION], label),
    ):
        found = torch.tensor(found, dtype=torch.float32).reshape(-1, 4)
        labels = torch.full((len(found),), given)
        setattr(sample, name, InstanceData(bboxes=found, labels=labels))
    return sample


def detector_of(name, **options):
    cfg = Config.fromfile(ROOT / f'configs/sniper/{name}.py')
    cfg.merge_from_dict({**shrunk(cfg), **options})
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    return model.detector


def assigned(detector, boxes, label, monkeypatch):
    """Of each stage: which boxes lie in the region, and what they train."""
    found = []
    for kind in (RangeAwareAssigner, RangeAwareATSSAssigner):

        def assign(self, priors, *args, _assign=kind.assign):
            result = _assign(self, priors, *args)
            found.append((priors.priors, result.gt_inds))
            return result

        monkeypatch.setattr(kind, 'assign', assign)
    image = torch.rand(1, 3, SIDE, SIDE)
    detector.loss(image, [sample_of(boxes, label)])
    region = torch.tensor(REGION).float()
    stages = []
    for priors, gt_inds in found:
        first = (priors[:, :2] >= region[:2]).all(1)
        inside = first & (priors[:, 2:] <= region[2:]).all(1)
        large = (priors[:, 2:] - priors[:, :2] > 1).all(1)
        stages.append(gt_inds[inside & large].tolist())
    return stages


@pytest.mark.parametrize(
    ('name', 'options', 'num_stages'),
    [
        ('retinanet_r50_fpn_sniper_1x_coco', {}, 1),
        ('atss_r50_fpn_sniper_1x_coco', {}, 1),
        ('faster-rcnn_r50_fpn_sniper_7e_coco', {}, 2),
        ('faster-rcnn_r50_fpn_sniper_7e_coco', {'model.rpn_only': True}, 1),
        ('faster-rcnn_r50-caffe_c4_sniper_1x_coco', {}, 2),
        ('cascade-rcnn_r50_fpn_sniper_1x_coco', {}, 4),
        ('faster-rcnn_r101-dcn_c4c5_sniper_7e_coco', {}, 2),
    ],
)
def test_what_lies_in_a_region_is_not_background(
    name, options, num_stages, monkeypatch
):
    detector = detector_of(name, **options)
    for boxes in ([], [OBJECT]):
        with monkeypatch.context() as patch:
            stages = assigned(detector, boxes, -1, patch)
        assert len(stages) == num_stages and len(stages[0]) > 50
        for inside in stages:
            assert 0 not in inside
        # An object in it is learned, by its best anchor at least.
        assert (1 in stages[0]) == bool(boxes)


def test_what_lies_in_a_box_out_of_range_is_background(monkeypatch):
    detector = detector_of('retinanet_r50_fpn_sniper_1x_coco')
    (inside,) = assigned(detector, [], 3, monkeypatch)
    assert inside.count(0) > 0.5 * len(inside)


MMDET = dict(
    fcos={'bbox_head.type': 'FCOSHead'},
    tood={
        'train_cfg.initial_assigner': dict(
            type='ATSSAssigner', topk=9, _delete_=True
        ),
        'train_cfg.assigner': dict(
            type='TaskAlignedAssigner', topk=13, _delete_=True
        ),
    },
    rtmdet={
        'train_cfg.assigner': dict(
            type='DynamicSoftLabelAssigner', topk=13, _delete_=True
        )
    },
    dino={'bbox_head.type': 'DINOHead'},
)


@pytest.mark.parametrize(
    ('name', 'epoch'),
    [
        ('fcos_r50-caffe_fpn_gn-head_sniper_1x_coco', 0),
        ('tood_r50_fpn_sniper_1x_coco', 0),
        ('tood_r50_fpn_sniper_1x_coco', 9),
        ('rtmdet_s_sniper_300e_coco', 0),
        ('dino-4scale_r50_sniper_12e_coco', 0),
    ],
)
def test_only_scores_of_background_learn_otherwise(name, epoch):
    """And they do not where nothing is ignored: bit for bit as in mmdet."""
    MessageHub.get_current_instance().update_info('epoch', epoch)
    plain = MMDET[name.split('_')[0].split('-')[0]]
    plain = {f'model.{key}': value for key, value in plain.items()}
    losses = []
    for options in (plain, {}):
        detector = detector_of(name, **options)
        for label in (None, 3, -1):
            sample = sample_of([OBJECT], label or 0)
            if label is None:
                sample.ignored_instances = sample.ignored_instances[:0]
            torch.manual_seed(1)
            image = torch.rand(1, 3, SIDE, SIDE)
            found = detector.loss(image, [sample])
            found = {
                key: sum(loss) if isinstance(loss, list) else loss
                for key, loss in found.items()
            }
            losses.append(found)
    mmdet, told, region, ours, ignored, in_region = losses
    for key, loss in mmdet.items():
        for same in (told, region, ours):
            assert torch.equal(loss, same[key])
        for less in (ignored, in_region):
            if 'cls' not in key or 'dn' in key:
                assert torch.equal(loss, less[key])
            else:
                assert less[key] <= loss
    assert sum(in_region.values()) < sum(mmdet.values())
