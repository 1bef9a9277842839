"""Polygons on a map as boxes of georeferenced images."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.datasets import CocoDataset
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from PIL import Image
from pycocotools.coco import COCO
from rasters import BOX, each_place, on_map, transform_of, write_raster

from sniper_mmdet.apis import MapResults
from sniper_mmdet.datasets.formats.rasters import convert_map

pytest.importorskip('rasterio')


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ring(x1, y1, x2, y2, kind='utm'):
    """A box of pixels of write_raster's image, on its map."""
    corners = [(x1, y1), (x2, y1), (x2, y2), (x1, y2), (x1, y1)]
    return [on_map(transform_of(kind), *corner) for corner in corners]


def polygon(*rings, **properties):
    geometry = dict(type='Polygon', coordinates=rings)
    return dict(type='Feature', geometry=geometry, properties=properties)


def collection(*features, code=32633, **members):
    if code:
        name = f'urn:ogc:def:crs:EPSG::{code}'
        members['crs'] = dict(type='name', properties=dict(name=name))
    content = dict(type='FeatureCollection', **members, features=features)
    Path('a.geojson').write_text(json.dumps(content))


def convert(**settings):
    paths = Path('in'), Path('a.geojson'), Path('out/coco.json')
    text = convert_map(*paths, **settings)
    return json.loads(paths[2].read_text()), text


def boxes(coco):
    return [a['bbox'] for a in coco['annotations']]


@each_place
@pytest.mark.parametrize('code', [None, 32633])
def test_an_object_of_gdal(kind, code):
    """Its box is where GDAL drew it, whatever the CRS of the file."""
    from rasterio.warp import transform_geom

    raster = write_raster(Path('in/a.tif'), kind)
    own = 'EPSG:4326' if kind == 'degrees' else 'EPSG:32633'
    target = f'EPSG:{code or 4326}'
    geometry = transform_geom(own, target, raster.shape)
    feature = dict(type='Feature', geometry=geometry)
    collection(dict(feature, properties={'class': 'ship'}), code=code)
    (found,) = boxes(convert()[0])
    x1, y1, x2, y2 = BOX
    assert found == pytest.approx([x1, y1, x2 - x1, y2 - y1], abs=0.05)


@each_place
@pytest.mark.parametrize('crs', ['own', 'wgs84'])
def test_results_on_a_map_come_back(kind, crs):
    path = write_raster(Path('in/a.tif'), kind).path
    given = np.float32([[0, 0, 7, 5], [10.25, 3.5, 99, 59], [80, 2, 100, 60]])
    result = DetDataSample(
        metainfo=dict(img_path=str(path), ori_shape=(60, 100))
    )
    result.pred_instances = InstanceData(
        bboxes=torch.tensor(given),
        scores=torch.ones(3),
        labels=torch.tensor([1, 0, 1]),
    )
    MapResults('a.geojson', ('ship', 'car'), crs).add(result, 'a.tif')
    coco, text = convert()
    found = np.array(boxes(coco))
    found[:, 2:] += found[:, :2]
    np.testing.assert_allclose(found, given, rtol=0, atol=0.05)
    assert [c['name'] for c in coco['categories']] == ['car', 'ship']
    assert [a['category_id'] for a in coco['annotations']] == [1, 2, 1]
    assert '0 boxes clipped' in text and 'left out' not in text


def test_the_file_is_coco():
    write_raster(Path('in/sub/a.tif'))
    corners = [(10, 10), (50, 10), (10, 50), (10, 10)]
    triangle = [on_map(transform_of('utm'), *corner) for corner in corners]
    hole = ring(12, 12, 14, 14)
    two = polygon(ring(60, 5, 70, 9), kind='b')
    two['geometry'].update(
        type='MultiPolygon',
        coordinates=[[ring(60, 5, 70, 9)], [ring(72, 5, 80, 25)]],
    )
    collection(polygon(triangle, hole, kind='a'), two)
    coco, text = convert(class_property='kind')
    assert coco['images'] == [
        dict(id=1, file_name='sub/a.tif', width=100, height=60)
    ]
    first, second = coco['annotations']
    assert first['bbox'] == [10, 10, 40, 40] and first['area'] == 800
    assert first['segmentation'] == [[10, 10, 50, 10, 10, 50]]
    assert second['bbox'] == [60, 5, 20, 20] and second['area'] == 200
    assert [len(part) for part in second['segmentation']] == [8, 8]
    coco = COCO('out/coco.json')
    areas = [coco.annToMask(a).sum() for a in coco.anns.values()]
    assert areas == pytest.approx([800, 200], abs=30)
    data = CocoDataset(
        ann_file='out/coco.json',
        data_prefix=dict(img='in/'),
        metainfo=dict(classes=('a', 'b')),
        pipeline=[],
    )
    assert [i['bbox_label'] for i in data[0]['instances']] == [0, 1]
    assert Path(data[0]['img_path']).is_file()


def test_what_is_outside_is_cut_off_or_left_out():
    write_raster(Path('in/1.tif'))
    write_raster(Path('in/2.tif'), shift=(100, 0))  # its neighbour
    write_raster(Path('in/3.tif'), crs=False)
    Image.new('RGB', (9, 9)).save('in/4.png')
    line = polygon(kind='a')
    line['geometry'] = dict(type='LineString', coordinates=ring(0, 0, 9, 9))
    diamond = [(-20, 30), (20, -10), (60, 30), (20, 70), (-20, 30)]
    collection(
        polygon(ring(90, 10, 120, 20)),  # in both
        polygon([on_map(transform_of('utm'), *p) for p in diamond]),
        polygon(ring(99.5, -5, 110, 8)),  # half a pixel of the first
        polygon(ring(0, 80, 10, 90)),
        polygon(ring(5, 5, 5.4, 20)),
        line,
        dict(type='Feature', geometry=None, properties=None),
    )
    coco, text = convert(class_name='ship')
    assert [i['file_name'] for i in coco['images']] == ['1.tif', '2.tif']
    assert [(a['image_id'], a['bbox']) for a in coco['annotations']] == [
        (1, [90, 10, 10, 10]),
        (1, [0, 0, 60, 60]),
        (2, [0, 10, 20, 10]),
        (2, [0, 0, 10, 8]),
    ]
    assert coco['annotations'][0]['segmentation'] == [
        [90, 10, 90, 20, 100, 20, 100, 10]
    ]
    assert coco['annotations'][1]['area'] == 3200 - 400 - 2 * 100
    for told in (
        '4 boxes clipped to their image',
        '2 boxes of no pixel in their image left out',
        'a.geojson, feature 3, in in/1.tif\n',
        '1 polygons that lie in no image left out',
        'a.geojson, feature 4\n',
        '2 images without a CRS or a place left out',
        '2 features that are no polygons left out',
    ):
        assert told in text


def test_a_polygon_that_reaches_around_the_world():
    """Far away there is no way to the image's CRS."""
    write_raster(Path('in/a.tif'), 'rotated')
    world = [(-179, -89), (179, -89), (179, 89), (-179, 89), (-179, -89)]
    collection(polygon(world), code=None)
    coco, _ = convert(class_name='land')
    assert boxes(coco) == [[0, 0, 100, 60]]


def test_a_rotated_image_is_smaller_than_its_bounds():
    write_raster(Path('in/a.tif'), 'rotated')
    collection(
        polygon(ring(2, 2, 9, 9, 'rotated')),
        polygon(ring(-30, -10, -20, -1, 'rotated')),
    )
    coco, text = convert(class_name='ship')
    assert boxes(coco) == [[2, 2, 7, 7]]
    assert '1 polygons that lie in no image left out' in text


def test_the_tool(tool, capsys):
    write_raster(Path('in/a.tif'))
    collection(polygon(ring(1, 2, 30, 40), kind='a', more=1))
    args = 'dataset_converters/geojson_to_coco.py', 'in/a.tif', 'a.geojson'
    for option in (['--class-property', 'kind'], ['--class', 'a']):
        tool(*args, '--out', 'new/coco.json', *option)
        assert 'new/coco.json is written.' in capsys.readouterr().out
        coco = json.loads(Path('new/coco.json').read_text())
        assert boxes(coco) == [[1, 2, 29, 38]]
        assert coco['images'][0]['file_name'] == 'a.tif'
        assert coco['categories'] == [dict(id=1, name='a')]
    with pytest.raises(SystemExit) as stop:
        tool(*args, '--out', 'other.json')
    assert str(stop.value) == (
        'geojson_to_coco: a.geojson, feature 1 must have its class as its '
        "property 'class'; --class-property names another one, --class gives "
        'one class to all. Received: None among kind, more.'
    )
    with pytest.raises(SystemExit):
        tool(*args, '--out', 'a.json', '--class', 'a', '--class-property', 'b')
    assert not Path('other.json').exists() and not Path('a.json').exists()


@pytest.mark.parametrize(
    'change, sentence',
    [
        (dict(crs=None), 'must be in a CRS that is known. Received: None'),
        (dict(crs=dict(name='x')), 'must be in a CRS that is known'),
        (dict(code=99999), 'must be in a CRS that is known. .*EPSG::99999'),
        (dict(type='Feature'), 'must be a FeatureCollection .*Feature'),
        (dict(features=[]), 'must have polygons. Received: 0 features'),
        (dict(features=[3]), 'feature 1 must have a geometry and proper'),
        (dict(features=[polygon([(0, 0), (1, 1)])]), 'must have a geometry'),
        (dict(features=[polygon([(0, 'a')] * 4)]), 'must have a geometry'),
        (dict(code=None), 'must lie in an image of in, .* 1 polygons within'),
    ],
)
def test_wrong_files(change, sentence):
    write_raster(Path('in/a.tif'))
    collection(polygon(ring(1, 2, 30, 40)), code=change.get('code', 32633))
    content = json.loads(Path('a.geojson').read_text()) | change
    Path('a.geojson').write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f'a.geojson.*{sentence}'):
        convert(class_name='ship')
    assert not Path('out').exists()


def test_wrong_images_and_programs_that_are_missing(monkeypatch):
    collection(polygon(ring(1, 2, 30, 40)))
    with pytest.raises(FileNotFoundError, match='in is neither an image'):
        convert(class_name='ship')
    Path('in').mkdir()
    with pytest.raises(ValueError, match='in must be a folder with images'):
        convert(class_name='ship')
    Image.new('RGB', (9, 9)).save('in/a.png')
    with pytest.raises(ValueError, match='with a CRS and .* 1 images without'):
        convert(class_name='ship')
    with pytest.raises(FileNotFoundError, match='no.geojson does not exist'):
        convert_map(Path('in'), Path('no.geojson'), Path('a.json'))
    with pytest.raises(ValueError, match='must be a .json file'):
        convert_map(Path('in'), Path('a.geojson'), Path('a.txt'))
    Path('a.geojson').write_text('{')
    with pytest.raises(ValueError, match='a FeatureCollection of GeoJSON'):
        convert(class_name='ship')
    Path('a.gpkg').write_text('')
    monkeypatch.setitem(sys.modules, 'geopandas', None)
    with pytest.raises(ValueError, match='with: pip install geopandas'):
        convert_map(Path('in'), Path('a.gpkg'), Path('a.json'))
    monkeypatch.setitem(sys.modules, 'rasterio', None)
    with pytest.raises(ValueError, match='a.geojson needs rasterio'):
        convert()


def test_geopackage():
    geopandas = pytest.importorskip('geopandas')
    write_raster(Path('in/a.tif'))
    collection(
        polygon(ring(1, 2, 30, 40), kind='a', code=7),
        polygon(ring(5, 2, 30, 40), kind='b', code=8),
    )
    geopandas.read_file('a.geojson').to_file('a.gpkg')
    paths = Path('in'), Path('a.gpkg'), Path('out.json')
    for name, classes in (('kind', ['a', 'b']), ('code', ['7', '8'])):
        convert_map(*paths, class_property=name)
        coco = json.loads(paths[2].read_text())
        assert [c['name'] for c in coco['categories']] == classes
        assert boxes(coco) == [[1, 2, 29, 38], [5, 2, 25, 38]]
    Path('a.gpkg').write_text('none')
    with pytest.raises(ValueError, match='a.gpkg cannot be read: '):
        convert_map(*paths, class_name='a')
