"""Objects of any class, and boxes that are proposed for labelling."""

import json

import pytest
from decoupled import COLOURS, write_checkpoint, write_config, write_pictures
from mmdet.apis import init_detector
from pycocotools.coco import COCO

from sniper_mmdet.apis import detect, propose_labels
from sniper_mmdet.apis.class_groups import (
    groups_by_features,
    groups_by_supercategory,
)
from sniper_mmdet.apis.inference import class_names
from sniper_mmdet.engine.build import load_config

pytestmark = pytest.mark.usefixtures('fast_configs')


@pytest.fixture(scope='module')
def model(decoupled_files):
    return init_detector(*map(str, decoupled_files), device='cpu')


def test_detect(model, tiny_scenes, tmp_path):
    image = tiny_scenes / 'images'
    names, out = class_names(model), tmp_path / 'found.json'
    found = list(detect(model, image, class_agnostic=True, out_json=out))
    assert all(
        len(r.pred_instances) and (r.pred_instances.labels == 0).all()
        for r in found
    )
    seen = json.loads(out.with_suffix('.images.json').read_text())
    assert [c['name'] for c in seen['categories']] == ['object']
    # Once all are there the detector is as before.
    assert class_names(model) == names and len(names) == 4
    classes = [r.pred_instances for r in detect(model, image)]
    assert any((one.labels > 0).any() for one in classes)
    best = max(float(one.scores.max()) for one in classes)
    assert best < max(float(r.pred_instances.scores.max()) for r in found)


def test_a_plain_detector_has_no_objectness(tiny_scenes, tmp_path):
    more = (
        "model['roi_head']['bbox_head'].update(type='Shared2FCBBoxHead')\n"
        "model['roi_head'].update(type='StandardRoIHead')\n"
    )
    config = write_config(tmp_path / 'plain.py', tiny_scenes, more)
    checkpoint = write_checkpoint(config, tmp_path / 'plain.pth')
    plain = init_detector(str(config), str(checkpoint), device='cpu')
    with pytest.raises(ValueError, match='has no fine branch'):
        detect(plain, tiny_scenes / 'images', class_agnostic=True)


def test_the_best_object_of_each_picture(model, tmp_path):
    folder = write_pictures(tmp_path / 'pictures', COLOURS, 2)
    out = tmp_path / 'labels.json'
    propose_labels(model, folder, out)
    coco = COCO(str(out))
    assert [c['name'] for c in coco.loadCats([1, 2])] == ['blue', 'lime']
    assert [i['file_name'] for i in coco.dataset['images']] == [
        'blue/0.png',
        'blue/1.png',
        'lime/0.png',
        'lime/1.png',
    ]
    assert [a['category_id'] for a in coco.dataset['annotations']] == [
        1,
        1,
        2,
        2,
    ]
    for annotation in coco.dataset['annotations']:
        x, y, w, h = annotation['bbox']
        assert 0 <= x < x + w <= 80 and 0 <= y < y + h <= 64
        assert 0 < annotation['score'] <= 1
    # CVAT reads no file that lacks them.
    assert {'info', 'licenses'} <= coco.dataset.keys()


def test_all_objects(model, tiny_scenes, tmp_path):
    out = tmp_path / 'labels.json'
    how = dict(every=True, score_thr=0.0)
    propose_labels(model, tiny_scenes / 'images', out, **how)
    every = COCO(str(out)).dataset
    assert [c['name'] for c in every['categories']] == ['object']
    assert len(every['annotations']) > len(every['images']) > 1
    propose_labels(
        model, tiny_scenes / 'images', out, every=True, score_thr=1.0
    )
    assert not COCO(str(out)).dataset['annotations']
    (tmp_path / 'empty').mkdir()
    with pytest.raises(FileNotFoundError, match='has no image'):
        propose_labels(model, tmp_path / 'empty', out, every=True)


def test_groups(decoupled_files, tmp_path):
    files = decoupled_files
    cfg = load_config(str(files[0]))
    names, groups = groups_by_features(cfg, files[1], 2)
    assert len(names) == len(groups) == 4
    assert set(groups) == {0, 1} and groups[0] == 0
    ann = tmp_path / 'ann.json'
    kinds = ['b', 'a', 'b', 'b']
    categories = [
        dict(id=k, name=name, supercategory=kind)
        for k, (name, kind) in enumerate(zip(names, kinds, strict=True), 1)
    ]
    ann.write_text(json.dumps(dict(categories=categories)))
    assert groups_by_supercategory(cfg, ann) == (names, [0, 1, 0, 0])
    del categories[1]['supercategory']
    ann.write_text(json.dumps(dict(categories=categories)))
    with pytest.raises(ValueError, match=f'none of {names[1]!r}'):
        groups_by_supercategory(cfg, ann)
    with pytest.raises(ValueError, match='must be 1 to 4'):
        groups_by_features(cfg, files[1], 5)
