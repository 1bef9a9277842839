"""A detector recorded once, beside what it does in real runs."""

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.registry import init_default_scope
from pixel_rasters import write_raster
from tiny import plain_detector

from sniper_mmdet.chips import FocusSettings
from sniper_mmdet.chips.budget import FocusBudget
from sniper_mmdet.fitting.recording import record
from sniper_mmdet.fitting.simulation import Setting, Simulation
from sniper_mmdet.images import open_image
from sniper_mmdet.registry import MODELS

SCALES = [0.5, 1.0, 1.5]
RANGES = [(60, None), (None, 70)]


class Images:
    """A data set of noise, with one object an image."""

    def __init__(self, *sizes):
        rng = np.random.default_rng(0)
        self.images = [
            rng.integers(0, 256, (3, h, w), np.uint8) for w, h in sizes
        ]

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = self.images[index]
        if isinstance(image, np.ndarray):
            image = torch.from_numpy(image)
            _, h, w = image.shape
        else:
            h, w = image.shape[:2]
        sample = DetDataSample(metainfo=dict(ori_shape=(h, w)))
        return dict(inputs=image, data_samples=sample)

    def get_data_info(self, index):
        own = dict(bbox=[8, 8, 40, 72], bbox_label=1, ignore_flag=0)
        crowd = dict(bbox=[0, 0, 9, 9], bbox_label=2, ignore_flag=1)
        return dict(instances=[own, crowd])


@pytest.fixture(scope='module')
def model():
    init_default_scope('mmdet')
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='sniper_mmdet.AutoFocus',
            detector=plain_detector('faster-rcnn'),
            scales=[0.5, 1.5],
            valid_ranges=RANGES,
            max_per_img=50,
            budget=0.9,
            focus_head=dict(
                type='sniper_mmdet.FocusHead',
                in_channels=32,
                in_indices=(2, 1),
                feat_channels=8,
            ),
            focus=[dict(threshold=0.5, min_size=32)],
        )
    ).eval()


def test_an_image_that_is_read_by_window(model, recorded, tmp_path):
    """Its shape is that of an array, not of a tensor."""
    pytest.importorskip('rasterio')
    images = Images((160, 128), (97, 131))
    images.images = [
        open_image(write_raster(tmp_path / f'{k}.tif', image[::-1]))
        for k, image in enumerate(images.images)
    ]
    read = record(model, images, SCALES).images
    for one, other in zip(read, recorded.images, strict=True):
        assert one.size == other.size
        assert (one.sizes == other.sizes).all()
        assert torch.equal(one.found.bboxes, other.found.bboxes)


@pytest.fixture(scope='module')
def recorded(model):
    return record(model, Images((160, 128), (97, 131)), SCALES)


def predict(model, item):
    return model.predict([item['inputs']], [item['data_samples']])[0]


def test_what_is_recorded(model, recorded):
    assert recorded.factors == pytest.approx(SCALES, rel=0.01)
    assert recorded.object_sizes.tolist() == [np.sqrt(32 * 64)] * 2
    for image in recorded.images:
        assert set(image.found.levels.tolist()) == {0, 1, 2}
        cells = -(-image.sizes[:-1, ::-1] // 16)
        assert [m.shape for m in image.maps] == [*map(tuple, cells)]
        assert all((m > 0).all() for m in image.maps)
    # The detector is as it was.
    assert model.budget == FocusBudget(0.9) and model.max_per_img == 50
    assert model.pyramid.scales == (0.5, 1.5)


def test_the_finest_level_runs_once(model, recorded, monkeypatch):
    looked_at = []
    detect = type(model)._detect

    def spy(self, inputs, *args):
        looked_at.extend(max(one.shape[-2:]) for one in inputs)
        return detect(self, inputs, *args)

    monkeypatch.setattr(type(model), '_detect', spy)
    images = Images((160, 128), (97, 131))
    again = record(model, images, [0.75, 1.5], known=recorded)
    assert max(looked_at) <= 120  # 0.75 of 160, not 1.5
    new = record(model, images, [0.75, 1.5])
    assert max(looked_at) == 240
    for one, other in zip(again.images, new.images, strict=True):
        assert np.array_equal(one.maps[0], other.maps[0])
        for key in ('bboxes', 'scores', 'labels', 'levels'):
            assert torch.equal(one.found[key], other.found[key])
    assert (recorded.images[0].found.levels == 2).any()  # as it was
    # Another finest level runs.
    other = record(model, images, [0.5, 0.8], known=recorded)
    assert set(other.images[0].found.levels.tolist()) == {0, 1}


def test_all_levels_whole_give_the_pyramid(model, recorded):
    images = Images((160, 128), (97, 131))
    focus = (FocusSettings(threshold=0.5),)
    setting = Setting((0, 2), tuple(RANGES), focus, 10).whole
    simulation = Simulation(recorded)
    for index, image in enumerate(recorded.images):
        kept = torch.from_numpy(simulation.kept(index, setting))
        ours = model.merge_levels([image.found[kept]])
        whole = super(type(model), model).predict
        item = images[index]
        theirs = whole([item['inputs']], [item['data_samples']])[0]
        theirs = theirs.pred_instances
        assert len(ours) == 50
        for key in ('bboxes', 'scores', 'labels'):
            assert torch.equal(ours[key], theirs[key])


def test_chips_are_those_of_a_real_run(model, recorded):
    images = Images((160, 128), (97, 131))
    least = min(np.quantile(i.maps[0], 0.9) for i in recorded.images)
    step = FocusSettings(threshold=float(least), dilation=1, min_size=16)
    setting = Setting((0, 2), tuple(RANGES), (step,), 10)
    simulation = Simulation(recorded)
    model.focus, model.budget = [step], FocusBudget()
    pixels = []
    for index in range(2):
        focus = predict(model, images[index]).focus
        chips = simulation.chips(index, (0, 2), (step,))
        assert 0 < len(chips) and np.array_equal(chips, focus['chips'][1])
        pixels.append(sum(focus['pixels']))
    point = simulation.point(setting)
    assert point.pixels == np.mean(pixels) and point.share < 0.9


def test_a_plain_pyramid_is_recorded_too():
    init_default_scope('mmdet')
    pyramid = MODELS.build(
        dict(
            type='sniper_mmdet.PyramidDetector',
            detector=plain_detector('retinanet'),
            scales=[1.0],
        )
    ).eval()
    (image,) = record(pyramid, Images((64, 48), (48, 64)), SCALES, [1]).images
    assert image.size == (48, 64) and image.maps == []
    assert set(image.found.levels.tolist()) == {0, 1, 2}
