"""Labels are the classes that they are called, in every data set."""

import json

import pytest
from chip_data import CLASSES, chip_dataset, coco_config, read, write
from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS as MMDET

from sniper_mmdet.datasets.classes import (
    check_classes,
    check_order,
    moved,
    read_categories,
)
from sniper_mmdet.registry import DATASETS

SWAPPED = CLASSES[::-1]


def wrapped(kind, *configs):
    if kind == 'ConcatDataset':
        return dict(type=kind, datasets=list(configs))
    if kind is None:
        return configs[0]
    more = dict(
        RepeatDataset=dict(times=2),
        ClassBalancedDataset=dict(oversample_thr=0.1),
        MultiImageMixDataset=dict(pipeline=[]),
    )
    return dict(type=kind, dataset=configs[0], **more[kind])


WRAPPERS = [
    None,
    'ConcatDataset',
    'RepeatDataset',
    'ClassBalancedDataset',
    'MultiImageMixDataset',
]


@MMDET.register_module()
class RenamedDataset(CocoDataset):
    """What a user adds: other images, labels as CocoDataset has them."""


@MMDET.register_module()
class ForeignDataset(CocoDataset):
    """What a user adds: its ann_file is no COCO file."""

    def load_data_list(self):
        found = super().load_data_list()
        self.ann_file = __file__
        return found


@pytest.mark.parametrize('kind', WRAPPERS)
@pytest.mark.parametrize('type_', ['CocoDataset', 'RenamedDataset'])
def test_another_order_than_that_of_the_file(folder, kind, type_):
    config = coco_config(folder) | dict(type=type_)
    check_classes(DATASETS.build(wrapped(kind, config)))
    config['metainfo'] = dict(classes=SWAPPED)
    with pytest.raises(ValueError) as error:
        check_classes(DATASETS.build(wrapped(kind, config)))
    text = str(error.value)
    assert 'coco.json number the labels in another order' in text
    assert "['cat', 'dog'] is the order of the file" in text
    assert "['dog', 'cat'] that of metainfo" in text


def test_chips_of_another_order(folder):
    config = coco_config(folder, filter_cfg=dict(min_size=1))
    config['metainfo'] = dict(classes=SWAPPED)
    with pytest.raises(ValueError, match='in another order than metainfo'):
        chip_dataset(config).full_init()


def test_files_of_two_orders_in_one_data_set(folder):
    coco = read(folder)
    coco['categories'].reverse()
    (folder / 'other.json').write_text(json.dumps(coco))
    configs = coco_config(folder), coco_config(folder)
    configs[1]['ann_file'] = 'other.json'
    data = wrapped('ConcatDataset', *configs)
    with pytest.raises(ValueError, match='other.json number the labels in'):
        chip_dataset(data).full_init()
    # Each part calls its labels right, and they are not alike.
    configs[1]['metainfo'] = dict(classes=SWAPPED)
    with pytest.raises(ValueError, match='the same classes in one order. R'):
        chip_dataset(data).full_init()


@pytest.mark.parametrize('type_', ['CocoDataset', 'RenamedDataset'])
def test_metainfo_that_was_forgotten(folder, type_):
    config = coco_config(folder) | dict(type=type_, test_mode=True)
    del config['metainfo']
    sentence = "class 'person', which .*coco.json lacks.*'cat', 'dog'"
    with pytest.raises(ValueError, match=sentence):
        check_classes(DATASETS.build(config))


def test_one_class_as_a_text(folder):
    config = coco_config(folder) | dict(metainfo=dict(classes='cat'))
    with pytest.raises(ValueError, match=r"\('cat',\) for one class"):
        check_classes(DATASETS.build(config))


def test_a_part_of_the_classes_and_other_ids(folder):
    config = coco_config(folder) | dict(metainfo=dict(classes=('dog',)))
    check_classes(DATASETS.build(config))
    coco = read(folder)
    coco['categories'].insert(1, dict(id=5, name='cow'))
    write(folder, coco)
    check_classes(DATASETS.build(coco_config(folder)))


def test_what_reads_something_else_is_left_alone(folder):
    config = coco_config(folder) | dict(type='ForeignDataset')
    check_classes(DATASETS.build(config))


@MMDET.register_module()
class CountingDataset(CocoDataset):
    """What a user adds: labels that count from 1, as ids often do."""

    def parse_data_info(self, raw_data_info):
        info = super().parse_data_info(raw_data_info)
        for one in info['instances']:
            one['bbox_label'] += 1
        return info


def test_labels_beyond_the_classes(folder):
    """A head of two classes has 2 for the background."""
    config = coco_config(folder) | dict(type='CountingDataset')
    with pytest.raises(
        ValueError, match='labels must be below 2.*Received: 2'
    ):
        chip_dataset(config).full_init()


def test_voc_numbers_by_its_classes(voc_folder):
    config = dict(
        type='VOCDataset',
        data_root=str(voc_folder),
        ann_file='VOC2007/ImageSets/Main/train.txt',
        data_prefix=dict(sub_data_root='VOC2007/'),
    )
    for classes in (CLASSES, SWAPPED):
        config['metainfo'] = dict(classes=classes)
        check_classes(DATASETS.build(config))


@pytest.mark.parametrize(
    ('categories', 'sentence'),
    [
        (['a', 'b', 'c'], None),
        (['a', 'b', 'd_(of_lvis)'], None),
        (['a', 'c', 'b'], 'another order'),
        (['a', 'b'], "class 'c', which f.json lacks"),
        (['a', 'a', 'b'], "f.json has two categories with the name 'a'"),
    ],
)
def test_orders(categories, sentence):
    if sentence is None:
        check_order(('a', 'b', 'c'), categories, [*categories, 'x'], 'f.json')
        return
    with pytest.raises(ValueError, match=sentence):
        check_order(('a', 'b', 'c'), categories, [*categories, 'x'], 'f.json')


def test_moved():
    assert not moved('ab', 'ab')
    assert not moved('ab', 'xb')
    assert moved('ab', 'ba')
    assert moved('ab', 'xa')


@pytest.mark.parametrize('order', [1, -1])
@pytest.mark.parametrize('size', [1, 100_000])
def test_categories_are_found_in_any_place(tmp_path, order, size):
    """Text that looks like the key is none; long lists are whole."""
    categories = [
        dict(id=1, name='ä"categories": [], \\'),
        dict(id=2, name='y' * size, skeleton=[[1, 2]]),
    ]
    coco = dict(info='"categories": [', images=[], categories=categories)
    coco = dict(list(coco.items())[::order])
    for indent in (None, 2):
        path = tmp_path / 'coco.json'
        text = json.dumps(coco, indent=indent, ensure_ascii=False)
        path.write_text(text, encoding='utf-8')
        assert read_categories(str(path)) == categories


def test_categories_beside_others_of_that_name(tmp_path):
    path = tmp_path / 'coco.json'
    inner = dict(id=1, categories=[5])
    path.write_text(json.dumps(dict(images=[inner], categories=[dict(id=2)])))
    assert read_categories(str(path)) == [dict(id=2)]
