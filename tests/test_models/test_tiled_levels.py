"""Levels and FocusChips in tiles, beside the same looked at whole."""

import math
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from scipy import ndimage
from test_autofocus import detect as detect_all
from test_autofocus import image as noise
from test_autofocus import scope  # noqa: F401
from tiny import plain_detector

from sniper_mmdet.models.detectors import pyramid_detector
from sniper_mmdet.registry import MODELS
from sniper_mmdet.utils.errors import UserError


def pyramid(name='faster-rcnn', **settings):
    settings = dict(detector=plain_detector(name), **settings)
    settings['type'] = settings.get('type', 'sniper_mmdet.PyramidDetector')
    return MODELS.build(settings).eval()


def autofocus(name='faster-rcnn', steps=1, focus=None, **settings):
    return pyramid(
        name,
        type='sniper_mmdet.AutoFocus',
        focus_head=dict(
            type='sniper_mmdet.FocusHead',
            in_channels=32,
            in_indices=(2, 1),
            feat_channels=8,
            sizes=(0, 400, 600),
        ),
        focus=[focus or dict(threshold=0)] * steps,
        **settings,
    )


def detect(model, img, boxes=()):
    (found,) = detect_all(model, img, boxes=boxes)
    return found


def record(model, monkeypatch, run=None):
    """Sizes of what is run together."""
    batches, run = [], run or model.run_detector

    def call(inputs, samples):
        batches.append([tuple(i.shape[1:]) for i in inputs])
        return run(inputs, samples)

    monkeypatch.setattr(model, 'run_detector', call)
    return batches


def find_bright(inputs, samples):
    """Bright places are objects: cut ones as well, each as it is seen."""
    results = []
    for pixels, meta in zip(inputs, samples, strict=True):
        places = ndimage.find_objects(
            ndimage.label(pixels[0].numpy() > 100)[0]
        )
        rows = [(x.start, y.start, x.stop, y.stop) for y, x in places]
        boxes = torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)
        boxes /= torch.tensor(meta.scale_factor).repeat(2)
        results.append(
            InstanceData(
                bboxes=boxes,
                scores=torch.rand(len(boxes)),
                labels=torch.zeros(len(boxes), dtype=torch.long),
            )
        )
    return results


def planted(seed):
    """An image and its objects of up to 20 px, apart, some at its borders."""
    rng = np.random.default_rng(seed)
    boxes = []
    for y in range(0, 340, 48):
        for x in range(0, 460, 48):
            w, h = [(40, 10), (10, 40), (20, 20), (6, 5)][rng.integers(4)]
            left, top = rng.integers(0, [46 - w, 46 - h])
            boxes.append((x + left, y + top, x + left + w, y + top + h))
    boxes[0] = (0, 0, 20, 20)
    img = torch.zeros(3, 384, 480, dtype=torch.uint8)
    for x1, y1, x2, y2 in boxes:
        img[:, y1:y2, x1:x2] = 255
    return img, np.array(boxes)


def assert_found_once(found, boxes, tolerance):
    apart = np.abs(found[:, None] - boxes).max(-1)
    assert sorted(apart.argmin(1).tolist()) == list(range(len(boxes)))
    assert apart.min(1).max() <= tolerance


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize(
    'scale, high, max_pixels, tolerance',
    [(1.0, 20.5, 192**2, 0), (1.5, 24, 256**2, 1), (1.0, None, 240**2, 0)],
)
def test_no_object_is_lost_or_found_twice(
    monkeypatch, seed, scale, high, max_pixels, tolerance
):
    """An open range: objects of up to a quarter of a tile's side."""
    model = pyramid(
        scales=[scale], valid_ranges=[(None, high)], max_pixels=max_pixels
    )
    monkeypatch.setattr(model, 'merge_levels', InstanceData.cat)
    batches = record(model, monkeypatch, find_bright)
    img, boxes = planted(seed)
    found = detect(model, img).pred_instances.bboxes.numpy()
    assert sum(map(len, batches)) >= 6
    assert_found_once(found, boxes, tolerance)


@pytest.mark.parametrize('seed', range(2))
def test_a_large_focus_chip_is_looked_at_in_tiles(monkeypatch, seed):
    model = autofocus(
        ground_truth=True,
        scales=[0.5, 1.0],
        valid_ranges=[(200, None), (None, 20.5)],
        max_pixels=200**2,
        focus=dict(threshold=0.5, dilation=1, min_size=32),
    )
    monkeypatch.setattr(model, 'merge_levels', InstanceData.cat)
    img, boxes = planted(seed)
    batches = record(model, monkeypatch, find_bright)
    # What is right of x = 240 asks for no look.
    asking = boxes[boxes[:, 2] <= 240]
    found = detect(model, img, asking)
    ((_, _, right, bottom),) = found.focus['chips'][1].tolist()
    assert bottom == 384 and right < 330
    assert found.focus['pixels'][1] == right * bottom
    assert max(h * w for batch in batches for h, w in batch) <= 200**2
    assert len(batches) >= 4
    found = found.pred_instances.bboxes.numpy()
    inside = boxes[boxes[:, 2] <= right - 10]
    assert_found_once(found[found[:, 2] < right - 9], inside, 0)


@pytest.mark.parametrize('name', ['faster-rcnn', 'mask-rcnn'])
def test_chips_that_cover_everything_give_the_pyramid(name):
    settings = dict(
        scales=[0.5, 1.0],
        valid_ranges=[(20, None), (0, 20)],
        max_pixels=30000,
        border=4,
    )
    model = autofocus(name, **settings)
    twin = pyramid(name, **settings)
    state = model.state_dict().items()
    twin.load_state_dict(
        {k: v for k, v in state if not k.startswith('focus_head.')}
    )
    img = noise(410, 330)
    ours, theirs = detect(model, img), detect(twin, img).pred_instances
    assert ours.focus['pixels'] == ours.focus['pyramid_pixels']
    ours = ours.pred_instances
    assert set(ours.levels.tolist()) == {0, 1}
    for key in ours.keys():
        assert torch.equal(ours[key], theirs[key])


def test_one_level_without_a_range():
    """By falling score, as if it were whole; masks are where boxes are."""
    model = pyramid(
        'mask-rcnn', scales=[1.0], max_pixels=256**2, max_per_img=-1
    )
    img = noise(410, 330)
    tiled = detect(model, img).pred_instances
    assert (tiled.scores.diff() <= 0).all()
    assert tiled.masks.shape == (len(tiled), 330, 410)
    outside = tiled.masks.clone()
    for mask, box in zip(outside, tiled.bboxes, strict=True):
        x1, y1, x2, y2 = box.round().int().tolist()
        mask[max(y1 - 2, 0) : y2 + 2, max(x1 - 2, 0) : x2 + 2] = False
    assert tiled.masks.any() and not outside.any()
    (level,) = model.detect_level([img.permute(1, 2, 0).numpy()], 0)
    assert level.masks.shape == tiled.masks.shape
    # Tiles have as many together as one image may.
    model.max_per_img = 5
    few = detect(model, img).pred_instances
    assert torch.equal(few.bboxes, tiled.bboxes[:5])


def test_images_of_a_batch_are_tiled_each(monkeypatch):
    model = pyramid(scales=[0.5, 1.0], max_pixels=256**2)
    batches = record(model, monkeypatch)
    images = [noise(100, 80), noise(410, 330), noise(90, 60)]
    samples = [DetDataSample(metainfo=dict(img_id=k)) for k in range(3)]
    found = model.predict(images, samples)
    assert batches[:2] == [
        [(40, 50), (165, 205), (30, 45)],
        [(80, 100), (60, 90)],
    ]
    assert all(h * w <= 256**2 for batch in batches for h, w in batch)
    for img, sample in zip(images, found, strict=True):
        assert (sample.pred_instances.bboxes <= max(img.shape)).all()
        assert len(sample.pred_instances)
    # Nothing but images that are tiled.
    assert len(model.detect_level([np.zeros((330, 410, 3), np.uint8)], 1)) == 1


@pytest.mark.parametrize('kind', [pyramid, autofocus])
def test_large_tiles_run_with_large_arrays_apart(monkeypatch, kind):
    """On the heap, those of tiles of several sizes would leave gaps."""
    model = kind(scales=[0.25, 1.0], max_pixels=256**2)
    done = record(model, monkeypatch)

    @contextmanager
    def apart():
        done.append('apart')
        yield
        done.append('as before')

    monkeypatch.setattr(pyramid_detector, 'large_arrays_apart', apart)
    monkeypatch.setattr(pyramid_detector, '_LARGE', 200**2)
    detect(model, noise(410, 330))
    order = [
        step if isinstance(step, str) else math.prod(step[0]) > 200**2
        for step in done
    ]
    tiles = order.count(True)
    assert tiles > 2
    assert order == [False, *['apart', True, 'as before'] * tiles]


@pytest.mark.parametrize('kind', [pyramid, autofocus])
def test_up_to_max_pixels_nothing_is_cut(monkeypatch, kind):
    steps = dict(steps=0) if kind is autofocus else {}
    model = kind(scales=[1.0], max_pixels=410 * 330, **steps)
    batches = record(model, monkeypatch)
    img = noise(410, 330)
    whole = detect(model, img).pred_instances
    assert batches == [[(330, 410)]]
    model.max_pixels = 2**30
    for key, value in detect(model, img).pred_instances.items():
        assert torch.equal(value, whole[key])
    model.max_pixels = 410 * 330 - 1
    detect(model, img)
    assert len(batches) == 4


def test_maps_are_those_of_the_whole_level():
    """Up to what a tile does not see: the network sees far."""
    model = autofocus(
        scales=[1.0, 1.2],
        valid_ranges=[(20, 60), (0, 30)],
        focus=dict(threshold=1.1),
    )
    img = noise(620, 500)
    (whole,) = detect(model, img).focus['probabilities']
    model.max_pixels = 400**2
    (tiled,) = detect(model, img).focus['probabilities']
    assert tiled.shape == whole.shape == (32, 39)
    error = np.abs(tiled - whole)
    assert whole.std() > 1e-3
    assert 0 < error.max() < 0.1 * whole.std()
    assert np.quantile(error, 0.9) < 0.01 * whole.std()


def test_proposals_of_tiles():
    model = pyramid(scales=[1.0, 2.0], max_pixels=400**2)
    img = noise(410, 330).permute(1, 2, 0).numpy()
    (found,) = model.propose([img], num=40)
    assert 40 < len(found) <= 80
    assert (found.scores.diff() <= 0).all()
    limit = torch.tensor([410, 330, 410, 330]) + 1e-2
    assert ((found.bboxes >= 0) & (found.bboxes <= limit)).all()
    # They come from all over the image.
    assert (found.bboxes[:, 0] < 100).any()
    assert (found.bboxes[:, 2] > 310).any()


@pytest.mark.parametrize('kind', [pyramid, autofocus])
def test_tiles_below_their_overlap(kind):
    model = kind(
        scales=[0.5, 1.0],
        valid_ranges=[(100, None), (0, 120)],
        max_pixels=2**16,
    )
    detect(model, noise(200, 160))  # small enough
    sentence = (
        r'at least 112640: 400x300 pixels of a level .* Received: 65536\.'
    )
    with pytest.raises(UserError, match=sentence):
        detect(model, noise(400, 300))
