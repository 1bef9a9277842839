"""Which feature maps of a detector answer at which level."""

import copy
from collections import Counter

import pytest
import torch
from mmdet.structures import DetDataSample
from tiny import plain_detector

from sniper_mmdet.registry import MODELS


def build(name='retinanet', **settings):
    torch.manual_seed(0)
    detector = plain_detector(name)
    if name == 'retinanet':
        detector.test_cfg.update(nms=None, max_per_img=10**6)
        del detector.test_cfg['min_bbox_size']
    settings = dict(dict(scales=[1.0, 2.0], max_per_img=-1), **settings)
    settings.setdefault('merge', dict(type='nms', iou_threshold=1.0))
    kind = dict(type='sniper_mmdet.PyramidDetector', detector=detector)
    return MODELS.build(dict(kind, **settings)).eval()


def found(model, size=64):
    generator = torch.Generator().manual_seed(1)
    img = torch.randint(256, (3, size, size), generator=generator)
    sample = DetDataSample(metainfo=dict(ori_shape=(size, size)))
    (sample,) = model.predict([img.byte()], [sample])
    return sample.pred_instances


def rows(instances):
    values = [instances.bboxes, instances.scores[:, None]]
    return Counter(map(tuple, torch.cat(values, 1).tolist()))


@pytest.mark.parametrize('level', [0, 1])
def test_parts_make_the_whole(level):
    """Of all maps what some find, and what the others find."""
    whole = found(build())
    whole = whole[whole.levels == level]
    parts = []
    for own in ((0, 2), (1, 3, 4)):
        maps = [None, None]
        maps[level] = own
        part = found(build(maps=maps))
        parts.append(part[part.levels == level])
        other = part[part.levels != level]
        assert rows(other) == rows(found(build())) - rows(whole)
    assert all(map(len, parts))
    assert rows(parts[0]) + rows(parts[1]) == rows(whole)


def test_training_and_copies_are_not_changed():
    model = build(maps=[(0,), None])
    features = model.detector.extract_feat(torch.zeros(1, 3, 64, 64))
    scores, _ = model.detector.bbox_head(features)
    assert all(x.numel() for x in scores)
    copied = copy.deepcopy(model)
    assert rows(found(copied)) == rows(found(model))
    assert copied.answers is not model.answers


def test_proposals_of_an_rpn():
    model = build('faster-rcnn', maps=[(0,), (4,)])
    whole = build('faster-rcnn')
    image = torch.randint(256, (64, 64, 3)).byte().numpy()
    few, all_of = (m.propose([image], num=1000)[0] for m in (model, whole))
    assert 0 < len(few) < len(all_of)


@pytest.mark.parametrize(
    'maps, message',
    [
        ([None], 'maps has 1 entries for 2 scales'),
        ([None, ()], r'indices of feature maps.* Received: \[None, \(\)\]'),
        ([None, (-1,)], 'indices of feature maps, from 0 on'),
        ([None, 1], 'indices of feature maps, from 0 on'),
    ],
)
def test_wrong_maps(maps, message):
    with pytest.raises(ValueError, match=message):
        build(maps=maps)


def test_a_map_that_the_detector_lacks():
    model = build(maps=[None, (0, 9)])
    with pytest.raises(ValueError, match='indices below 5, the number of fea'):
        found(model)


def test_exact_levels_are_resized_on_the_cpu():
    with pytest.raises(ValueError, match='resize_on_device must be False'):
        build(exact=True, resize_on_device=True)
