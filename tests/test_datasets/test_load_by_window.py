"""Chips of rasters that are read by window, and images that are kept."""

import copy
import json
import pickle
from pathlib import Path

import cv2
import mmcv
import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile
from mmdet.datasets.transforms import PackDetInputs
from pixel_rasters import bands_of, write_raster

from sniper_mmdet.datasets import ChipDataset, LoadImageByWindow
from sniper_mmdet.datasets.transforms.load_by_window import loading_whole
from sniper_mmdet.images import ImageSource
from sniper_mmdet.registry import TRANSFORMS

PIPELINE = [
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='sniper_mmdet.CutChip'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='sniper_mmdet.PackImage'),
]


def chips(folder, load, ann='coco.json'):
    return ChipDataset(
        scales=[1.0, 2.0],
        valid_ranges=[(30, None), (None, 40)],
        chip_size=96,
        stride=32,
        pipeline=[load, *copy.deepcopy(PIPELINE)],
        dataset=dict(
            type='CocoDataset',
            data_root=str(folder),
            ann_file=ann,
            data_prefix=dict(img='images/'),
            metainfo=dict(classes=('cat', 'dog')),
        ),
    )


def test_chips_of_a_raster_are_those_of_the_image(folder):
    pytest.importorskip('rasterio')
    (annotations,) = folder.glob('*.json')
    coco = json.loads(annotations.read_text())
    for image in coco['images']:
        path = folder / 'images' / image['file_name']
        image['file_name'] = path.with_suffix('.tif').name
        write_raster(path.with_suffix('.tif'), bands_of(mmcv.imread(path)))
    (folder / 'tif.json').write_text(json.dumps(coco))
    whole = chips(folder, dict(type='LoadImageFromFile'), annotations.name)
    load = dict(type='sniper_mmdet.LoadImageByWindow')
    read = chips(folder, load, 'tif.json')
    assert len(whole) == len(read) > 5
    for one, other in zip(whole, read, strict=True):
        assert (one['inputs'] == other['inputs']).all()
        boxes = [x['data_samples'].gt_instances.bboxes for x in (one, other)]
        assert (boxes[0].tensor == boxes[1].tensor).all()


def test_a_raster_as_an_array(tmp_path):
    """For transforms of whole images: the same bands and the same range."""
    pytest.importorskip('rasterio')
    pixels = np.arange(5 * 40 * 60).reshape(5, 40, 60).astype(np.uint16)
    path = str(write_raster(tmp_path / 'a.tif', pixels))
    step = dict(
        type='sniper_mmdet.LoadImageByWindow',
        bands=(5, 3, 1),
        value_range=(0, 12000),
    )
    read, whole = (
        TRANSFORMS.build(one)(dict(img_path=path))['img']
        for one in (step, loading_whole(step))
    )
    assert isinstance(read, ImageSource) and isinstance(whole, np.ndarray)
    assert (whole == read.read((0, 0, 60, 40), (60, 40))).all()
    plain = loading_whole(dict(step, bands=None, value_range=None))
    assert plain == dict(type='LoadImageFromFile')
    for use, name in ((np.asarray, 'no array'), (pack, 'PackImage')):
        with pytest.raises(ValueError, match=f'a.tif is read by .*{name}'):
            use(read)


def pack(image):
    return PackDetInputs()(dict(img_path='', img=image, ori_shape=(40, 60)))


@pytest.fixture
def decoded(monkeypatch):
    """Names of images that were decoded."""
    names, load = [], LoadImageFromFile.transform

    def transform(self, results):
        names.append(Path(results['img_path']).name)
        return load(self, results)

    monkeypatch.setattr(LoadImageFromFile, 'transform', transform)
    return names


def three(folder):
    for name in 'abc':
        image = np.full((100, 100, 3), ord(name), np.uint8)
        cv2.imwrite(str(folder / f'{name}.png'), image)
    return {name: dict(img_path=str(folder / f'{name}.png')) for name in 'abc'}


def test_images_are_kept_as_far_as_there_is_room(tmp_path, decoded):
    paths = three(tmp_path)
    load = LoadImageByWindow(cache_mb=0.07)  # two of 30,000 bytes
    for name in 'aabbabcba':
        results = load(dict(paths[name], chip=3))
        assert (results['img'] == ord(name)).all() and results['chip'] == 3
        assert results['img_shape'] == results['ori_shape'] == (100, 100)
        with pytest.raises(ValueError, match='read-only'):
            results['img'][0] = 0
    # c takes the place of a, which was used before b.
    assert decoded == ['a.png', 'b.png', 'c.png', 'a.png']
    assert len(pickle.dumps(load)) < 10_000


def test_nothing_is_kept_unless_asked_for(tmp_path, decoded):
    paths = three(tmp_path)
    load = LoadImageByWindow()
    for _ in range(2):
        load(dict(paths['a']))['img'][0] = 0
    assert decoded == ['a.png', 'a.png']
    small = LoadImageByWindow(cache_mb=0.001)
    for _ in range(2):
        assert small(dict(paths['a']))['img'].shape == (100, 100, 3)
    assert len(decoded) == 4


def test_what_it_is_told_is_shown():
    load = LoadImageByWindow((3, 2, 1), cache_mb=5, color_type='color')
    assert repr(load).startswith(
        'LoadImageByWindow(bands=(3, 2, 1), value_range=None'
    )
    assert "color_type='color'" in repr(load)
