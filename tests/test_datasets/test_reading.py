"""What data sets leave out is told, and what is broken names its place."""

import copy
import json
import re

import pytest
from chip_data import (
    CLASSES,
    PIPELINE,
    chip_dataset,
    coco_config,
    read,
    smooth_image,
    write,
)
from mmdet.datasets import BaseDetDataset, CocoDataset
from mmdet.registry import DATASETS as MMDET_DATASETS

from sniper_mmdet.chips import from_coco
from sniper_mmdet.chips.coco import read_coco
from sniper_mmdet.datasets import ChipSampler, CutChip


def wrapped(config, kind):
    if kind == 'ConcatDataset':
        return dict(type=kind, datasets=[config])
    if kind == 'RepeatDataset':
        return dict(type=kind, dataset=config, times=2)
    return config


WRAPPERS = [None, 'ConcatDataset', 'RepeatDataset']


def changed(folder, change):
    """Change the folder's COCO file; its path."""
    coco = read(folder)
    change(coco)
    write(folder, coco)
    return str(folder / 'coco.json')


def voc_config(folder, **changes):
    return dict(
        type='VOCDataset',
        data_root=str(folder),
        ann_file='VOC2007/ImageSets/Main/train.txt',
        data_prefix=dict(sub_data_root='VOC2007/'),
        metainfo=dict(classes=CLASSES),
        **changes,
    )


def voc_changed(folder, number, old, new):
    """Change one XML file of a VOC folder, once; its path."""
    path = folder / f'VOC2007/Annotations/{number}.xml'
    text, count = re.subn(old, new, path.read_text(), count=1)
    assert count
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize('kind', WRAPPERS)
def test_two_images_of_one_id(folder, kind):
    def join(coco):
        for entry in coco['images']:
            entry['id'] = 10 + (entry['id'] - 10) % 3
        for ann in coco['annotations']:
            ann['image_id'] = 10 + (ann['image_id'] - 10) % 3

    path = changed(folder, join)
    sentence = f'{path} has two images of the id 10: 0.jpg and 3.jpg.'
    with pytest.raises(ValueError, match=re.escape(sentence)):
        chip_dataset(wrapped(coco_config(folder), kind)).full_init()
    with pytest.raises(ValueError, match=re.escape(sentence)):
        from_coco(path)


def test_image_that_is_listed_twice(folder, log):
    count = len(chip_dataset(coco_config(folder)).images.boxes)
    path = changed(folder, lambda c: c['images'].append(c['images'][0]))
    found = chip_dataset(coco_config(folder)).images
    assert len(found) == len(from_coco(path)) == 4
    assert len(found.boxes) == count
    assert '1 images are listed twice' in log.text


def test_two_images_of_one_file(folder, log):
    changed(folder, lambda c: c['images'][2].update(file_name='0.jpg'))
    chip_dataset(coco_config(folder)).full_init()
    assert '1 images have the file name of another (0.jpg)' in log.text


def spoil(coco):
    """One annotation for each reason to leave it out, and one more crowd."""
    changes = [
        dict(image_id=99),
        dict(ignore=1),
        dict(category_id=77),
        dict(area=0),
        dict(bbox=[1000, 10, 20, 20]),
        dict(bbox=[10, 10, 0.5, 20]),
        dict(iscrowd=1),
        dict(iscrowd=1, area=7),
    ]
    for ann, change in zip(coco['annotations'][5:], changes, strict=False):
        ann.update(change)


@pytest.mark.parametrize('kind', WRAPPERS)
def test_config_and_file_count_alike(folder, log, caplog, kind):
    path = changed(folder, spoil)
    config = wrapped(coco_config(folder), kind)
    images, (others, empty) = chip_dataset(config).images, read_coco(path)
    times = 2 if kind == 'RepeatDataset' else 1
    assert len(images.boxes) == times * len(others.boxes) == times * 32
    assert empty == 3
    for index in range(4):
        a, b = images.of_image(index), others.of_image(index)
        assert (a == b).all() and a.shape == b.shape
    box = read(folder)['annotations'][8]['bbox']
    sentence = (
        f'{path}: 8 of 40 annotations train no box: 1 name an image that is '
        'not in the file (annotation 5; image_id 99); 1 have the field ignore '
        '(annotation 6); 1 name a category that is not in the file '
        '(annotation 7; category_id 77); 3 have an area of 0 or no pixel in '
        f'their image (annotation 8, 9, 10; bbox {box}); 2 are crowds '
        '(annotation 11, 12).'
    )
    told = [line for line in log.messages if sentence in line]
    assert len(told) == 2  # one of mmengine's logger, one of the reader alone


def test_classes_that_are_not_trained_are_told(folder, log):
    config = coco_config(folder) | dict(metainfo=dict(classes=('dog',)))
    count = len(chip_dataset(config).images.boxes)
    text = f'{40 - count} are of classes that metainfo does not name'
    assert text in log.text


@pytest.mark.parametrize('side', [0, -1, None, 'missing'])
@pytest.mark.parametrize('kind', WRAPPERS)
def test_sizes_of_headers(folder, side, kind):
    known = chip_dataset(wrapped(coco_config(folder), kind)).images

    def hide(coco):
        for entry in coco['images'][1:]:
            entry.update(width=side, height=side)
            if side == 'missing':
                del entry['width'], entry['height']

    changed(folder, hide)
    config = coco_config(folder, filter_cfg=dict(min_size=32))
    found = chip_dataset(wrapped(config, kind)).images
    for a, b in zip(found, known, strict=True):
        assert (a == b).all()


@pytest.mark.parametrize('side', ['0', '-1'])
@pytest.mark.parametrize('kind', WRAPPERS)
def test_sizes_of_headers_in_voc(voc_folder, side, kind):
    rules = dict(filter_cfg=dict(min_size=32))
    known = chip_dataset(wrapped(voc_config(voc_folder, **rules), kind)).images
    for number in (1, 3):
        for name in ('width', 'height'):
            voc_changed(
                voc_folder, number, f'<{name}>[0-9]*', f'<{name}>{side}'
            )
    found = chip_dataset(wrapped(voc_config(voc_folder, **rules), kind))
    for a, b in zip(found.images, known, strict=True):
        assert (a == b).all()


def test_header_that_cannot_be_read(folder, log):
    changed(folder, lambda c: c['images'][1].update(width=0))
    (folder / 'images/1.jpg').unlink()
    config = coco_config(folder, filter_cfg=dict(min_size=32))
    with pytest.raises(OSError, match='images/1.jpg'):
        chip_dataset(config).full_init()
    assert len(chip_dataset(config, on_error='skip').images) == 3
    assert 'skips' in log.text and 'images/1.jpg' in log.text


def test_images_that_the_filter_leaves_out(folder, log):
    coco = read(folder)
    coco['images'][1].update(width=20, height=20)
    coco['annotations'] = [
        a for a in coco['annotations'] if a['image_id'] != 13
    ]
    write(folder, coco)
    rules = dict(min_size=32, filter_empty_gt=True)
    assert len(chip_dataset(coco_config(folder, filter_cfg=rules)).images) == 2
    assert (
        '2 of 4 images are left out by filter_cfg: 1 have a side below '
        'min_size 32 (1.jpg); 1 have no annotation of a class (3.jpg).'
    ) in log.text


@pytest.mark.parametrize('indices', [None, 3])
def test_images_that_the_filter_leaves_out_of_voc(voc_folder, log, indices):
    for name in ('width', 'height'):
        voc_changed(voc_folder, 1, f'<{name}>[0-9]*', f'<{name}>20')
    rules = dict(min_size=32)
    config = voc_config(voc_folder, filter_cfg=rules, indices=indices)
    dataset = chip_dataset(config)
    assert len(dataset.images) == 3
    assert dataset.dataset.filter_cfg == rules
    assert '1 of 4 images are left out by filter_cfg' in log.text
    if indices is None:
        assert '1 have a side below 32' in log.text


def test_no_image_is_left_and_why(folder, voc_folder):
    config = voc_config(voc_folder, filter_cfg=dict(min_size=500))
    with pytest.raises(ValueError, match='no image .* 4 have a side below'):
        chip_dataset(config).full_init()
    (voc_folder / 'VOC2007/JPEGImages').rename(folder / 'images')
    config = coco_config(folder, filter_cfg=dict(min_size=500))
    with pytest.raises(ValueError, match='no image .* 4 have a side below'):
        chip_dataset(config).full_init()


def no_chip(config):
    with pytest.raises(ValueError) as error:
        ChipSampler(chip_dataset(config), seed=0)
    assert 'valid' not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        (dict(iscrowd=1), '40 are crowds'),
        (dict(ignore=1), '40 have the field ignore'),
        (dict(category_id='3'), "40 name a category .* category_id '3'"),
        (dict(area=0), '40 have an area of 0'),
    ],
)
@pytest.mark.parametrize('kind', WRAPPERS)
def test_no_box_at_all(folder, change, reason, kind):
    path = changed(
        folder, lambda c: [a.update(change) for a in c['annotations']]
    )
    text = no_chip(wrapped(coco_config(folder), kind))
    assert 'has no box to train' in text
    assert re.search(f'{path}.* 40 of 40 .*{reason}', text)


@pytest.mark.parametrize('kind', WRAPPERS)
def test_text_as_image_ids(folder, kind):
    def change(coco):
        for ann in coco['annotations']:
            ann['image_id'] = str(ann['image_id'])

    path = changed(folder, change)
    sentence = rf"{path}: annotation 0 names image '10', .* such as \[10\]"
    config = wrapped(coco_config(folder), kind)
    assert re.match(sentence, no_chip(config))
    with pytest.raises(ValueError, match=sentence):
        from_coco(path)


@pytest.mark.parametrize('kind', WRAPPERS)
def test_classes_of_voc_in_another_case(voc_folder, kind):
    config = voc_config(voc_folder)
    config['metainfo'] = dict(classes=('Cat', 'Dog'))
    text = no_chip(wrapped(config, kind))
    assert 'has no box to train' in text
    assert re.search("40 objects train no box.*'cat': 26.*has ..Cat.", text)


def test_a_text_as_classes_of_voc(voc_folder):
    config = dict(voc_config(voc_folder), metainfo=dict(classes='cat'))
    with pytest.raises(ValueError, match=r"\('cat',\) for one class"):
        chip_dataset(config)


def test_some_objects_of_voc_are_of_other_classes(voc_folder, log):
    config = voc_config(voc_folder)
    chip_dataset(config).full_init()
    assert 'train no box' not in log.text
    path = voc_changed(voc_folder, 2, '<name>cat', '<name>CAT')
    assert len(chip_dataset(config).images.boxes) == 35
    assert re.search(f"1 objects .* .'CAT': 1., first in {path}", log.text)


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
