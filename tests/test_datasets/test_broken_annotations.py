"""What is broken in annotations names its place."""

import copy
import json

import pytest
from chip_data import (
    CLASSES,
    PIPELINE,
    changed,
    chip_dataset,
    coco_config,
    no_chip,
    smooth_image,
    voc_changed,
    voc_config,
    wrapped,
)
from mmdet.datasets import BaseDetDataset, CocoDataset
from mmdet.registry import DATASETS as MMDET_DATASETS

from sniper_mmdet.chips import from_coco
from sniper_mmdet.datasets import CutChip

COCO_FAULTS = [
    (dict(bbox=None), 'the bbox of annotation 7 must be', 'None'),
    (dict(bbox=['1', '2', '3', '4']), 'the bbox of annotation 7', "'1'"),
    (dict(bbox=[1, 2, 3]), 'the bbox of annotation 7 must be', '1, 2, 3'),
    (dict(bbox=[1, 2, 3, None]), 'the bbox of annotation 7', 'None'),
    (dict(bbox=dict(x=1)), 'the bbox of annotation 7', "'x'"),
    (dict(bbox='1234'), 'the bbox of annotation 7', '1234'),
    (dict(area=None), 'the area of annotation 7 must be a number', 'None'),
    (dict(area='9'), 'the area of annotation 7 must be a number', "'9'"),
    (dict(category_id=[3]), 'the category_id of annotation 7', '3'),
    (dict(image_id=[3]), 'the image_id of annotation 7 must be', '[3]'),
    (dict(id=8), 'has two annotations of the id 8', ''),
    ('area', 'annotation 7 has no area', ''),
    ('bbox', 'the bbox of annotation 7 must be', 'None'),
    ('image_id', 'annotation 7 has no image_id', ''),
    ('category_id', 'annotation 7 has no category_id', ''),
    ('id', 'annotation number 8 has no id', ''),
]


@pytest.mark.parametrize(('change', 'sentence', 'received'), COCO_FAULTS)
def test_annotation_that_is_broken(folder, change, sentence, received):
    def spoil(coco):
        ann = coco['annotations'][7]
        ann.pop(change) if isinstance(change, str) else ann.update(change)

    path = changed(folder, spoil)
    with pytest.raises(ValueError, match=f'{path}.* ?{sentence}') as error:
        chip_dataset(wrapped(coco_config(folder), 'ConcatDataset')).full_init()
    assert received in str(error.value) and '\n' not in str(error.value)


IMAGE_FAULTS = [
    (dict(width='160'), "the width of image 11 must .* Received: '160'"),
    (dict(height=[1]), r'the height of image 11 must .* Received: \[1\]'),
    (dict(file_name=7), 'the file_name of image 11 must be text'),
    ('file_name', 'the file_name of image 11 must be text'),
    ('id', "'id', in image number 2"),
]


@pytest.mark.parametrize(('change', 'sentence'), IMAGE_FAULTS)
def test_image_entry_that_is_broken(folder, change, sentence):
    def spoil(coco):
        entry = coco['images'][1]
        entry.pop(change) if isinstance(change, str) else entry.update(change)

    path = changed(folder, spoil)
    with pytest.raises(ValueError, match=f'{path}.*{sentence}'):
        chip_dataset(coco_config(folder)).full_init()


@pytest.mark.parametrize(
    'categories', [['cat', 'dog'], [dict(name='cat')], [dict(id=1)], 'cat']
)
def test_categories_that_are_broken(folder, categories):
    path = changed(folder, lambda c: c.update(categories=categories))
    with pytest.raises(ValueError, match=f'{path}.* categories'):
        chip_dataset(coco_config(folder)).full_init()
    with pytest.raises(ValueError, match=f'{path}.* categories'):
        from_coco(path)


VOC_FAULTS = [
    ('<difficult>0</difficult>', '<difficult/>', 'difficult of object 1'),
    ('<xmin>[0-9]*', '<xmin>', 'xmin of object 1 must be a number'),
    ('<ymax>[0-9]*', '<ymax>low', "object 1 must be .* Received: 'low'"),
    ('<xmin>.*?</xmin>', '', 'object 1 has no xmin'),
    ('<bndbox>.*?</bndbox>', '<polygon/>', 'object 1 has no bndbox'),
    ('<name>.*?</name>', '', 'object 1 has no name'),
    ('<width>[0-9]*', '<width>160.0', "the width of the .* '160.0'"),
    ('<height>.*?</height>', '', 'the image has no height'),
    ('</annotation>', '', 'ParseError'),
]


@pytest.mark.parametrize(('old', 'new', 'sentence'), VOC_FAULTS)
def test_voc_file_that_is_broken(voc_folder, old, new, sentence):
    path = voc_changed(voc_folder, 2, old, new)
    config = wrapped(voc_config(voc_folder), 'RepeatDataset')
    with pytest.raises(ValueError, match=f'^{path}: .*{sentence}') as error:
        chip_dataset(config).full_init()
    assert '\n' not in str(error.value)


@MMDET_DATASETS.register_module(force=True)
class ListedDataset(BaseDetDataset):
    """A user's data set, whose entries are handed to it."""

    METAINFO = dict(classes=CLASSES)

    def load_data_list(self):
        return copy.deepcopy(self.ann_file)

    def _join_prefix(self):
        pass


def listed(change, **info):
    instances = [
        dict(bbox=[10, 10, 40, 40], bbox_label=k % 2, ignore_flag=0)
        for k in range(3)
    ]
    if isinstance(change, str):
        del instances[1][change]
    else:
        instances[1].update(change)
    entry = dict(img_path='b/1.jpg', width=90, height=90, instances=instances)
    good = dict(img_path='b/0.jpg', width=90, height=90)
    good['instances'] = [dict(instances[0]), dict(instances[2])]
    return dict(type='ListedDataset', ann_file=[good, entry | info])


@pytest.mark.parametrize(
    ('change', 'info', 'sentence'),
    [
        ('bbox', {}, r'instances\[1\] has no bbox'),
        (dict(bbox=[1, 2, 3, 4, 5]), {}, r'bbox of instances\[1\] must be'),
        (dict(bbox=None), {}, r'bbox of instances\[1\] .* Received: None'),
        (dict(bbox=[1, 2, 3, 'x']), {}, r'bbox of instances\[1\] must be'),
        (dict(bbox=[1, 2, 3, float('nan')]), {}, r'of instances\[1\]'),
        ('bbox_label', {}, r'bbox_label of instances\[1\] .* None'),
        (dict(bbox_label='cat'), {}, r"label of instances\[1\] .* 'cat'"),
        ({}, dict(width='90'), "the width must be a number. Received: '90'"),
    ],
)
def test_instance_that_is_broken(log, change, info, sentence):
    config = listed(change, **info)
    with pytest.raises(ValueError, match=f'b/1.jpg: .*{sentence}') as error:
        chip_dataset(config).full_init()
    assert str(error.value).count('1.jpg') == 1
    dataset = chip_dataset(config, on_error='skip')
    assert dataset.skipped_images == [1]
    assert len(dataset.images.boxes) == 2
    assert 'skips b/1.jpg' in log.text


def test_ignored_instances_alone_are_no_box():
    config = listed(dict(ignore_flag=1))
    assert len(chip_dataset(config).images.boxes) == 4
    for entry in config['ann_file']:
        for instance in entry['instances']:
            instance['ignore_flag'] = 1
    assert 'have 5 boxes that are ignored' in no_chip(config)


@MMDET_DATASETS.register_module(force=True)
class OwnReading(CocoDataset):
    """A user's CocoDataset, whose annotations are of another form."""

    def parse_data_info(self, raw):
        image = raw['raw_img_info']
        instances = [
            dict(bbox=[*a['corner'], 90, 90], bbox_label=0, ignore_flag=0)
            for a in raw['raw_ann_info']
        ]
        return dict(
            img_path=image['file_name'],
            img_id=image['img_id'],
            width=100,
            height=100,
            instances=instances,
        )


def test_what_a_class_reads_by_itself_is_its_own_matter(tmp_path):
    coco = dict(
        images=[dict(id=i, file_name=f'{i}.jpg') for i in range(2)],
        annotations=[dict(id=1, image_id=0, category_id=1, corner=[5, 5])],
        categories=[dict(id=1, name='cat')],
    )
    path = tmp_path / 'own.json'
    path.write_text(json.dumps(coco))
    config = dict(
        type='OwnReading',
        ann_file=str(path),
        metainfo=dict(classes=('cat',)),
    )
    assert len(chip_dataset(config).images.boxes) == 1
    coco['images'][1]['id'] = 0
    path.write_text(json.dumps(coco))
    with pytest.raises(ValueError, match='two images of the id 0: 0.jpg and'):
        chip_dataset(config).full_init()


@MMDET_DATASETS.register_module(force=True)
class EagerDataset(CocoDataset):
    """A user's data set that reads at once, and has arguments of its own."""

    def __init__(self, folder):
        super().__init__(
            **{
                key: value
                for key, value in coco_config(folder).items()
                if key != 'type'
            }
        )


def test_data_set_that_cannot_wait(folder):
    config = dict(type='EagerDataset', folder=folder)
    assert len(chip_dataset(config).images.boxes) == 40


def test_instance_without_a_mask(folder):
    def outline(coco):
        for ann in coco['annotations'][1:]:
            ann['segmentation'] = [[0, 0, 9, 0, 9, 9]]

    changed(folder, outline)
    pipeline = [dict(step) for step in PIPELINE]
    pipeline[1]['with_mask'] = True
    dataset = chip_dataset(coco_config(folder), pipeline=pipeline)
    row = dataset.mine(0, 0)[0]
    with pytest.raises(ValueError, match='images/0.jpg: .* no mask') as error:
        dataset[row]
    assert 'with_mask=True' in str(error.value)


def test_chips_are_cut_of_a_chip_dataset_only():
    with pytest.raises(ValueError, match='a.jpg has no chip .*[.]ChipDataset'):
        CutChip()(dict(img_path='a.jpg', img=smooth_image(40, 40)))
