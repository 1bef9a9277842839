"""The pyramid detector: parity with the bare detector, batches."""

import cv2
import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmdet.apis import DetInferencer, inference_detector, init_detector
from mmdet.models.detectors.base import BaseDetector
from mmdet.registry import MODELS as MMDET_MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import (
    load_state_dict,
    save_checkpoint,
)
from mmengine.structures import InstanceData
from tiny import SAMPLE_CONFIG, plain_detector, shrunk

from sniper_mmdet.models import PyramidDetector

META_KEYS = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')


@pytest.fixture(autouse=True, scope='module')
def scope():
    init_default_scope('mmdet')


@MMDET_MODELS.register_module(force=True)
class FixedDetector(BaseDetector):
    """Finds, at each width of a level, what it was told to."""

    def __init__(self, data_preprocessor=None, init_cfg=None):
        super().__init__(data_preprocessor=dict(type='DetDataPreprocessor'))
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.batches = []

    def predict(self, inputs, samples, rescale=True):
        assert rescale and inputs.dtype == torch.float32
        self.batches.append([s.img_shape for s in samples])
        for sample in samples:
            rows = self.found.get(sample.img_shape[1], [])
            sample.pred_instances = instances(rows)
        return samples

    def loss(self, inputs, samples):
        return dict(loss=inputs.sum() * self.weight)

    def extract_feat(self, inputs):
        return inputs

    def _forward(self, inputs, samples=None):
        return inputs


def instances(rows):
    """From rows of x1, y1, x2, y2, score, label."""
    rows = torch.tensor(rows, dtype=torch.float32).reshape(-1, 6)
    return InstanceData(
        bboxes=rows[:, :4], scores=rows[:, 4], labels=rows[:, 5].long()
    )


def fixed(found, **kwargs):
    """A pyramid around FixedDetector; ``found`` maps level widths to rows."""
    model = PyramidDetector(dict(type='FixedDetector'), **kwargs).eval()
    model.detector.found = found
    return model


def image(height, width, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3)).astype(np.uint8)


def detect(model, images, *transforms):
    """Through a test pipeline, all images as one batch."""
    pipeline = Compose(
        [
            dict(type='LoadImageFromNDArray'),
            *transforms,
            dict(type='PackDetInputs', meta_keys=META_KEYS),
        ]
    )
    packed = [
        pipeline(dict(img=img, img_id=i)) for i, img in enumerate(images)
    ]
    with torch.no_grad():
        results = model.test_step(
            dict(
                inputs=[p['inputs'] for p in packed],
                data_samples=[p['data_samples'] for p in packed],
            )
        )
    return [r.pred_instances for r in results]


def assert_same(found, expected):
    assert set(found.keys()) == set(expected.keys())
    for key in expected.keys():
        assert torch.equal(found[key], expected[key]), key


def wrap(plain, name, **kwargs):
    """The same weights in a pyramid."""
    model = PyramidDetector(plain_detector(name), **kwargs).eval()
    load_state_dict(model, plain.state_dict(), strict=True)
    return model


@pytest.fixture(scope='module')
def plains():
    """Bare detectors with random weights, by name."""
    built = {}

    def get(name):
        if name not in built:
            torch.manual_seed(0)
            built[name] = MMDET_MODELS.build(plain_detector(name)).eval()
            built[name].init_weights()
            if name == 'retinanet':  # or all scores are 0.01
                torch.nn.init.normal_(built[name].bbox_head.retina_cls.weight)
        return built[name]

    return get


@pytest.mark.parametrize('size', [(120, 160), (161, 97), (64, 64), (50, 203)])
@pytest.mark.parametrize(
    'level, resize',
    [
        ((96, 160), dict(scale=(160, 96), keep_ratio=True)),
        ((-1, 150), dict(scale=(150, 150), keep_ratio=True)),
        (1.0, dict(scale_factor=1.0)),
        (0.77, dict(scale_factor=0.77)),
        (1.5, dict(scale_factor=1.5)),
    ],
)
def test_one_level_is_the_bare_detector(plains, size, level, resize):
    plain = plains('faster-rcnn')
    model = wrap(plain, 'faster-rcnn', scales=[level])
    (expected,) = detect(plain, [image(*size)], dict(type='Resize', **resize))
    (found,) = detect(model, [image(*size)])
    assert len(expected) > 20
    assert_same(found, expected)


def test_double_boxes_and_float_labels(monkeypatch):
    """As CrowdDet gives them; NMS and metrics take neither."""
    predict = FixedDetector.predict

    def doubled(*args, **kwargs):
        samples = predict(*args, **kwargs)
        for found in (sample.pred_instances for sample in samples):
            found.bboxes = found.bboxes.double()
            found.labels = found.labels.float()
        return samples

    rows = [[10, 10, 40, 40, 0.9, 1], [12, 10, 42, 40, 0.8, 0]]
    model = fixed({80: rows, 160: rows}, scales=[1.0, 2.0])
    (expected,) = detect(model, [image(60, 80)])
    monkeypatch.setattr(FixedDetector, 'predict', doubled)
    (found,) = detect(model, [image(60, 80)])
    assert_same(found, expected)
    assert found.labels.dtype == torch.long


@pytest.mark.parametrize('name', ['mask-rcnn', 'retinanet'])
def test_one_level_of_other_detectors(plains, name):
    model = wrap(plains(name), name, scales=[(96, 128)])
    resize = dict(type='Resize', scale=(128, 96), keep_ratio=True)
    (expected,) = detect(plains(name), [image(90, 70)], resize)
    (found,) = detect(model, [image(90, 70)])
    assert len(expected) > 20
    assert ('masks' in expected) == (name == 'mask-rcnn')
    assert_same(found, expected)


def test_a_batch_of_one_level_is_the_bare_batch(plains):
    plain = plains('faster-rcnn')
    images = [image(80, 120), image(100, 60, 1)]
    expected = detect(plain, images, dict(type='Resize', scale_factor=0.9))
    found = detect(wrap(plain, 'faster-rcnn', scales=[0.9]), images)
    for a, b in zip(found, expected, strict=True):
        assert_same(a, b)


def test_results_keep_the_sample_and_its_ground_truth(plains):
    model = wrap(plains('faster-rcnn'), 'faster-rcnn', scales=[1.0, 1.5])
    sample = DetDataSample(
        metainfo=dict(img_id=7, ori_shape=(40, 60), img_shape=(40, 60))
    )
    sample.gt_instances = instances([(1, 2, 3, 4, 1, 0)])
    pixels = torch.from_numpy(image(40, 60)).permute(2, 0, 1)
    (result,) = model.test_step(([pixels], [sample]))
    assert result is sample and result.img_id == 7
    assert result.ori_shape == (40, 60)
    assert len(result.gt_instances) == 1 and len(result.pred_instances)


def test_no_detections_at_all():
    model = fixed({}, scales=[0.5, 1.0], valid_ranges=[(9, None), (0, 20)])
    (found,) = detect(model, [image(100, 100)])
    assert len(found) == 0 and found.bboxes.shape == (0, 4)
    assert found.scores.shape == found.labels.shape == (0,)


def test_one_level_may_find_nothing(plains):
    model = wrap(
        plains('mask-rcnn'),
        'mask-rcnn',
        scales=[0.5, 1.0],
        valid_ranges=[(0, 1e-3), (0, None)],
    )
    single = wrap(
        plains('mask-rcnn'),
        'mask-rcnn',
        scales=[1.0],
        valid_ranges=[(0, 10**6)],
    )
    assert len(model.detect_level([image(80, 90)], 0)[0]) == 0
    (found,) = detect(model, [image(80, 90)])
    (expected,) = detect(single, [image(80, 90)])
    assert len(found) > 20 and found.masks.dtype == torch.bool
    assert (found.pop('levels') == 1).all()
    assert (expected.pop('levels') == 0).all()
    assert_same(found, expected)


@pytest.mark.parametrize('name', ['faster-rcnn', 'retinanet'])
def test_images_of_several_sizes_equal_one_by_one(plains, name):
    model = wrap(
        plains(name),
        name,
        scales=[0.5, 1.0],
        batch_size=1,
        valid_ranges=[(20, None), (0, 40)],
    )
    images = [image(60, 90), image(100, 50, 1), image(77, 33, 2)]
    together = detect(model, images)
    for img, found in zip(images, together, strict=True):
        assert len(found) > 20
        assert_same(found, detect(model, [img])[0])


def test_batch_size_per_level():
    images = [image(100, width) for width in (100, 80, 60)]
    model = fixed({}, scales=[0.5, 1.0, 2.0], batch_size=[None, 2, 1])
    detect(model, images)
    assert model.detector.batches == [
        [(50, 50), (50, 40), (50, 30)],
        [(100, 100), (100, 80)],
        [(100, 60)],
        [(200, 200)],
        [(200, 160)],
        [(200, 120)],
    ]
    model = fixed({}, scales=[0.5, 1.0], batch_size=2)
    detect(model, images)
    assert [len(b) for b in model.detector.batches] == [2, 1, 2, 1]


def test_masks_stay_beside_their_boxes(plains):
    model = wrap(
        plains('mask-rcnn'),
        'mask-rcnn',
        scales=[0.5, 1.0],
        valid_ranges=[(20, None), (0, 60)],
    )
    img = image(80, 90)
    (found,) = detect(model, [img])
    levels = InstanceData.cat(
        [model.detect_level([img], k)[0] for k in range(2)]
    )
    assert len(found) > 20 and found.masks.shape == (len(found), 80, 90)
    origins = set()
    for k in range(len(found)):
        same = (levels.bboxes == found.bboxes[k]).all(1)
        same &= levels.labels == found.labels[k]
        assert any(torch.equal(m, found.masks[k]) for m in levels.masks[same])
        origins.update(same.nonzero().flatten().tolist())
    num_coarse = len(model.detect_level([img], 0)[0])
    assert min(origins) < num_coarse <= max(origins)


@pytest.mark.parametrize('size', [(1, 50), (50, 1), (1, 1)])
def test_images_of_one_pixel(plains, size):
    model = wrap(plains('faster-rcnn'), 'faster-rcnn', scales=[0.3, 1.0, 2.0])
    (found,) = detect(model, [image(*size)])
    height, width = size
    assert torch.isfinite(found.bboxes).all()
    assert (found.bboxes >= 0).all()
    assert (found.bboxes <= torch.tensor([width, height] * 2) + 1e-4).all()


@pytest.mark.parametrize(
    'change, error, sentence',
    [
        (
            dict(batch_size=[1]),
            ValueError,
            r'one per level \(2\)\. Received: \[1\]',
        ),
        (dict(batch_size=[1, 0]), ValueError, r'Received: \[1, 0\]'),
        (dict(batch_size=0), ValueError, 'must be a positive number'),
        (dict(batch_size=-1), ValueError, 'must be a positive number'),
        (
            dict(valid_ranges=[(0, None)]),
            ValueError,
            'valid_ranges has 1 entries for 2 scales',
        ),
        (dict(valid_ranges=[(50, 20), (0, 9)]), ValueError, '0 <= low < high'),
        (dict(scales=[]), ValueError, 'at least one level'),
        (dict(scales=[1.0, 0.5]), ValueError, 'coarse to fine'),
        (
            dict(backbone=dict(type='ResNet')),
            TypeError,
            r"no further keywords\. Received: \['backbone'\]",
        ),
    ],
)
def test_wrong_settings(change, error, sentence):
    settings = (
        dict(scales=[0.5, 1.0], **change) if 'scales' not in change else change
    )
    with pytest.raises(error, match=sentence):
        PyramidDetector(dict(type='FixedDetector'), **settings)


@pytest.fixture
def sample_config():
    cfg = Config.fromfile(SAMPLE_CONFIG)
    cfg.merge_from_dict(shrunk(cfg))
    cfg.model.scales = [0.5, 1.0]
    cfg.model.valid_ranges = [(32, None), (0, 64)]
    return cfg


@pytest.fixture(scope='module')
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp('picture') / 'a.png'
    cv2.imwrite(str(path), image(90, 120))
    return str(path)


def test_mmdet_api(sample_config, picture):
    model = init_detector(sample_config, device='cpu')
    assert isinstance(model, PyramidDetector)
    one = inference_detector(model, picture)
    array, again = inference_detector(model, [image(90, 120)] * 2)
    assert len(one.pred_instances) and one.ori_shape == (90, 120)
    assert_same(array.pred_instances, one.pred_instances)
    assert_same(again.pred_instances, one.pred_instances)


def test_mmdet_inferencer(sample_config, picture, tmp_path):
    cfg_path = tmp_path / 'config.py'
    sample_config.dump(cfg_path)
    model = init_detector(sample_config, device='cpu')
    weights = str(tmp_path / 'model.pth')
    save_checkpoint(
        dict(
            state_dict=model.state_dict(),
            meta=dict(dataset_meta=dict(classes=('a', 'b', 'c', 'd'))),
        ),
        weights,
    )
    inferencer = DetInferencer(
        str(cfg_path), weights, device='cpu', show_progress=False
    )
    out = inferencer(
        [picture, picture],
        batch_size=2,
        out_dir=str(tmp_path / 'out'),
        no_save_pred=False,
        pred_score_thr=0.0,
    )
    assert len(out['predictions']) == 2
    expected = inference_detector(model, picture).pred_instances
    first = out['predictions'][0]
    assert np.allclose(first['scores'], expected.scores, atol=1e-5)
    assert np.allclose(first['bboxes'], expected.bboxes, atol=1e-3)
    assert (tmp_path / 'out/vis/a.png').exists()
    assert (tmp_path / 'out/preds/a.json').exists()
