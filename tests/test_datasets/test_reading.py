"""What data sets leave out is told, whatever their format."""

import re

import pytest
from chip_data import (
    WRAPPERS,
    changed,
    chip_dataset,
    coco_config,
    no_chip,
    read,
    voc_changed,
    voc_config,
    wrapped,
    write,
)

from sniper_mmdet.chips import from_coco
from sniper_mmdet.chips.coco import read_coco


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


MISSING = 'is missing: check data_root and the file names of the dataset'


def test_annotation_file_that_is_missing(folder):
    (folder / 'coco.json').unlink()
    sentence = re.escape(f'{folder / "coco.json"} {MISSING}')
    with pytest.raises(FileNotFoundError, match=sentence):
        chip_dataset(coco_config(folder)).full_init()


def test_further_file_that_is_missing(voc_folder):
    path = voc_folder / 'VOC2007/Annotations/1.xml'
    path.unlink()
    sentence = re.escape(f'{path}, a file of ') + f'.*train.txt, {MISSING}'
    with pytest.raises(FileNotFoundError, match=sentence):
        chip_dataset(voc_config(voc_folder)).full_init()


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
