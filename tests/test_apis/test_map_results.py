"""Detections as polygons on a map."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from PIL import Image
from rasters import box_of, each_place, write_raster

from sniper_mmdet.apis import MapResults
from sniper_mmdet.utils.errors import UserError

pytest.importorskip('rasterio')


def sample(path, boxes, shape=(60, 100), **fields):
    result = DetDataSample(metainfo=dict(img_path=str(path), ori_shape=shape))
    count = len(boxes)
    result.pred_instances = InstanceData(
        bboxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        scores=torch.linspace(0.9, 0.1, count),
        labels=torch.arange(count) % 2,
        **fields,
    )
    return result


def written(path, result, *args, **kwargs):
    file = MapResults(path, ('ship', 'car'), *args, **kwargs)
    return json.loads(file.add(result, 'a.tif').read_text())


def rings(content):
    found = [f['geometry']['coordinates'] for f in content['features']]
    assert all(len(parts) == 1 for parts in found)
    return np.array(found)[:, 0]


def area(ring):
    x, y = np.transpose(ring)
    return (x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2


def same_corners(ring, other, tolerance):
    """Whether two closed rings have the same corners, wherever they begin."""
    distance = np.abs(np.array(ring)[:-1, None] - np.array(other)[None, :-1])
    nearest = distance.max(2).argmin(1)
    least = distance.max(2).min(1)
    return len(set(nearest)) == len(ring) - 1 and (least < tolerance).all()


@each_place
@pytest.mark.parametrize('crs', ['own', 'wgs84'])
def test_an_object_lands_where_it_is(kind, crs, tmp_path):
    """GDAL drew it by its place on the map, and a detector finds the pixels.

    Half a pixel off, as by their centres, would be seen.
    """
    from rasterio.warp import transform

    raster = write_raster(tmp_path / 'a.tif', kind)
    result = sample(raster.path, [box_of(raster.pixels)])
    content = written(tmp_path / 'a.geojson', result, crs)
    (ring,) = rings(content)
    name = 'EPSG:4326'
    if crs == 'own':
        urn = content['crs']['properties']['name']
        assert content['crs']['type'] == 'name'
        name = urn.replace('urn:ogc:def:crs:EPSG::', 'EPSG:')
    else:
        assert 'crs' not in content
    side = 1e-5 if kind == 'degrees' else 0.3
    own = 'EPSG:4326' if kind == 'degrees' else 'EPSG:32633'
    back = np.transpose(transform(name, own, *np.transpose(ring)))
    assert same_corners(back, raster.ring, side / 10)


def test_members_of_rfc_7946(tmp_path):
    path = write_raster(tmp_path / 'a.tif', 'rotated').path
    boxes = [[0, 0, 10, 20], [10, 5, 100, 60]]
    levels = torch.tensor([1, 0])
    result = sample(path, boxes, levels=levels)
    content = written(tmp_path / 'new/a.geojson', result)
    assert set(content) == {'type', 'features'}
    assert content['type'] == 'FeatureCollection'
    for feature in content['features']:
        assert set(feature) == {'type', 'geometry', 'properties'}
        assert feature['type'] == 'Feature'
        assert set(feature['geometry']) == {'type', 'coordinates'}
        assert feature['geometry']['type'] == 'Polygon'
    assert [f['properties'] for f in content['features']] == [
        {'class': 'ship', 'score': 0.9, 'level': 1},
        {'class': 'car', 'score': 0.1, 'level': 0},
    ]
    for ring in rings(content):
        assert len(ring) == 5 and ring[0].tolist() == ring[-1].tolist()
        assert area(ring) > 0  # counterclockwise
    empty = written(tmp_path / 'b.geojson', sample(path, []))
    assert empty == dict(type='FeatureCollection', features=[])


def test_no_more_than_some_boxes_are_held(tmp_path, monkeypatch):
    from sniper_mmdet.apis import map_results

    monkeypatch.setattr(map_results, '_TOGETHER', 3)
    boxes = [[k, 0, k + 1, 1] for k in range(10)]
    result = sample(write_raster(tmp_path / 'a.tif').path, boxes)
    content = written(tmp_path / 'a.geojson', result, 'pixels')
    assert rings(content)[:, 0, 0].tolist() == list(range(10))
    assert 'level' not in content['features'][0]['properties']


@pytest.mark.parametrize('crs', ['wgs84', 'own', 'pixels'])
def test_an_image_without_a_place_is_written_in_pixels(crs, tmp_path):
    path = tmp_path / 'a.png'
    Image.new('RGB', (100, 60)).save(path)
    result = sample(path, [[1, 2, 30, 40]])
    content = written(tmp_path / 'a.geojson', result, crs)
    assert content['crs'] is None
    corners = [[1, 2], [30, 2], [30, 40], [1, 40], [1, 2]]
    assert rings(content).tolist() == [corners]
    frame = sample(path, [[1, 2, 30, 40]])
    frame.set_metainfo(dict(frame_id=0))
    assert written(tmp_path / 'b.geojson', frame, crs) == content


def test_why_it_is_written_in_pixels_is_told(tmp_path, monkeypatch):
    from sniper_mmdet.apis import map_results

    told = []
    monkeypatch.setattr(map_results, '_warn', told.append)
    path = write_raster(tmp_path / 'a.tif', crs=False).path
    result = sample(path, [[0, 0, 2, 4]])
    content = written(tmp_path / 'a.geojson', result)
    assert content['crs'] is None and rings(content).max() == 4
    assert told.pop() == (
        'a.tif is written in pixels: the raster must have a CRS, and has none.'
    )
    # A world file's numbers are of some map all the same.
    content = written(tmp_path / 'a.geojson', result, 'own')
    assert content['crs'] is None
    assert rings(content).min(1).tolist() == [[500000, 4999998]]
    assert told.pop().startswith('a.tif: its CRS is unknown')
    turned = sample(path, [[0, 0, 2, 4]], (100, 60))
    written(tmp_path / 'a.geojson', turned)
    assert 'has 100x60 px, but it was read as 60x100' in told.pop()
    written(tmp_path / 'a.geojson', result, 'pixels')
    assert not told


def test_a_file_is_written_whole_or_not(tmp_path):
    raster = write_raster(tmp_path / 'a.tif')
    result = sample(raster.path, [[0, 0, 2, 4]])
    path = tmp_path / 'a.geojson'
    before = written(path, result)
    result.pred_instances.labels += 7
    with pytest.raises(IndexError):
        written(path, result)
    assert json.loads(path.read_text()) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        'a.geojson',
        'a.tif',
    ]


def test_where_nothing_can_be_written(tmp_path, monkeypatch):
    def error(name, *args, **kwargs):
        with pytest.raises(UserError) as caught:
            MapResults(tmp_path / name, ('ship',), *args, **kwargs)
        return str(caught.value)

    (tmp_path / 'old').write_text('')
    assert 'must go to a folder' in error('a.geojson', several=True)
    assert 'must be a file (.geojson or .gpkg) or a folder' in error('a.json')
    assert 'or a folder' in error('old')
    (tmp_path / 'b.geojson').mkdir()
    assert 'or a folder' in error('b.geojson')
    monkeypatch.setitem(sys.modules, 'geopandas', None)
    assert 'with: pip install geopandas' in error('a.gpkg')
    monkeypatch.setitem(sys.modules, 'rasterio', None)
    assert 'needs rasterio' in error('a.geojson')
    MapResults(tmp_path / 'a.geojson', ('ship',), 'pixels')
    with pytest.raises(ValueError, match="'wgs84' or 'own' or 'pixels'. Rec"):
        MapResults(tmp_path / 'a.geojson', ('ship',), 'WGS84')


def test_geopackage(tmp_path):
    geopandas = pytest.importorskip('geopandas')
    raster = write_raster(tmp_path / 'a.tif', 'rotated')
    result = sample(raster.path, [box_of(raster.pixels)])
    path = MapResults(tmp_path / 'a.gpkg', ('ship',), 'own').add(result, 'a')
    frame = geopandas.read_file(path)
    assert frame.crs.to_epsg() == 32633
    assert frame[['class', 'score']].values.tolist() == [['ship', 0.9]]
    ring = list(frame.geometry[0].exterior.coords)
    assert same_corners(ring, raster.ring, 0.05)


def test_image_demo(autofocus, demo):
    """Of a folder one file an image, named like it."""
    write_raster(Path('in/rotated/a.tif'), 'rotated')
    tiles = dict(tiled=True, blockxsize=16, blockysize=16)  # read by window
    write_raster(Path('in/degrees/a.tif'), 'degrees', **tiles)
    options = '--score-thr 0 --out-geojson out/map --crs own'.split()
    demo('in', autofocus.config, autofocus.checkpoint, *options)
    predictions = json.loads(Path('out/predictions.json').read_text())
    assert len(predictions) == 2
    for entry in predictions:
        path = Path('out/map', f'{entry["file"]}.geojson')
        content = json.loads(path.read_text())
        assert len(content['features']) == len(entry['scores']) > 0
        names = [f['properties']['class'] for f in content['features']]
        classes = 'disc', 'square', 'triangle', 'ring'
        assert names == [classes[k] for k in entry['labels']]
        assert 'level' in content['features'][0]['properties']
        code = dict(rotated=32633, degrees=4326)[path.parent.name]
        assert f'EPSG::{code}' in content['crs']['properties']['name']


def test_image_demo_on_one_image(autofocus, demo):
    write_raster(Path('in/a.tif'), 'utm')
    model = autofocus.config, autofocus.checkpoint
    demo('in/a.tif', *model, '--out-geojson', 'out/found.geojson')
    content = json.loads(Path('out/found.geojson').read_text())
    assert 'crs' not in content
    near = abs(rings(content) - (15, 45.1534)) < 1e-2
    assert len(near) and near.all()
    write_raster(Path('in/b.tif'), 'utm')
    with pytest.raises(SystemExit, match='image_demo: .*go to a folder'):
        demo('in', *model, '--out-geojson', 'out/found.geojson')
