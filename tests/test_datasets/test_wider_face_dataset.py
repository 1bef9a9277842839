"""WIDER FACE's files, whole and broken, as a data set and as COCO."""

import json
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from scipy.io import loadmat, savemat
from tiny import ROOT
from wider_files import IMAGES, column, text_of, write_mats

from sniper_mmdet.datasets.formats.wider_face import (
    convert_wider_face,
    read_wider_face,
)
from sniper_mmdet.registry import DATASETS
from sniper_mmdet.utils.errors import UserError
from sniper_mmdet.utils.mat_files import read_mat
from sniper_mmdet.utils.wider_mat import read_wider_mat

FIRST, EMPTY, THIRD = IMAGES
XML = """<annotation><folder>{folder}</folder>
<size><width>96</width><height>64</height></size>{objects}</annotation>"""
OBJECT = """<object><name>{name}</name><difficult>{difficult}</difficult>
<blur>1</blur><bndbox><xmin>10</xmin><ymin>12</ymin><xmax>40</xmax>
<ymax>52</ymax></bndbox></object>"""


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Images, and their annotation in each format."""
    root = tmp_path_factory.mktemp('wider')
    for name in IMAGES:
        path = root / f'images/{name}.jpg'
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((64, 96, 3), 90, np.uint8))
    (root / 'gt.txt').write_text(text_of())
    (root / 'bare.txt').write_text(text_of(zeros_of_none=False))
    (root / 'test.txt').write_text('\n'.join(f'{n}.jpg' for n in IMAGES))
    write_mats(root)
    xml = root / 'images/Annotations'
    xml.mkdir()
    event, stem = FIRST.split('/')
    objects = [
        OBJECT.format(name=name, difficult=difficult)
        for name, difficult in (('face', 0), ('face', 1), ('dog', 0))
    ]
    text = XML.format(folder=event, objects=''.join(objects))
    (xml / f'{stem}.xml').write_text(text)
    (root / 'names.txt').write_text(f'{stem}\n')
    return root


def build(folder, ann_file, **settings):
    init_default_scope('mmdet')
    return DATASETS.build(
        dict(
            type='sniper_mmdet.WiderFaceDataset',
            data_root=str(folder),
            ann_file=ann_file,
            data_prefix=dict(img='images'),
            **settings,
        )
    )


@pytest.mark.parametrize('ann', ['gt.txt', 'bare.txt', 'wider_face_val.mat'])
def test_official_files(folder, ann):
    dataset = build(folder, ann)
    infos = [dataset.get_data_info(k) for k in range(len(dataset))]
    assert [info['img_id'] for info in infos] == list(IMAGES)
    assert all(Path(info['img_path']).is_file() for info in infos)
    assert {(info['width'], info['height']) for info in infos} == {(96, 64)}
    first, empty, third = [info['instances'] for info in infos]
    assert first[0] == dict(
        bbox=[10, 12, 40, 52],
        bbox_label=0,
        ignore_flag=0,
        blur=1,
        expression=0,
        illumination=0,
        invalid=0,
        occlusion=2,
        pose=1,
    )
    assert first[1]['ignore_flag'] == first[1]['invalid'] == 1
    assert empty == []
    # That of no width is left out.
    assert [one['bbox'] for one in third] == [
        [20, 30, 40, 55],
        [50, 50, 58, 59],
    ]
    assert dataset.metainfo['classes'] == ('face',)


def test_test_images(folder):
    dataset = build(folder, 'test.txt', test_mode=True)
    assert len(dataset) == 3
    info = dataset.get_data_info(2)
    assert info['img_id'] == THIRD and not info['instances']
    assert 'width' not in info  # no image is opened for it


def test_xml_of_mmdet(folder):
    info = build(folder, 'names.txt').get_data_info(0)
    assert info['img_id'] == FIRST and Path(info['img_path']).is_file()
    assert (info['width'], info['height']) == (96, 64)
    assert [
        (one['bbox'], one['ignore_flag'], one['blur'])
        for one in info['instances']
    ] == [([10, 12, 40, 52], 0, 1), ([10, 12, 40, 52], 1, 1)]


def test_settings(folder):
    def flags(**settings):
        dataset = build(folder, 'gt.txt', **settings)
        infos = [dataset.get_data_info(k) for k in range(len(dataset))]
        return [
            [i['ignore_flag'] for i in info['instances']] for info in infos
        ]

    assert flags() == [[0, 1], [], [0, 0]]
    assert flags(ignore_invalid=False) == [[0, 0], [], [0, 0]]
    rules = dict(filter_empty_gt=True, bbox_min_size=10)
    assert flags(filter_cfg=rules) == [[0, 1], [0, 1]]
    assert flags(filter_cfg=rules, test_mode=True) == [[0, 1], [], [0, 0]]
    with pytest.raises(UserError, match='leaves none of 3 images'):
        flags(filter_cfg=dict(min_size=65))


def test_chips(folder):
    cfg = Config.fromfile(ROOT / 'configs/_base_/datasets/wider-face_chips.py')
    chips = cfg.train_dataloader.dataset
    chips.dataset.update(data_root=str(folder), ann_file='gt.txt')
    chips.dataset.data_prefix = dict(img='images')
    init_default_scope('mmdet')
    dataset = DATASETS.build(chips)
    images = dataset.images
    assert len(images.boxes) == 3  # trained ones; one is ignored
    sample = dataset[0]['data_samples']
    assert len(sample.gt_instances) and sample.gt_instances.labels.sum() == 0
    assert cfg.val_evaluator.type == 'sniper_mmdet.WiderFaceMetric'
    assert cfg.val_dataloader.dataset.test_mode


@pytest.mark.parametrize('ann', ['gt.txt', 'wider_face_val.mat'])
def test_as_coco(folder, ann, tmp_path):
    out = tmp_path / 'a.json'
    text = convert_wider_face(folder / 'images', folder / ann, out)
    none = 1 if ann == 'gt.txt' else 2
    assert f'{none} boxes of no pixel in their image left out' in text
    coco = json.loads(out.read_text())
    assert [one['file_name'] for one in coco['images']] == [
        f'{name}.jpg' for name in IMAGES
    ]
    found = [(a['bbox'], a['iscrowd'], a['pose']) for a in coco['annotations']]
    assert found == [
        ([10, 12, 30, 40], 0, 1),
        ([60, 20, 5, 6], 1, 0),
        ([20, 30, 20, 25], 0, 0),
        ([50, 50, 8, 9], 0, 0),
    ]
    assert coco['categories'] == [dict(id=1, name='face')]


def test_the_converter(folder, tmp_path, monkeypatch, capsys):
    out = tmp_path / 'a.json'
    args = 'images', 'gt.txt', '--out', out
    monkeypatch.setattr(sys, 'argv', ['wider_to_coco', *map(str, args)])
    monkeypatch.chdir(folder)
    script = ROOT / 'tools/dataset_converters/wider_to_coco.py'
    runpy.run_path(str(script), run_name='__main__')
    assert f'{out} is written' in capsys.readouterr().out
    assert len(json.loads(out.read_text())['annotations']) == 4


def test_as_coco_with_a_broken_image(folder, tmp_path):
    path = tmp_path / 'gt.txt'
    path.write_text(text_of() + 'none/x.jpg\n1\n1 1 9 9 0 0 0 0 0 0\n')
    args = folder / 'images', path, tmp_path / 'a.json'
    with pytest.raises(ValueError, match='x.jpg cannot be read as an image'):
        convert_wider_face(*args)
    assert '1 broken images left out' in convert_wider_face(*args, True)
    with pytest.raises(ValueError, match='must be a .json file'):
        convert_wider_face(*args[:2], tmp_path / 'a.txt')


def test_text_cut_at_every_length(tmp_path):
    """What is read of a part is the images and faces that it has."""
    path, text = tmp_path / 'gt.txt', text_of()
    path.write_text(text)
    whole = read_wider_face(path, tmp_path)
    read = 0
    for length in range(len(text)):
        path.write_text(text[:length])
        try:
            found = read_wider_face(path, tmp_path)
        except (FileNotFoundError, UserError) as error:
            # A first name alone may be that of an XML file.
            assert str(tmp_path) in str(error)
            continue
        read += 1
        names = [image.name for image in found]
        assert names == [image.name for image in whole[: len(found)]]
        if len(found) > 1 or length > len(names[0]) + 1:
            assert found[:-1] == whole[: len(found) - 1]
            own, every = found[-1].faces, whole[len(found) - 1].faces
            assert own == every or (not own and not every)
    assert 0 < read < 20


@pytest.mark.parametrize('compressed', [False, True])
def test_mat_cut_at_every_length(folder, tmp_path, compressed):
    mat = loadmat(folder / 'wider_easy_val.mat')
    content = {key: value for key, value in mat.items() if key[0] != '_'}
    path = tmp_path / 'a.mat'
    savemat(path, content, do_compression=compressed)
    whole = read_wider_mat(path)
    assert whole.names == list(IMAGES)
    assert whole.boxes[0].tolist() == [[10, 12, 30, 40], [60, 20, 5, 6]]
    content = path.read_bytes()
    assert content[128] == (15 if compressed else 14)
    read = 0
    for length in range(len(content)):
        path.write_bytes(content[:length])
        try:
            # Between two variables: the metric misses the last.
            assert read_wider_mat(path).counted is None
            read += 1
        except UserError as error:
            assert str(path) in str(error)
    assert read == 1


def test_mat_with_huge_numbers_in_each_place(folder, tmp_path):
    content = (folder / 'wider_easy_val.mat').read_bytes()
    path = tmp_path / 'a.mat'
    read = 0
    for place in range(128, len(content) - 3, 4):
        broken = bytearray(content)
        broken[place : place + 4] = (2**31 - 1).to_bytes(4, 'little')
        path.write_bytes(broken)
        try:
            read_wider_mat(path)
            read += 1
        except UserError as error:
            assert str(path) in str(error)
    assert read > 0  # where the number was that of a box


def test_numbers_of_mats(tmp_path):
    """All kinds of numbers and texts, as SciPy writes them."""
    kinds = 'f4 f8 i1 i2 i4 i8 u1 u2 u4 u8'.split()
    content = {kind: np.arange(6, dtype=kind).reshape(2, 3) for kind in kinds}
    content |= dict(text='Zürich 1', empty=np.zeros((0, 4)), none='')
    savemat(tmp_path / 'a.mat', content)
    found = read_mat(tmp_path / 'a.mat')
    for kind in kinds:
        assert found[kind].dtype == kind
        assert found[kind].tolist() == content[kind].tolist()
    assert found['text'] == 'Zürich 1' and found['none'] == ''
    assert found['empty'].shape == (0, 4)
    savemat(tmp_path / 'a.mat', dict(a=dict(b=1)))
    with pytest.raises(UserError, match='a holds neither numbers, texts nor'):
        read_mat(tmp_path / 'a.mat')


@pytest.mark.parametrize(
    'text, reason',
    [
        ('', 'an empty file'),
        ('a/b.jpg\n2\n1 2 3 4 0 0 0 0 0 0\n', 'breaks off: it must be face 2'),
        ('a/b.jpg\n1 2 3 4\n', 'line 2: must be the number of faces of a'),
        ('a/b.jpg\n99999999999999\n', 'line 2: must be the number of faces'),
        ('a/b.jpg\n999999999\n', 'breaks off: it must be face 1 of 999999999'),
        ('a/b.jpg\n-1\n', 'line 2: must be the number of faces'),
        ('a/b.jpg\n1\n1 2 nan 4 0 0 0 0 0 0\n', 'line 3: must be finite num'),
        ('a/b.jpg\n1\n1 2 inf 4 0 0 0 0 0 0\n', 'line 3: must be finite num'),
        ('a/b.jpg\n1\n1 2 3 4 0 0 0 0 0\n', 'line 3: must be face 1 of 1'),
        ('a/b.jpg\n1\n1 2 3 4 0 0 0 0 0 x\n', 'line 3: must be finite numb'),
        ('a/b.jpg\n0\n1 2 3 4 0 0 0 0 0 0\n', 'must be zeros only'),
        ('a/b.jpg\n0\na/b.jpg\n0\n', 'line 3: must be an image that is not'),
        ('a/b.jpg\n0\na/c\n0\n', 'line 3: must be an image, EVENT/NAME.jpg'),
    ],
)
def test_broken_text(text, reason, tmp_path):
    path = tmp_path / 'gt.txt'
    path.write_text(text)
    with pytest.raises(UserError, match=reason):
        read_wider_face(path, tmp_path)


def test_boxes_of_no_area_and_negative_sides(tmp_path):
    path = tmp_path / 'gt.txt'
    path.write_text('a/b c.jpg\n2\n5 5 -2 3 0 0 0 0 0 0\n5 5 2 3 0 0 0 0 0 0')
    (image,) = read_wider_face(path, tmp_path)
    assert image.name == 'a/b c.jpg' and len(image.faces) == 2
    assert [face['w'] for face in image.visible] == [2]


def test_broken_mats(folder, tmp_path):
    good = loadmat(folder / 'wider_easy_val.mat')
    good = {key: value for key, value in good.items() if key[0] != '_'}

    def broken(reason, **change):
        path = tmp_path / 'a.mat'
        savemat(
            path, {k: v for k, v in (good | change).items() if v is not None}
        )
        with pytest.raises(UserError, match=reason):
            read_wider_mat(path)

    broken('must have the cells face_bbx_list', face_bbx_list=None)
    broken('must have the cells file_list', file_list=np.zeros(3))
    broken('as many cells as event_list', event_list=column(['a']))
    broken('must hold names', event_list=column([np.zeros(3), 'b']))
    faces = good['face_bbx_list'].copy()
    faces[0, 0] = column([np.full((1, 4), np.nan), np.zeros((0, 4))])
    broken('face_bbx_list|must have finite numbers', face_bbx_list=faces)
    faces[0, 0] = column([np.zeros((1, 3)), np.zeros((0, 4))])
    broken('must be rows of x, y, w, h', face_bbx_list=faces)
    counted = good['gt_list'].copy()
    counted[0, 0] = column([np.array([[3.0]]), np.zeros((0, 1))])
    broken('gt_list must have numbers of the 2 faces', gt_list=counted)
    counted[0, 0] = column([np.array([[0.5]]), np.zeros((0, 1))])
    broken('gt_list must have numbers of the 2 faces', gt_list=counted)
    labels = dict(blur_label_list=good['face_bbx_list'])
    broken('blur_label_list must have a value for each', **labels)


@pytest.mark.parametrize(
    'old, new, reason',
    [
        ('<width>96</width>', '', 'the width of the image must be a number'),
        ('<xmin>10</xmin>', '', 'the xmin of object 1 must be a number'),
        ('<xmin>10', '<xmin>nan', "Received: 'nan'"),
        ('</annotation>', '', 'cannot be read as XML'),
        ('<blur>1', '<blur>x', 'the blur of object 1 must be a number'),
    ],
)
def test_broken_xml(folder, tmp_path, old, new, reason):
    text = next((folder / 'images/Annotations').iterdir()).read_text()
    (tmp_path / 'Annotations').mkdir()
    (tmp_path / 'Annotations/n.xml').write_text(text.replace(old, new))
    (tmp_path / 'names.txt').write_text('n')
    with pytest.raises(UserError, match=reason):
        read_wider_face(tmp_path / 'names.txt', tmp_path)
