"""A scene in parts: the same from one process, two, or after a break."""

import copy
import json

import cv2
import numpy as np
import pytest
import torch
from mmdet.apis import init_detector
from mmengine.structures import InstanceData
from pixel_rasters import bands_of, write_raster
from scipy import ndimage

from sniper_mmdet.apis import detect, scenes
from sniper_mmdet.apis.scenes import detect_scene
from sniper_mmdet.images import ImageError
from sniper_mmdet.utils.errors import UserError

rasterio = pytest.importorskip('rasterio')
SIZE = 1100, 1400


@pytest.fixture(scope='module')
def files(small):
    """Of an AutoFocus at two coarse levels, which takes little time."""
    return small(
        'autofocus/faster-rcnn_r18-slim_fpn_autofocus_3e_sample',
        **{
            'focus_head.in_channels': 32,
            'scales': [0.25, 0.5],
            'valid_ranges': [(32, None), (0, 80)],
            'focus': [dict(threshold=0, min_size=64)],
        },
    )


@pytest.fixture(scope='module')
def model(files):
    return init_detector(files.config, files.checkpoint, device='cpu')


@pytest.fixture(scope='module')
def scene(tmp_path_factory):
    """Discs, one of them where parts meet."""
    rng = np.random.default_rng(0)
    image = rng.integers(90, 110, (*SIZE[::-1], 3), np.uint8)
    path = tmp_path_factory.mktemp('scene') / 'a.tif'
    return write_raster(path, bands_of(image))


HOW = dict(part_pixels=600_000, progress=False)


def found(result):
    return [result.pred_instances[key] for key in ('bboxes', 'scores')]


def assert_same(one, other):
    assert len(one.pred_instances) == len(other.pred_instances) > 20
    for a, b in zip(found(one), found(other), strict=True):
        assert torch.equal(a, b)


@pytest.fixture
def looked_at(monkeypatch):
    """Parts that were looked at."""
    parts, look = [], scenes._look

    def watched(model, region, tile, *args):
        parts.append(tile.part)
        return look(model, region, tile, *args)

    monkeypatch.setattr(scenes, '_look', watched)
    return parts


def test_a_scene_that_was_cut_off_goes_on(
    model, scene, tmp_path, looked_at, monkeypatch
):
    whole = detect_scene(model, scene, **HOW)
    assert whole.ori_shape == SIZE[::-1] and whole.img_path == str(scene)
    assert whole.pixels_read > np.prod(SIZE)
    number = len(looked_at)
    assert number > 3
    write = scenes.PartFiles.write

    def killed(self, number, arrays):
        if number == 2:
            raise KeyboardInterrupt
        write(self, number, arrays)

    monkeypatch.setattr(scenes.PartFiles, 'write', killed)
    with pytest.raises(KeyboardInterrupt):
        detect_scene(model, scene, tmp_path / 'parts', **HOW)
    monkeypatch.setattr(scenes.PartFiles, 'write', write)
    looked_at.clear()
    rest = detect_scene(model, scene, tmp_path / 'parts', **HOW)
    assert len(looked_at) == number - 2
    assert_same(whole, rest)
    assert rest.pixels_read == whole.pixels_read
    with pytest.raises(UserError, match='another .*: score_thr differ'):
        detect_scene(model, scene, tmp_path / 'parts', score_thr=0.5, **HOW)


def test_parts_of_other_settings_are_refused(model, scene, tmp_path):
    folder = tmp_path / 'parts'
    detect_scene(model, scene, folder, **HOW)
    rcnn = model.detector.roi_head.test_cfg
    mean = model.data_preprocessor.mean
    for part, name, other in (
        (rcnn, 'score_thr', 0.5),
        (model, 'max_per_img', 3),
        (model.data_preprocessor, 'mean', mean + 1),
    ):
        before = getattr(part, name)
        setattr(part, name, other)
        with pytest.raises(UserError, match='another .*: detector differ'):
            detect_scene(model, scene, folder, **HOW)
        setattr(part, name, before)
    with pytest.raises(UserError, match='another .*: on_error differ'):
        detect_scene(model, scene, folder, on_error='skip', **HOW)
    detect_scene(model, scene, folder, **HOW)


def test_bands_of_the_config_are_read(model, tmp_path, monkeypatch):
    image = np.random.default_rng(0).integers(0, 3000, (5, 300, 400))
    path = write_raster(tmp_path / 'a.tif', image.astype(np.uint16))
    with pytest.raises(UserError, match='bands must name them'):
        detect_scene(model, path, progress=False)
    how = dict(bands=(5, 3, 1), value_range=(0, 3000))
    asked = detect_scene(model, path, progress=False, **how)
    cfg = copy.deepcopy(model.cfg)
    load = cfg.test_dataloader.dataset.pipeline[0]
    load.update(type='sniper_mmdet.LoadImageByWindow', **how)
    monkeypatch.setattr(model, 'cfg', cfg)
    own = detect_scene(model, path, progress=False)
    assert torch.equal(found(own)[0], found(asked)[0]) and len(found(own)[0])
    (alone,) = detect(model, path, progress=False)
    assert len(alone.pred_instances) == len(own.pred_instances)


def test_two_processes_share_a_scene(model, scene, tmp_path, monkeypatch):
    whole = detect_scene(model, scene, **HOW)
    results = []
    for rank in (1, 0):
        info = rank, 2
        monkeypatch.setattr(scenes, 'get_dist_info', lambda info=info: info)
        results.append(detect_scene(model, scene, tmp_path / 'parts', **HOW))
    assert results[0] is None
    assert_same(whole, results[1])
    with pytest.raises(UserError, match='need a folder to share'):
        detect_scene(model, scene, **HOW)


def test_each_object_is_found_once(model, tmp_path, monkeypatch):
    """Where parts meet too, and by each of two levels."""
    image = np.zeros((*SIZE[::-1], 3), np.uint8)
    boxes = [
        [x, y, x + 24, y + 18]
        for x in range(10, SIZE[0] - 30, 60)
        for y in range(10, SIZE[1] - 30, 60)
    ]
    for x1, y1, x2, y2 in boxes:
        image[y1:y2, x1:x2] = 255
    path = write_raster(tmp_path / 'a.tif', bands_of(image))
    run = model.run_detector

    def bright(inputs, samples):
        run(inputs, samples)  # which the focus head looks at
        return find_bright(inputs, samples)

    monkeypatch.setattr(model, 'run_detector', bright)
    result = detect_scene(model, path, **HOW)
    found = result.pred_instances
    found = found[found.scores > 0.5]
    assert len(found) == len(boxes)
    # A level of a quarter of the size blurs the sides.
    middles = (found.bboxes[:, :2] + found.bboxes[:, 2:]) / 2
    middles = sorted(middles.tolist())
    true = sorted([(x1 + x2) / 2, (y1 + y2) / 2] for x1, y1, x2, y2 in boxes)
    assert np.allclose(middles, true, atol=2)
    # Levels and settings of the detector are its own again.
    assert model.merges and model.pyramid.scales == (0.25, 0.5)


def find_bright(inputs, samples):
    """Bright places are objects."""
    results = []
    for pixels, meta in zip(inputs, samples, strict=True):
        places = ndimage.find_objects(
            ndimage.label(pixels[0].numpy() > 100)[0]
        )
        rows = [(x.start, y.start, x.stop, y.stop) for y, x in places]
        boxes = torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)
        boxes /= torch.tensor(meta.scale_factor).repeat(2)
        one = torch.ones(len(boxes))
        results.append(
            InstanceData(bboxes=boxes, scores=one, labels=one.long())
        )
    return results


def test_little_confidence_is_left_out(model, scene):
    whole = detect_scene(model, scene, **HOW)
    middle = float(found(whole)[1].median())
    part = detect_scene(model, scene, score_thr=middle, **HOW)
    assert 0 < len(part.pred_instances) < len(whole.pred_instances)


def test_tiles_that_are_not_there_are_left_black(model, scene, tmp_path):
    content = scene.read_bytes()
    path = tmp_path / 'broken.tif'
    path.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(ImageError, match='broken.tif cannot be read'):
        detect_scene(model, path, **HOW)
    result = detect_scene(model, path, on_error='skip', **HOW)
    assert len(result.pred_instances) > 20


def test_other_detectors_and_small_parts_are_refused(model, scene):
    with pytest.raises(UserError, match='needs a .*Received: Identity'):
        detect_scene(torch.nn.Identity(), scene)
    with pytest.raises(UserError, match='part_pixels must be at least'):
        detect_scene(model, scene, part_pixels=1000)


def test_the_tool(files, demo, tmp_path, capsys, monkeypatch):
    """On the map, drawn, and nothing is looked at again."""
    place = rasterio.transform.from_origin(500_000, 5_000_000, 0.5, 0.5)
    image = np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)
    how = dict(transform=place, crs='EPSG:32633')
    write_raster(tmp_path / 'a.tif', bands_of(image), **how)
    given = 'a.tif', files.config, files.checkpoint
    how = '--least-score', '0', '--crs', 'own', '--part-pixels', '300000'
    demo(*given, *how, tool='detect_scene')
    told = capsys.readouterr().out
    assert 'detections in 400x300 pixels' in told and '% of them read' in told
    found = json.loads((tmp_path / 'out/found.geojson').read_text())
    assert len(found['features']) > 20
    corners = np.array(
        [f['geometry']['coordinates'][0] for f in found['features']]
    )
    low, high = corners.min((0, 1)), corners.max((0, 1))
    assert (low >= (499_999, 4_999_849)).all()
    assert (high <= (500_201, 5_000_001)).all()
    picture = cv2.imread(str(tmp_path / 'out/picture.jpg'))
    assert picture.shape == image.shape
    monkeypatch.setattr(scenes, '_look', None)
    demo(*given, *how, tool='detect_scene')
    assert capsys.readouterr().out.splitlines()[-1] in told
    with pytest.raises(SystemExit):
        demo(*given, '--value-range', 'a', tool='detect_scene')
    assert 'LOW HIGH, or percentiles' in capsys.readouterr().err
    with pytest.raises(SystemExit, match='no.tif does not exist'):
        demo('no.tif', *given[1:], tool='detect_scene')
