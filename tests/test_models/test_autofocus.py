"""AutoFocus beside the pyramid that it looks at parts of."""

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from tiny import plain_detector

from sniper_mmdet.apis import reference_ways
from sniper_mmdet.registry import MODELS

SCALES = [0.5, 1.0, 1.5]
HEAD = dict(
    type='sniper_mmdet.FocusHead',
    in_channels=32,
    in_indices=(2, 1),
    feat_channels=8,
)


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmdet')
    torch.manual_seed(0)


def autofocus(name='faster-rcnn', **changes):
    config = dict(
        type='sniper_mmdet.AutoFocus',
        detector=plain_detector(name),
        scales=SCALES,
        valid_ranges=[(60, None), (20, 90), (0, 40)],
        focus_head=HEAD,
        focus=[dict(threshold=0.5, min_size=64)] * 2,
    )
    return MODELS.build(dict(config, **changes)).eval()


def image(width=160, height=128, seed=0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, 256, (3, height, width), np.uint8))


def sample(img, boxes=()):
    _, h, w = img.shape
    found = DetDataSample(metainfo=dict(ori_shape=(h, w), img_shape=(h, w)))
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    found.gt_instances = InstanceData(
        bboxes=boxes, labels=torch.zeros(len(boxes), dtype=torch.long)
    )
    return found


def detect(model, *images, boxes=()):
    return model.predict(list(images), [sample(i, boxes) for i in images])


def pyramid_of(model):
    twin = MODELS.build(
        dict(
            type='sniper_mmdet.PyramidDetector',
            detector=plain_detector('faster-rcnn'),
            scales=SCALES,
            valid_ranges=[(60, None), (20, 90), (0, 40)],
        )
    ).eval()
    twin.load_state_dict(
        {
            key: value
            for key, value in model.state_dict().items()
            if not key.startswith('focus_head.')
        }
    )
    return twin


@pytest.mark.parametrize('size', [(160, 128), (97, 131)])
def test_chips_that_cover_everything_give_the_pyramid(size):
    model = autofocus(focus=[dict(threshold=0)] * 2)
    img = image(*size)
    (ours,), (theirs,) = detect(model, img), detect(pyramid_of(model), img)
    assert len(ours.pred_instances) > 10
    for key in ('bboxes', 'scores', 'labels'):
        assert torch.equal(
            ours.pred_instances[key], theirs.pred_instances[key]
        )
    assert ours.focus['pixels'] == ours.focus['pyramid_pixels']


def test_ways_of_reference_do_not_focus():
    model = autofocus(focus=[dict(threshold=1.1)] * 2)
    img = image()
    ways, focused = reference_ways(model), detect(model, img)
    (ours,) = ways['pyramid']([img], [sample(img)])
    (theirs,) = detect(pyramid_of(model), img)
    assert 'focus' in focused[0] and 'focus' not in ours
    for key in ('bboxes', 'scores', 'labels'):
        assert torch.equal(
            ours.pred_instances[key], theirs.pred_instances[key]
        )
    (alone,) = ways['level2']([img], [sample(img)])
    assert 'focus' not in alone and len(alone.pred_instances) > 0


def test_nothing_more_is_looked_at_without_focus_pixels(monkeypatch):
    model = autofocus(focus=[dict(threshold=1.1)] * 2)
    looked = []
    run = model.run_detector

    def record(inputs, samples):
        looked.append([tuple(i.shape[1:]) for i in inputs])
        return run(inputs, samples)

    monkeypatch.setattr(model, 'run_detector', record)
    (found,) = detect(model, image())
    assert looked == [[(64, 80)]]
    assert found.focus['pixels'] == [64 * 80, 0, 0]
    assert [len(chips) for chips in found.focus['chips']] == [1, 0, 0]


def test_focus_pixels_of_annotations():
    model = autofocus(
        ground_truth=True,
        focus_head=dict(HEAD, sizes=(2, 40, 60)),
        focus=[dict(threshold=0.5, dilation=1, min_size=32)] * 2,
    )
    img = image(400, 300)
    (found,) = detect(model, img, boxes=[(200, 100, 212, 110)])
    coarse, middle, fine = found.focus['chips']
    assert coarse.tolist() == [[0, 0, 200, 150]]
    for chips, factor in ((middle, 1.0), (fine, 1.5)):
        (chip,) = chips.tolist()
        assert chip[0] <= 200 * factor and chip[2] >= 212 * factor
        assert chip[1] <= 100 * factor and chip[3] >= 110 * factor
    assert sum(found.focus['pixels'][1:]) < (
        0.1 * sum(found.focus['pyramid_pixels'][1:])
    )
    with_none = detect(model, img)[0].focus['pixels']
    assert with_none == [200 * 150, 0, 0]


def test_detections_of_a_chip_lie_where_its_objects_are(monkeypatch):
    """A detector that finds bright pixels finds them at every level."""
    model = autofocus(
        ground_truth=True,
        valid_ranges=None,
        focus_head=dict(HEAD, sizes=(2, 40, 60)),
        focus=[dict(threshold=0.5, min_size=96)] * 2,
    )
    monkeypatch.setattr(model, 'merge_levels', InstanceData.cat)
    img = torch.zeros(3, 300, 400, dtype=torch.uint8)
    img[:, 180:190, 252:264] = 255

    def find(inputs, samples):
        results = []
        for pixels, meta in zip(inputs, samples, strict=True):
            ys, xs = np.nonzero(pixels[0].numpy() > 128)
            box = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
            box = box / np.tile(meta.scale_factor, 2)
            results.append(
                InstanceData(
                    bboxes=torch.tensor(box[None], dtype=torch.float32),
                    scores=torch.ones(1),
                    labels=torch.zeros(1, dtype=torch.long),
                )
            )
        return results

    monkeypatch.setattr(model, 'run_detector', find)
    (found,) = detect(model, img, boxes=[(252, 180, 264, 190)])
    assert [len(chips) for chips in found.focus['chips']] == [1, 1, 1]
    assert found.focus['pixels'][2] < 0.2 * found.focus['pyramid_pixels'][2]
    boxes = found.pred_instances.bboxes
    assert boxes.shape == (3, 4)
    expected = torch.tensor([252.0, 180, 264, 190])
    assert (boxes - expected).abs().max() <= 2


def test_images_of_a_batch_do_not_depend_on_each_other():
    """One has a whole level, one a large part, one a small one, one none."""
    model = autofocus(
        ground_truth=True,
        max_proposals=9,
        focus_head=dict(HEAD, sizes=(2, 200, 300)),
        focus=[dict(threshold=0.5, dilation=1, min_size=32)] * 2,
    )
    images = [image(400, 300, seed=k) for k in range(4)]
    boxes = [
        [(0, 0, 200, 180), (210, 150, 399, 299)],
        [(0, 0, 200, 180)],
        [(200, 100, 212, 110)],
        [],
    ]
    samples = list(map(sample, images, boxes))
    together = model.predict(images, samples)
    assert [len(s.focus['chips'][2]) for s in together] == [1, 1, 1, 0]
    for k, ours in enumerate(together):
        (alone,) = detect(model, images[k], boxes=boxes[k])
        assert ours.focus['pixels'] == alone.focus['pixels']
        ours, alone = ours.pred_instances, alone.pred_instances
        # Padding to the largest of a batch changes the last digits.
        assert len(ours) == pytest.approx(len(alone), abs=3)
        n = min(20, len(alone))
        assert torch.allclose(ours.scores[:n], alone.scores[:n], atol=1e-3)


@pytest.mark.parametrize('size', [(40, 24), (300, 1), (1, 300), (1, 1)])
def test_images_below_the_minimum_of_a_chip(size):
    """Such an image is one chip, at each level: the pyramid."""
    model = autofocus(focus=[dict(threshold=0)] * 2)
    img = image(*size)
    (ours,), (theirs,) = detect(model, img), detect(pyramid_of(model), img)
    assert torch.equal(
        ours.pred_instances.bboxes, theirs.pred_instances.bboxes
    )
    assert [len(chips) for chips in ours.focus['chips']] == [1, 1, 1]
    model = autofocus(focus=[dict(threshold=1.1)] * 2)
    assert sum(detect(model, img)[0].focus['pixels'][1:]) == 0


def test_each_detection_tells_its_level():
    model = autofocus(
        focus=[dict(threshold=0)] * 2, valid_ranges=None, max_per_img=1000
    )
    (found,) = detect(model, image())
    assert set(found.pred_instances.levels.tolist()) == {0, 1, 2}


def test_probabilities_are_a_result():
    model = autofocus(focus=[dict(threshold=0, min_size=32)] * 2)
    (found,) = detect(model, image(100, 75))
    focus = found.focus
    assert focus['sizes'] == [[50, 38], [100, 75], [150, 113]]
    shapes = [p.shape for p in focus['probabilities']]
    assert shapes == [(3, 4), (5, 7)]
    for probability in focus['probabilities']:
        assert 0 < probability.min() and probability.max() < 1
    assert focus['thresholds'] == [0, 0]


def test_a_plain_checkpoint_loads():
    model = autofocus()
    plain = {
        k: v
        for k, v in autofocus().state_dict().items()
        if not k.startswith('focus_head.')
    }
    assert not any(key.startswith('detector.') for key in plain)
    result = model.load_state_dict(plain, strict=False)
    assert not result.unexpected_keys
    assert all(k.startswith('focus_head.') for k in result.missing_keys)


def proposals_of(model, img, boxes, monkeypatch):
    """Proposals of each batch's images."""
    kept = []
    rpn = model.detector.rpn_head.predict

    def record(*args, **kwargs):
        found = rpn(*args, **kwargs)
        kept.append([len(proposals) for proposals in found])
        return found

    with monkeypatch.context() as patch:
        patch.setattr(model.detector.rpn_head, 'predict', record)
        detect(model, img, boxes=boxes)
    return kept


def test_a_small_part_of_a_level_has_fewer_proposals(monkeypatch):
    model = autofocus(
        ground_truth=True,
        max_proposals=7,
        focus_head=dict(HEAD, sizes=(2, 400, 600)),
        focus=[dict(threshold=0.5, min_size=32)] * 2,
    )
    img, small = image(400, 300), (200, 100, 212, 110)
    kept = proposals_of(model, img, [small], monkeypatch)
    # Parts of 128x128 and 128x112, and of 256x256 and 288x272.
    assert kept[0][0] > 14 and kept[1:] == [[2], [2]]
    kept = proposals_of(model, img, [(50, 80, 180, 200)], monkeypatch)
    assert kept[1:] == [[7], [14]]
    # Of the finest, 600x450, nearly all: 256x256 twice doubled.
    kept = proposals_of(model, img, [(8, 8, 330, 250)], monkeypatch)
    assert kept[2] == [28]
    with pytest.raises(ValueError, match='max_proposals must be a positive'):
        autofocus(max_proposals=0)
    with pytest.raises(ValueError, match='have an RPN. Received: 5, Retina'):
        autofocus('retinanet', max_proposals=5)


def test_true_focus_pixels_count_where_a_level_is_looked_at():
    """What is too small for the coarse level is not found by the next."""
    model = autofocus(
        ground_truth=True,
        focus_head=dict(HEAD, sizes=(5, 64, 90)),
        focus=[dict(threshold=0.5, min_size=32)] * 2,
    )
    (found,) = detect(model, image(400, 300), boxes=[(200, 100, 208, 108)])
    assert [len(chips) for chips in found.focus['chips']] == [1, 0, 0]
    assert (found.focus['probabilities'][1] < 0).all()


def test_true_focus_pixels_need_annotations():
    model = autofocus(ground_truth=True)
    bare = DetDataSample(metainfo=dict(ori_shape=(128, 160)))
    with pytest.raises(ValueError, match='LoadAnnotations'):
        model.predict([image()], [bare])


@pytest.mark.parametrize(
    'name, features, head',
    [
        ('retinanet', 'neck', dict(in_indices=(1, 0))),
        ('faster-rcnn', 'backbone', dict(in_indices=(2, 3), in_channels=96)),
        ('retinanet', 'backbone', dict(in_indices=(2,), in_channels=32)),
    ],
)
def test_other_detectors_and_features(name, features, head):
    """RetinaNet's neck begins at stride 8; C4 and C5 of a backbone."""
    model = autofocus(
        name,
        features=features,
        focus_head=dict(HEAD, stride=16, **{'in_channels': 32, **head}),
        focus=[dict(threshold=0)] * 2,
    )
    img = image()
    (found,) = detect(model, img)
    assert found.focus['pixels'] == found.focus['pyramid_pixels']
    data = dict(inputs=[img], data_samples=[sample(img, [(10, 10, 40, 40)])])
    model.train()
    losses = model(**model.data_preprocessor(data, True), mode='loss')
    losses['loss_focus'].backward()
    assert model.focus_head.out.weight.grad.abs().sum() > 0


def test_the_rpn_alone():
    """A stage of training: tested as PyramidDetector's."""
    model = autofocus(rpn_only=True, max_proposals=5)
    (found,) = detect(model, image())
    assert 'focus' not in found and len(found.pred_instances) > 10
    assert not found.pred_instances.labels.any()


def test_masks_follow_their_boxes():
    model = autofocus('mask-rcnn', focus=[dict(threshold=0)] * 2)
    img = image(97, 131)
    (found,) = detect(model, img)
    instances = found.pred_instances
    assert instances.masks.shape == (len(instances), 131, 97)
    model = autofocus(
        'mask-rcnn',
        ground_truth=True,
        valid_ranges=None,
        focus=[dict(threshold=0.5, min_size=32)] * 2,
    )
    (found,) = detect(model, image(300, 200), boxes=[(200, 100, 230, 130)])
    instances = found.pred_instances
    assert instances.masks.shape == (len(instances), 200, 300)
    ys, xs = np.nonzero(np.asarray(instances.masks[0]))
    x1, y1, x2, y2 = instances.bboxes[0].tolist()
    assert len(xs)
    assert x1 - 2 <= xs.min() and xs.max() <= x2 + 2
    assert y1 - 2 <= ys.min() and ys.max() <= y2 + 2
