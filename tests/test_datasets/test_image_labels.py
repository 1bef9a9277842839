"""Pictures that are labelled as a whole, and ImageNet's boxes."""

import pickle

import pytest
from decoupled import write_pictures
from imagenet_files import CAT, DOG, write_boxes
from mmdet.datasets import ConcatDataset
from mmengine.registry import init_default_scope

from sniper_mmdet.datasets.formats.imagenet import read_boxes, read_wnids
from sniper_mmdet.registry import DATASETS
from sniper_mmdet.structures import image_level

PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=(40, 40), keep_ratio=True),
    dict(type='RandomFlip', prob=1.0),
    dict(type='PackDetInputs'),
]
COLOURS = dict(lime=(0, 200, 0), blue=(200, 0, 0))


def build(name, **settings):
    init_default_scope('mmdet')
    return DATASETS.build(dict(type=f'sniper_mmdet.{name}', **settings))


@pytest.fixture
def folder(tmp_path):
    return write_pictures(tmp_path / 'classes', COLOURS, 2)


def test_folders_are_classes(folder):
    dataset = build(
        'ImageLabelDataset',
        data_prefix=dict(img=f'{folder}'),
        pipeline=PIPELINE,
        metainfo=dict(classes=('red', 'lime', 'blue')),
    )
    assert len(dataset) == 4
    assert [dataset.get_cat_ids(k) for k in range(4)] == [[2], [2], [1], [1]]
    info = dataset.get_data_info(3)
    assert (info['width'], info['height']) == (80, 64)
    sample = dataset[3]['data_samples']
    assert not len(sample.gt_instances)
    ignored = sample.ignored_instances
    assert image_level(ignored.labels).tolist() == [1]
    assert (ignored.labels < -1).all()
    assert ignored.bboxes.tensor.tolist() == [[0, 0, 40, 32]]


def test_folders_name_the_classes(folder):
    how = dict(data_prefix=dict(img=f'{folder}'), pipeline=PIPELINE)
    dataset = build('ImageLabelDataset', **how)
    assert dataset.metainfo['classes'] == ('blue', 'lime')
    some = build('ImageLabelDataset', folders=['lime'], **how)
    assert some.metainfo['classes'] == ('lime',) and len(some) == 2
    message = "has the class 'blue', which metainfo.classes lacks"
    with pytest.raises(ValueError, match=message):
        build('ImageLabelDataset', metainfo=dict(classes=('lime',)), **how)


def test_a_list(folder, tmp_path):
    path = tmp_path / 'list.txt'
    path.write_text('lime/0.png blue/1.png\nlime/1\n')
    how = dict(
        ann_file=str(path),
        data_prefix=dict(img=f'{folder}'),
        img_suffix='.png',
    )
    dataset = build('ImageLabelDataset', **how)
    assert dataset.metainfo['classes'] == ('lime', 'blue')
    assert [dataset.get_cat_ids(k) for k in range(3)] == [[0], [1], [0]]
    assert dataset.get_data_info(2)['width'] == 80
    path.write_text('lime-0.png')
    with pytest.raises(ValueError, match='WNID/name'):
        build('ImageLabelDataset', **how)


def test_beside_boxes(folder, tiny_scenes):
    """One data set of the same classes, as a checkpoint wants them."""
    init_default_scope('mmdet')
    boxes = DATASETS.build(
        dict(
            type='sniper_mmdet.SampleDataset',
            data_root=f'{tiny_scenes}/',
            ann_file='train.json',
            data_prefix=dict(img='images/'),
        )
    )
    classes = boxes.metainfo['classes']
    for new, old in zip(classes, COLOURS, strict=False):
        (folder / old).rename(folder / new)
    whole = build(
        'ImageLabelDataset',
        data_prefix=dict(img=f'{folder}'),
        metainfo=dict(classes=classes),
    )
    both = ConcatDataset([boxes, whole])
    assert len(both) == 6 + 4
    assert boxes.metainfo.items() <= both.metainfo.items()


def test_boxes_of_imagenet(tmp_path):
    good = (CAT, (0, 1, 100, 80))
    write_boxes(
        tmp_path / 'a.xml',
        (DOG, (10, 10, 101, 20)),
        (DOG, (10, 10, 20, 81)),
        (DOG, (10, 10, 10, 20)),
        (DOG, (10, 20, 20, 20)),
        ('n00000001', (1, 1, 2, 2)),
        good,
    )
    size, found = read_boxes(tmp_path / 'a.xml', [DOG, CAT])
    assert size == (100, 80) and found == [(1, [0, 1, 100, 80])]
    write_boxes(tmp_path / 'b.xml', (DOG, (1, 1, 4001, 9)), size=(5000, 50))
    assert read_boxes(tmp_path / 'b.xml', [DOG])[1] == []
    (tmp_path / 'c.xml').write_text('<annotation/>')
    with pytest.raises(ValueError, match=r'c\.xml must be a box file'):
        read_boxes(tmp_path / 'c.xml', [DOG])


def test_imagenet(tmp_path):
    write_boxes(tmp_path / f'box/{DOG}/x.xml', (DOG, (1, 2, 30, 40)))
    write_boxes(tmp_path / f'box/{CAT}/y.xml', (CAT, (1, 2, 300, 40)))
    (tmp_path / 'classes.txt').write_text(f'{CAT} cat\n{DOG} dog\n')
    (tmp_path / 'list.txt').write_text(f'{DOG}/x\n{CAT}/y\n')
    how = dict(
        data_root=f'{tmp_path}/',
        ann_file='list.txt',
        class_file='classes.txt',
        data_prefix=dict(img='img/', ann='box/'),
    )
    dataset = build('ImageNetDetDataset', **how)
    assert dataset.metainfo['classes'] == (CAT, DOG) and len(dataset) == 1
    info = dataset.get_data_info(0)
    assert info['img_path'] == str(tmp_path / f'img/{DOG}/x.JPEG')
    assert info['instances'] == [
        dict(bbox=[1, 2, 30, 40], bbox_label=1, ignore_flag=0)
    ]
    assert len(build('ImageNetDetDataset', test_mode=True, **how)) == 2


def test_class_files(tmp_path):
    path = tmp_path / 'clusters.txt'
    path.write_bytes(pickle.dumps({0: [CAT], 1: [DOG]}, protocol=0))
    assert read_wnids(path) == ([CAT, DOG], [0, 1])
    path.write_text(f'{CAT}\n{CAT}\n')
    with pytest.raises(ValueError, match=f'the class {CAT} twice'):
        read_wnids(path)
    path.write_bytes(pickle.dumps({0: ['cat']}))
    with pytest.raises(ValueError, match='must be lines that begin with'):
        read_wnids(path)
