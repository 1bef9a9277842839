"""ChipDataset around data sets of all kinds, and around broken ones."""

import random
import re
import shutil

import cv2
import numpy as np
import pytest
import torch
from chip_data import (
    CLASSES,
    annotation,
    chip_dataset,
    coco_config,
    read,
    smooth_image,
    voc_config,
    write,
)
from mmdet.datasets import BaseDetDataset
from mmdet.registry import DATASETS as MMDET_DATASETS
from mmengine.dataset import pseudo_collate
from PIL import Image
from torch.utils.data import DataLoader

from sniper_mmdet.chips import BoxState, classify_boxes
from sniper_mmdet.datasets import ChipSampler


@MMDET_DATASETS.register_module(force=True)
class OwnDataset(BaseDetDataset):
    """A user's data set: images and boxes, and no image size."""

    METAINFO = dict(classes=CLASSES)

    def load_data_list(self):
        return [
            dict(img_path=path, img_id=i, instances=instances)
            for i, (path, instances) in enumerate(self.ann_file)
        ]

    def _join_prefix(self):
        pass


def own_config(folder, **changes):
    """An OwnDataset of the folder's images; changes: boxes of an image."""
    coco = read(folder)
    found = []
    for i, image in enumerate(coco['images']):
        boxes = [
            (x, y, x + w, y + h)
            for ann in coco['annotations']
            for x, y, w, h in [ann['bbox']]
            if ann['image_id'] == image['id']
        ]
        boxes = changes.get(f'image{i}', boxes)
        instances = [
            dict(bbox=list(box), bbox_label=0, ignore_flag=0) for box in boxes
        ]
        path = str(folder / 'images' / image['file_name'])
        found.append((path, instances))
    return dict(type='OwnDataset', ann_file=found)


def trained(sample):
    return sample['data_samples'].gt_instances.bboxes.numpy()


def test_samples_are_the_chips_of_the_table(folder):
    dataset = chip_dataset(coco_config(folder))
    assert dataset.metainfo['classes'] == CLASSES
    assert len(dataset.images) == 4 and len(dataset.images.boxes) == 40
    table = dataset.mine(0, 0)
    assert len(dataset) == len(table) > 8
    assert set(table['level']) == {0, 1}
    for row in table:
        sample = dataset[row]
        assert sample['inputs'].shape == (3, 96, 96)
        metainfo = sample['data_samples'].metainfo
        chip = metainfo['chip']
        assert (chip['level'], chip['positive']) == (row['level'], True)
        assert metainfo['chip_level'] == row['level']
        # The boxes that the table promises, and no others, are trained.
        boxes = dataset.images.of_image(row['image'])
        states = classify_boxes(boxes, chip['region'], chip['valid_range'])
        boxes = boxes[states == BoxState.VALID]
        found = trained(sample)
        assert len(found) == len(boxes) > 0
        sides = (boxes[:, 2:] - boxes[:, :2]) * chip['scale']
        assert found[:, 2:] - found[:, :2] == pytest.approx(sides, abs=0.5)


def test_an_int_is_an_index_of_the_first_table(folder):
    dataset = chip_dataset(coco_config(folder))
    row = dataset.mine(0, 0)[2]
    length = len(dataset)
    for index in (2, np.int64(2), 2 - length):
        assert torch.equal(dataset[index]['inputs'], dataset[row]['inputs'])
    for index in (length, -length - 1):
        with pytest.raises(IndexError):
            dataset[index]


def test_boxes_out_of_range_become_what_the_data_set_says(folder):
    counts = {}
    for setting in (None, 'ignore', 'drop', 'keep'):
        dataset = chip_dataset(coco_config(folder), out_of_range=setting)
        samples = [dataset[row]['data_samples'] for row in dataset.mine(0, 0)]
        counts[setting] = [
            sum(len(sample.get(name).bboxes) for sample in samples)
            for name in ('gt_instances', 'ignored_instances')
        ]
        told = samples[0].metainfo['chip'].get('out_of_range')
        assert told == setting
    trained, ignored = counts['ignore']
    assert ignored and counts[None] == counts['ignore']
    assert counts['drop'] == [trained, 0]
    assert counts['keep'] == [trained + ignored, 0]


def test_a_chip_is_augmented_the_same_whenever_it_is_cut(folder):
    dataset = chip_dataset(coco_config(folder))
    table = dataset.mine(3, 5)
    np.random.seed(0)
    random.seed(0)
    before = np.random.get_state()[1].tobytes(), random.getstate()
    first = [dataset[row] for row in table]
    assert (np.random.get_state()[1].tobytes(), random.getstate()) == before
    np.random.seed(1)
    for row, sample in zip(table[::-1], first[::-1], strict=True):
        assert torch.equal(dataset[row]['inputs'], sample['inputs'])
    flips = {sample['data_samples'].metainfo['flip'] for sample in first}
    assert flips == {True, False}


def test_voc(voc_folder):
    dataset = chip_dataset(voc_config(voc_folder))
    coco = read(voc_folder)
    # The last of ten boxes is difficult: it is never a reason for a chip.
    assert len(dataset.images.boxes) == 36
    x, y, w, h = coco['annotations'][0]['bbox']
    assert dataset.images.of_image(0)[0].tolist() == [x, y, x + w, y + h]
    assert dataset.images.widths.tolist() == [240, 320, 240, 320]
    ignored = 0
    for row in dataset.mine(0, 0):
        sample = dataset[row]
        assert len(trained(sample)) > 0
        ignored += len(sample['data_samples'].ignored_instances)
    assert ignored > 0


def test_own_data_set_without_sizes(folder):
    dataset = chip_dataset(own_config(folder))
    known = chip_dataset(coco_config(folder))
    for a, b in zip(dataset.images, known.images, strict=True):
        assert (a == b).all()
    for row in dataset.mine(0, 0):
        assert dataset[row]['inputs'].shape == (3, 96, 96)


@pytest.mark.parametrize('orientation', [1, 3, 6, 8])
def test_size_of_a_picture_that_its_camera_turned(folder, orientation):
    path = folder / 'images/1.jpg'
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.open(path).save(path, exif=exif)
    dataset = chip_dataset(own_config(folder, image1=[(9, 9, 29, 29)]))
    height, width = cv2.imread(str(path)).shape[:2]
    assert dataset.images.widths[1] == width
    assert dataset.images.heights[1] == height
    dataset[next(row for row in dataset.mine(0, 0) if row['image'] == 1)]


def test_data_sets_joined_by_mmdet(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp('other') / 'copy'
    shutil.copytree(folder, other)
    coco = read(other)
    coco['images'] = coco['images'][:1]
    coco['annotations'] = coco['annotations'][:2]
    write(other, coco)
    dataset = chip_dataset(
        dict(
            type='ConcatDataset',
            datasets=[coco_config(folder), coco_config(other)],
        )
    )
    assert len(dataset.images) == 5
    assert len(dataset.images.of_image(4)) == 2
    row = dataset.mine(0, 0)[-1]
    assert row['image'] == 4
    path = dataset[row]['data_samples'].img_path
    assert path == str(other / 'images/0.jpg')


def test_built_data_set_is_taken_as_it_is(folder):
    built = MMDET_DATASETS.build(coco_config(folder, lazy_init=True))
    dataset = chip_dataset(built)
    assert dataset.dataset is built
    assert len(dataset.images) == 4


def test_images_without_boxes_take_no_part(folder):
    coco = read(folder)
    coco['annotations'] = [
        ann for ann in coco['annotations'] if ann['image_id'] != 11
    ]
    write(folder, coco)
    dataset = chip_dataset(coco_config(folder))
    assert len(dataset.images) == 4 and len(dataset.images.of_image(1)) == 0
    assert set(dataset.mine(0, 0)['image']) == {0, 2, 3}


def test_boxes_that_are_crowds_are_ignored(folder):
    coco = read(folder)
    x, y, w, h = coco['annotations'][0]['bbox']
    for ann in coco['annotations']:
        ann['iscrowd'] = int(ann['id'] < 5)
    write(folder, coco)
    dataset = chip_dataset(coco_config(folder))
    assert len(dataset.images.of_image(0)) == 5
    for row in dataset.mine(0, 0):
        assert len(trained(dataset[row])) > 0


def test_boxes_are_clipped_to_their_image(folder, log):
    boxes = [
        (-10, 20, 30, 60),
        (200, 300, 260, 340),
        (250, 20, 290, 60),  # outside
        (20, 20, 20, 60),  # of no area
        (60, 60, 40, 40),
    ]
    dataset = chip_dataset(own_config(folder, image0=boxes))
    assert dataset.images.of_image(0).tolist() == [
        [0, 20, 30, 60],
        [200, 300, 240, 320],
    ]
    assert '3 boxes have less than a pixel inside their image' in log.text
    for row in dataset.mine(0, 0):
        if row['image'] == 0:
            boxes = trained(dataset[row])
            assert len(boxes) and (boxes[:, 2:] > boxes[:, :2]).all()


def test_boxes_of_other_numbers(folder):
    boxes = [(5, 5, 50, 50, 0.3)] * 4  # with an angle
    with pytest.raises(
        ValueError, match=r'2.jpg: the bbox of instances.0. must'
    ):
        chip_dataset(own_config(folder, image2=boxes)).full_init()
    dataset = chip_dataset(own_config(folder, image2=boxes), on_error='skip')
    assert dataset.skipped_images == [2]


@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
def test_boxes_that_are_not_finite(folder, log, bad):
    config = own_config(folder, image2=[(5, 5, 50, 50), (9, 9, bad, 20)])
    with pytest.raises(ValueError, match='2.jpg: a box is not finite'):
        chip_dataset(config).full_init()
    dataset = chip_dataset(config, on_error='skip')
    assert dataset.skipped_images == [2]
    assert 'skips' in log.text and '2.jpg: a box is not' in log.text
    assert 'less than a pixel' not in log.text
    assert set(dataset.mine(0, 0)['image']) == {0, 1, 3}


def cut_off(path):
    """An interrupted download."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])


def empty(path):
    path.write_bytes(b'')


def no_image(path):
    path.write_text('<html>404</html>')


def other_size(path):
    cv2.imwrite(str(path), smooth_image(100, 100))


BREAKS = [
    (shutil.os.remove, 'No such file or directory'),
    (cut_off, 'failed to load image'),
    (empty, ''),
    (no_image, 'failed to load image'),
    (other_size, 'is 100x100 pixels but its annotation says 320x240'),
]


@pytest.mark.parametrize(('damage', 'sentence'), BREAKS)
def test_broken_image_names_itself(folder, damage, sentence):
    damage(folder / 'images/1.jpg')
    dataset = chip_dataset(coco_config(folder))
    table = dataset.mine(0, 0)
    with pytest.raises(Exception, match='images/1.jpg') as error:
        dataset[table[table['image'] == 1][0]]
    assert sentence in str(error.value)
    dataset[table[table['image'] == 0][0]]


@pytest.mark.parametrize('num_workers', [0, 2])
@pytest.mark.parametrize(('damage', 'sentence'), BREAKS[:2])
def test_broken_image_is_skipped(folder, log, damage, sentence, num_workers):
    damage(folder / 'images/1.jpg')
    dataset = chip_dataset(coco_config(folder), on_error='skip')
    table = dataset.mine(0, 0)
    assert (table['image'] == 1).any() and dataset.skipped_images == []
    sampler = ChipSampler(dataset, seed=0)
    loader = DataLoader(
        dataset,
        batch_size=1,
        sampler=sampler,
        num_workers=num_workers,
        collate_fn=pseudo_collate,
    )
    ids = [batch['data_samples'][0].img_id for batch in loader]
    assert len(ids) == len(table)
    assert set(ids) == {10, 12, 13}
    assert dataset.skipped_images == [1]
    if num_workers == 0:
        lines = [line for line in log.messages if 'skips' in line]
        assert len(lines) == 1
        assert '1.jpg' in lines[0] and sentence in lines[0]


def test_image_whose_size_cannot_be_read_is_skipped(folder, log):
    (folder / 'images/1.jpg').unlink()
    config = own_config(folder)
    with pytest.raises(FileNotFoundError, match='1.jpg'):
        chip_dataset(config).full_init()
    dataset = chip_dataset(config, on_error='skip')
    assert dataset.skipped_images == [1]
    assert len(re.findall('skips .*1.jpg', log.text)) == 1
    assert set(dataset.mine(0, 0)['image']) == {0, 2, 3}


def test_nothing_but_broken_images(folder):
    for path in (folder / 'images').iterdir():
        path.unlink()
    dataset = chip_dataset(coco_config(folder), on_error='skip')
    with pytest.raises(RuntimeError, match='100 chips in a row'):
        dataset[0]
    assert dataset.skipped_images == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ('text', 'sentence'),
    [
        ('', 'coco.json cannot be loaded: JSONDecodeError'),
        ('{}', "coco.json cannot be loaded: KeyError: 'categories'"),
        (
            '{"images": [], "annotations": [],'
            ' "categories": [{"id": 1, "name": "cat"}]}',
            'coco.json has no image with a box to train on',
        ),
    ],
)
@pytest.mark.parametrize('lazy', [False, True])
def test_annotation_file_that_holds_nothing(folder, text, sentence, lazy):
    (folder / 'coco.json').write_text(text)
    with pytest.raises(ValueError, match=sentence) as error:
        chip_dataset(coco_config(folder, lazy_init=lazy)).full_init()
    assert str(folder) in str(error.value)


def test_no_image_left_by_the_filter(folder):
    config = coco_config(folder, filter_cfg=dict(min_size=500))
    with pytest.raises(ValueError, match='has no image .* and filter_cfg'):
        chip_dataset(config).full_init()
    config = coco_config(folder, serialize_data=False)
    config['filter_cfg'] = dict(min_size=500)
    with pytest.raises(ValueError, match='coco.json has no image'):
        chip_dataset(config).full_init()


@pytest.mark.parametrize('wrapped', [False, True])
def test_class_that_the_file_has_not(folder, wrapped):
    config = coco_config(folder)
    config['metainfo'] = dict(classes=('cat', 'cow'))
    if wrapped:
        config = dict(type='ConcatDataset', datasets=[config])
    sentence = "'cow', which .*coco.json lacks; it has .'cat', 'dog'"
    with pytest.raises(ValueError, match=sentence):
        chip_dataset(config).full_init()


def test_two_categories_of_one_name(folder):
    coco = read(folder)
    coco['categories'].append(dict(id=9, name='dog'))
    write(folder, coco)
    with pytest.raises(ValueError, match='json has two categories with'):
        chip_dataset(coco_config(folder)).full_init()


def test_class_without_a_box_is_told(voc_folder, log):
    config = voc_config(voc_folder)
    chip_dataset(config).full_init()
    assert 'no box of the classes' not in log.text
    config['metainfo'] = dict(classes=('cat', 'cow'))
    chip_dataset(config).full_init()
    assert "no box of the classes ['cow']" in log.text


@pytest.mark.parametrize('lazy', [False, True])
def test_voc_annotation_that_breaks_off(voc_folder, lazy):
    path = voc_folder / 'VOC2007/Annotations/2.xml'
    path.write_text(path.read_text()[:150])
    with pytest.raises(ValueError, match='Annotations/2.xml: ParseError'):
        chip_dataset(dict(voc_config(voc_folder), lazy_init=lazy)).full_init()


def test_pipeline_that_cuts_no_chip(folder):
    pipeline = [dict(type='LoadImageFromFile'), dict(type='PackDetInputs')]
    with pytest.raises(ValueError, match='must hold a sniper_mmdet.CutChip'):
        chip_dataset(coco_config(folder), pipeline=pipeline)


def test_some_of_the_files_classes_are_enough(folder):
    config = coco_config(folder)
    config['metainfo'] = dict(classes=('dog',))
    dataset = chip_dataset(config)
    assert 0 < len(dataset.images.boxes) < 40


def test_chips_larger_than_all_levels(folder, log):
    dataset = chip_dataset(coco_config(folder), chip_size=512)
    table = dataset.mine(0, 0)
    assert 'chip_size 512 is larger than every level' in log.text
    assert (table['x2'] == dataset.images.widths[table['image']]).all()
    log.clear()
    chip_dataset(coco_config(folder)).full_init()
    assert 'larger' not in log.text


def test_box_that_fits_no_chip_is_in_the_table_of_none(folder):
    coco = read(folder)
    coco['annotations'] = [annotation(coco, 10, [0, 0, 200, 200])]
    write(folder, coco)
    dataset = chip_dataset(coco_config(folder))
    assert len(dataset) == len(dataset.mine(0, 0)) == 0


@pytest.mark.parametrize(
    ('changes', 'sentence'),
    [
        (dict(on_error='ignore'), "'raise' or 'skip'. Received: 'ignore'"),
        (dict(valid_ranges=[(0, None)]), '1 entries for 2 scales'),
        (dict(chip_size=10), 'stride must be below chip_size'),
        (dict(out_of_range='skip'), "out_of_range must be .*'skip'"),
    ],
)
def test_settings_that_are_refused(folder, changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        chip_dataset(coco_config(folder), **changes)
