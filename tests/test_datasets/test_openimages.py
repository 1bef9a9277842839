"""OpenImages' files: what is read, what is left out, what is refused."""

import json
import pickle
import re

import cv2
import numpy as np
import pytest
import torch
from chip_data import smooth_image
from mmengine.structures import InstanceData
from open_images import BOX_HEADER

from sniper_mmdet.datasets import ClassAwareChipSampler, OpenImagesDataset
from sniper_mmdet.datasets.collected_boxes import collect_boxes
from sniper_mmdet.datasets.formats.csv_rows import ID, NAME, SKIPPED, read_rows
from sniper_mmdet.datasets.formats.openimages import (
    read_hierarchy,
)
from sniper_mmdet.registry import DATASETS, METRICS

# a: a dog and a group of cats, b: two cars, their rows apart; c has no box.
ROWS = [
    'a,xclick,/m/dog,1,0.25,0.5,0.1,0.9,0,0,0,0,0',
    'b,xclick,/m/car,1,0,0.5,0,1,1,0,0,-1,0',
    'a,xclick,/m/cat,1,0.5,1,0.5,1,0,0,1,0,0',
    'b,xclick,/m/car,1,0.5,1,0,1,0,0,0,0,1',
]
LABELS = [
    'ImageID,Source,LabelName,Confidence',
    'a,verification,/m/dog,1',
    'a,verification,/m/car,0',
    'c,verification,/m/animal,0',
    'c,machine,/m/car,0.7',
]
CLASSES = ['animal', 'dog', 'cat', 'car']
TREE = dict(
    LabelName='/m/root',
    Subcategory=[
        dict(
            LabelName='/m/animal',
            Subcategory=[dict(LabelName='/m/dog'), dict(LabelName='/m/cat')],
        ),
        dict(LabelName='/m/car', Part=[dict(LabelName='/m/wheel')]),
    ],
)


def write_lines(path, lines):
    path.write_text('\n'.join(lines) + '\n')


@pytest.fixture
def data(tmp_path):
    """Three images: a and c 200x100 px, b 100x200."""
    (tmp_path / 'images').mkdir()
    for k, name in enumerate('abc'):
        size = (100, 200) if name == 'b' else (200, 100)
        path = tmp_path / f'images/{name}.jpg'
        cv2.imwrite(str(path), smooth_image(*size, k))
    write_lines(tmp_path / 'boxes.csv', [BOX_HEADER, *ROWS])
    write_lines(tmp_path / 'labels.csv', LABELS)
    write_lines(tmp_path / 'names.csv', [f'/m/{n},{n}' for n in CLASSES])
    (tmp_path / 'tree.json').write_text(json.dumps(TREE))
    return tmp_path


def load_config(data):
    return dict(
        type='sniper_mmdet.OpenImagesDataset',
        data_root=str(data),
        ann_file='boxes.csv',
        data_prefix=dict(img='images'),
        label_file='names.csv',
        hierarchy_file='tree.json',
        image_level_ann_file='labels.csv',
    )


def load(data, **settings):
    return DATASETS.build(dict(load_config(data), **settings))


def test_boxes_and_labels(data):
    dataset = load(data)
    assert [dataset.get_data_info(k)['img_id'] for k in range(3)] == [*'abc']
    a, b, c = (dataset.get_data_info(k) for k in range(3))
    assert (a['width'], a['height'], b['width']) == (200, 100, 100)
    assert a['img_path'] == str(data / 'images/a.jpg')
    assert [i['bbox'] for i in a['instances']] == [
        pytest.approx([50, 10, 100, 90]),
        pytest.approx([100, 50, 200, 100]),
    ]
    assert [i['bbox_label'] for i in a['instances']] == [1, 2]
    assert [i['is_group_of'] for i in a['instances']] == [False, True]
    assert [i['ignore_flag'] for i in a['instances']] == [0, 0]
    assert [i['is_occluded'] for i in b['instances']] == [True, False]
    # -1 is not annotated.
    assert [i['is_depiction'] for i in b['instances']] == [False, False]
    assert [i['bbox'][0] for i in b['instances']] == [0, 50]
    # Its own boxes are verified, too; the machine's car is not.
    assert a['verified_labels'] == {1: True, 2: True, 3: False}
    assert (c['verified_labels'], c['instances']) == ({0: False}, [])
    assert a['unseen_classes'] == c['unseen_classes'] == [0]
    assert '1 labels whose Confidence is neither 0 nor 1' in str(
        dataset.left_out
    )
    assert dataset.metainfo['classes'] == tuple(CLASSES)
    related = dataset.metainfo['RELATION_MATRIX']
    assert related[1].tolist() == [True, True, False, False]
    assert dataset.get_cat_ids(0) == [1, 2]


def test_without_labels_nothing_is_verified(data):
    dataset = load(data, image_level_ann_file=None)
    assert len(dataset) == 2
    assert 'verified_labels' not in dataset.get_data_info(0)


@pytest.mark.parametrize(
    'group_of, flags', [('keep', [0, 0]), ('ignore', [0, 1]), ('drop', [0])]
)
def test_groups(data, group_of, flags):
    dataset = load(data, group_of=group_of)
    found = dataset.get_data_info(0)['instances']
    assert [one['ignore_flag'] for one in found] == flags
    assert len(dataset.get_data_info(1)['instances']) == 2


def test_filters_and_subsets(data):
    kept = load(data, filter_cfg=dict(filter_empty_gt=True))
    assert [kept.get_data_info(k)['img_id'] for k in range(2)] == [*'ab']
    assert 'have no box to train' in kept.left_out[-1]
    assert len(load(data, filter_cfg=dict(min_size=150))) == 0
    assert len(load(data, filter_cfg=dict(min_size=150), test_mode=True)) == 3
    last = load(data, indices=[2, 1])
    assert last.get_data_info(1)['img_path'].endswith('b.jpg')
    assert last.get_subset(1).get_data_info(0)['img_id'] == 'c'
    assert load(data, indices=-1).get_data_info(0)['img_id'] == 'c'


def test_images_are_found_in_folders_and_by_any_suffix(data):
    (data / 'images/part_1').mkdir()
    (data / 'images/b.jpg').rename(data / 'images/part_1/b.JPEG')
    (data / 'images/part_1/up').symlink_to(data / 'images')
    path = load(data).get_data_info(1)['img_path']
    assert path == str(data / 'images/part_1/b.JPEG')


def challenge_txt(data):
    rows = ['images/a.jpg', '-1', '2', '2 .25 .1 .5 .9 0', '3 .5 .5 1 1 1']
    rows += ['images/b.jpg', '-1', '0']
    write_lines(data / 'boxes.txt', rows)
    names = [f'/m/{n},{n},{k}' for k, n in enumerate(CLASSES, start=1)]
    write_lines(data / 'names.csv', names[::-1])
    matrix = np.zeros((5, 5))
    matrix[1:, 1:] = np.eye(4)
    matrix[2:4, 1] = 1
    with open(data / 'tree.np', 'wb') as file:
        np.save(file, matrix)
    write_lines(
        data / 'labels.csv',
        ['ImageID,LabelName,Confidence', 'b,/m/animal,0'],
    )
    return dict(ann_file='boxes.txt', hierarchy_file='tree.np')


def challenge_csv(data):
    columns = [0, 2, 4, 5, 6, 7, 10]
    lines = [BOX_HEADER, *ROWS[::2]]
    write_lines(
        data / 'boxes.csv',
        [','.join(line.split(',')[k] for k in columns) for line in lines],
    )
    return {}


def newer_csv(data):
    lines = [f'{row},{",".join("12345678")}' for row in [BOX_HEADER, *ROWS]]
    (data / 'boxes.csv').write_text('\ufeff' + '\r\n'.join(lines))
    return {}


def older_csv(data):
    lines = [','.join(row.split(',')[:8]) for row in [BOX_HEADER, ROWS[0]]]
    write_lines(data / 'boxes.csv', [*lines, lines[1].replace('dog', 'cat')])
    return {}


def quoted_csv(data):
    rows = [re.sub('[^,]+', r'"\g<0>"', row) for row in [BOX_HEADER, *ROWS]]
    write_lines(data / 'boxes.csv', rows)
    return {}


def headerless_csv(data):
    rows = ['a,/m/dog,50,10,100,90,0,100,200', 'a,/m/cat,100,50,200,100,1,100']
    write_lines(data / 'boxes.csv', [rows[0], rows[1] + ',200'])
    return {}


@pytest.mark.parametrize(
    'write',
    [
        challenge_csv,
        challenge_txt,
        headerless_csv,
        newer_csv,
        older_csv,
        quoted_csv,
    ],
)
def test_other_files(data, write):
    dataset = load(data, **write(data))
    info = dataset.get_data_info(0)
    assert (info['width'], info['height']) == (200, 100)
    found = info['instances']
    assert found[0]['bbox'] == pytest.approx([50, 10, 100, 90])
    assert [one['bbox_label'] for one in found] == [1, 2]
    is_old = write is older_csv
    assert [one['is_group_of'] for one in found] == [False, not is_old]
    assert dataset.metainfo['RELATION_MATRIX'][2].tolist() == [1, 0, 1, 0]


def test_what_was_read_is_kept(data, monkeypatch):
    first = load(data)
    kept = sorted(path.name for path in data.glob('boxes.*.npz'))
    assert [name.split('-')[0] for name in kept] == [
        'boxes.boxes',
        'boxes.images',
    ]
    assert not [*data.glob('*.lock')]
    with monkeypatch.context() as patch:
        for name in ('openimages.read_table', 'image_index.image_size'):
            patch.setattr(f'sniper_mmdet.datasets.{name}', None)
        again = load(data)
    for k in range(3):
        assert again.get_data_info(k) == first.get_data_info(k)
    assert again.left_out == first.left_out
    # Other rows are read, another image is seen.
    write_lines(data / 'boxes.csv', [BOX_HEADER, ROWS[1]])
    assert load(data).get_data_info(0)['img_id'] == 'b'
    (data / 'images/b.jpg').rename(data / 'images/b.png')
    assert load(data).get_data_info(0)['img_path'].endswith('b.png')
    # What is damaged is built anew.
    for path in data.glob('boxes.*.npz'):
        path.write_bytes(path.read_bytes()[:100])
    assert len(load(data)) == 3


def test_a_folder_for_what_is_kept(data):
    load(data, cache=str(data / 'kept'))
    assert len([*(data / 'kept').iterdir()]) == 2
    load(data, cache=False)
    assert not [*data.glob('*.npz')]


def test_a_full_disk_is_told(data, full_disk, log):
    with full_disk(100):
        assert len(load(data)) == 3
    assert 'Each run builds it again' in log.text
    assert not [*data.glob('*.npz')]


def test_blocks_of_rows_are_joined(tmp_path):
    path = tmp_path / 'a.csv'
    numbers = ['1', '-0.5', '+.25', '1e-2', '2.5E+1', '1e400', '123456.789']
    write_lines(
        path, ['x,n,v', *(f'i{k},b,{v}' for k, v in enumerate(numbers))]
    )
    kinds = [ID, NAME, 0]
    blocks = [*read_rows(path, [*'xnv'], kinds, ['a', 'b'], block=3)]
    assert [len(one.names) for one in blocks] == [3, 3, 1]
    found = np.concatenate([one.numbers[:, 0] for one in blocks])
    assert found == pytest.approx([*map(float, numbers)])
    assert blocks[2].lines.tolist() == [8]
    ids = np.concatenate([one.ids for one in blocks])
    assert ids.tolist() == [f'i{k}'.encode() for k in range(7)]
    path.write_text('')
    assert not [*read_rows(path, [*'xnv'], kinds, ['a'])]
    assert SKIPPED not in kinds


@pytest.mark.parametrize(
    'file, lines, text',
    [
        (
            'boxes.csv',
            ['ImageID,LabelName,XMin,XMax,YMin', 'a,/m/dog,0,1,0'],
            r'boxes.csv must have the columns .* without YMax\.',
        ),
        (
            'boxes.csv',
            ['a,/m/dog,50,10,100,90,0,100,0'],
            'boxes.csv, row 1: height and width .* Received: 100, 0',
        ),
        ('boxes.csv', [], 'boxes.csv must have a line that names its columns'),
        (
            'boxes.csv',
            [BOX_HEADER],
            'must have a row of a box. Received: none',
        ),
        (
            'boxes.csv',
            [BOX_HEADER, ROWS[0], 'a,xclick'],
            r"boxes.csv, row 3: must have the 13 fields .*2, 'a,xclick'",
        ),
        (
            'boxes.csv',
            [BOX_HEADER, ROWS[0].replace('0.25', 'left')],
            "boxes.csv, row 2: XMin must be a number. Received: 'left'",
        ),
        (
            'boxes.csv',
            [BOX_HEADER, ROWS[0].replace('0.25', '0.75')],
            r'boxes.csv, row 2: .* must be a box in shares .*0.75, 0.1, 0.5',
        ),
        (
            'boxes.csv',
            [BOX_HEADER, ROWS[0].replace('0.5,', '50,')],
            'boxes.csv, row 2: .* must be a box in shares',
        ),
        (
            'boxes.csv',
            [BOX_HEADER, ROWS[0], ROWS[1].replace('car', 'bus')],
            "row 3: LabelName must be a class of label_file. .*: '/m/bus'",
        ),
        (
            'boxes.csv',
            [BOX_HEADER, ROWS[0], ROWS[0].replace('a,', 'z,', 1)],
            r'boxes.csv, row 3: each image must be in .*images, whole. '
            'Received: z; 1 of 3 images are not there',
        ),
        (
            'boxes.csv',
            ['a,/m/dog,50,10,900,90,0,100,200'],
            r'boxes.csv, row 1: .* must be a box in it. .*900.0, 90.0\]',
        ),
        ('labels.csv', ['a,verification,/m/dog,1'], 'columns'),
        (
            'labels.csv',
            [LABELS[0], 'a,verification,/m/dog,yes'],
            "labels.csv, row 2: Confidence must be a number. Received: 'yes'",
        ),
        ('names.csv', ['/m/dog'], "names.csv, row 1: .*Received: '/m/dog'"),
        ('names.csv', ['/m/a,x', '/m/b,x'], "a name of its own. .*'x' twice"),
        (
            'names.csv',
            ['/m/a,x', '/m/a,y'],
            "a MID of its own. .*/m/a' twice",
        ),
        ('names.csv', [], 'names.csv must name a class'),
        ('tree.json', ['{'], 'tree.json is no json'),
        ('tree.json', ['[]'], 'must have a LabelName.*Received: '),
        ('tree.json', ['{"LabelName": "/m/r"}'], 'must have classes of the'),
    ],
)
def test_what_is_wrong_is_named(data, file, lines, text):
    write_lines(data / file, lines) if lines else (data / file).write_text('')
    with pytest.raises(ValueError, match=text) as error:
        load(data)
    assert 'cannot be loaded' not in str(error.value)


def test_a_class_below_itself(tmp_path):
    tree = dict(LabelName='/m/dog')
    tree = dict(LabelName='/m/animal', Subcategory=[tree])
    tree['Subcategory'][0]['Subcategory'] = [dict(LabelName='/m/animal')]
    path = tmp_path / 'tree.json'
    path.write_text(json.dumps(dict(LabelName='/m/r', Subcategory=[tree])))
    with pytest.raises(ValueError, match='/m/animal > /m/dog > /m/animal'):
        read_hierarchy(path, ['/m/animal', '/m/dog'])


def test_a_circle_of_several_places(tmp_path):
    """No class is below itself on any path alone."""
    pairs = [('/m/a', '/m/b'), ('/m/b', '/m/c'), ('/m/c', '/m/a')]
    nodes = [
        dict(LabelName=above, Subcategory=[dict(LabelName=below)])
        for above, below in pairs
    ]
    path = tmp_path / 'tree.json'
    mids = ['/m/a', '/m/b', '/m/c']
    path.write_text(json.dumps(dict(LabelName='/m/r', Subcategory=nodes)))
    with pytest.raises(ValueError, match='must not be below itself.*/m/a bel'):
        read_hierarchy(path, mids)
    path.write_text(json.dumps(dict(LabelName='/m/r', Subcategory=nodes[:2])))
    assert read_hierarchy(path, mids).sum() == 5


def test_boxes_without_area_are_left_out_of_training(data):
    thin = ROWS[0].replace('0.25,0.5', '0.25,0.25')
    write_lines(data / 'boxes.csv', [BOX_HEADER, thin, *ROWS[1:]])
    dataset = load(data)
    assert [len(dataset.get_data_info(k)['instances']) for k in (0, 1)] == [
        1,
        2,
    ]
    assert '1 boxes have a side below a pixel' in str(dataset.left_out)
    tested = load(data, test_mode=True)
    assert len(tested.get_data_info(0)['instances']) == 2


@pytest.mark.parametrize(
    'lines, text',
    [
        (
            ['a.jpg', '-1', 'two'],
            'row 3: must be the number of boxes of a.jpg',
        ),
        (['a.jpg', '-1', '1', '9 0 0 1 1 0'], 'row 4: .*the label 1 to 4'),
        (['a.jpg', '-1', '2', '1 0 0 1 1 0'], "row 4: .*Received: ''"),
        (['a.jpg', '-1', '1', '1 0 0 50 90 0'], 'row 4: .*a box in shares'),
        (['a.jpg', '-1', '1', '1 0 0 1 inf 0'], 'row 4: .*a box in shares'),
    ],
)
def test_a_broken_challenge_file(data, lines, text):
    write_lines(data / 'boxes.txt', lines)
    with pytest.raises(ValueError, match=text):
        load(data, ann_file='boxes.txt')


def test_what_is_skipped_is_counted(data):
    (data / 'images/a.jpg').unlink()
    (data / 'images/c.jpg').write_bytes(b'no image')
    rows = [*ROWS, ROWS[1].replace('car', 'bus'), ROWS[1].replace('car', 'x')]
    write_lines(data / 'boxes.csv', [BOX_HEADER, *rows])
    dataset = load(data, missing_images='skip', unknown_classes='skip')
    told = ' '.join(dataset.left_out)
    assert '2 rows are left out' in told and '/m/bus in row 6' in told
    assert '1 of 3 images are not there' in told and '(a)' in told
    assert '1 of 3 images cannot be read' in told and '(c)' in told
    assert len(dataset) == 1
    assert len(dataset.get_data_info(0)['instances']) == 2


def test_an_image_of_the_labels_alone_is_missing(data):
    (data / 'images/c.jpg').unlink()
    with pytest.raises(ValueError, match='labels.csv, row 4: each image'):
        load(data)
    with pytest.raises(ValueError, match='boxes.txt, row 6: each image'):
        (data / 'images/b.jpg').unlink()
        load(data, **challenge_txt(data), image_level_ann_file=None)


def test_an_image_that_cannot_be_read(data):
    (data / 'images/a.jpg').write_bytes(b'no image')
    with pytest.raises(ValueError, match='row 2: .*a; 1 of .* be read'):
        load(data)


def test_classes_are_those_of_the_file(data):
    load(data, metainfo=dict(classes=CLASSES))
    with pytest.raises(ValueError, match='names.csv names .*Received: dog'):
        load(data, metainfo=dict(classes=['dog']))


def test_labels_told_both_ways(data):
    rows = [LABELS[0], 'a,v,/m/car,0', 'a,v,/m/car,1', 'a,v,/m/car,0']
    write_lines(data / 'labels.csv', rows)
    dataset = load(data)
    assert dataset.get_data_info(0)['verified_labels'][3] is True
    assert '1 labels are present in one row and absent' in dataset.left_out[-1]


@pytest.mark.real_data
def test_the_made_set(shared_data):
    folder = shared_data / 'openimages_format'
    datasets = {
        split: OpenImagesDataset(
            data_root=str(folder),
            ann_file=f'{split}-annotations-bbox.csv',
            data_prefix=dict(img=str(shared_data / 'emoji_scenes/images')),
            label_file='class-descriptions-boxable.csv',
            hierarchy_file='bbox_labels_hierarchy.json',
            image_level_ann_file=f'{split}-annotations-human-imagelabels-'
            'boxable.csv',
            cache=False,
        )
        for split in ('train', 'val')
    }
    counts = {k: d.data_list for k, d in datasets.items()}
    assert [len(t) for t in counts.values()] == [468, 136]
    assert [len(t.boxes) for t in counts.values()] == [937, 396]
    assert [t.is_group_of.sum() for t in counts.values()] == [36, 16]
    assert len(datasets['val'].metainfo['classes']) == 66


PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='sniper_mmdet.LoadGroupOf'),
    dict(type='sniper_mmdet.CutChip'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='sniper_mmdet.PackKnownLabels'),
]


def chips_of(data, pipeline=PIPELINE, **settings):
    return DATASETS.build(
        dict(
            type='sniper_mmdet.ChipDataset',
            dataset=load(data, **settings),
            scales=[1.0],
            chip_size=512,
            pipeline=pipeline,
        )
    )


def test_chips_have_what_is_told(data):
    samples = {}
    for group_of in ('keep', 'ignore'):
        dataset = chips_of(data, group_of=group_of)
        (row,) = (r for r in dataset.mine(0, 0) if r['image'] == 0)
        samples[group_of] = dataset[row]['data_samples']
    kept, ignored = samples.values()
    assert kept.gt_instances.is_group_of.tolist() == [False, True]
    assert kept.gt_instances.labels.tolist() == [1, 2]
    assert ignored.gt_instances.is_group_of.tolist() == [False]
    assert ignored.ignored_instances.is_group_of.tolist() == [True]
    assert ignored.verified_labels == {1: True, 2: True, 3: False}
    assert ignored.unseen_classes == [0]


def test_all_at_once_is_what_each_image_says(data):
    class OneByOne:
        def __init__(self, dataset):
            self.get_data_info = dataset.get_data_info
            self.metainfo, self._length = dataset.metainfo, len(dataset)

        def __len__(self):
            return self._length

    def found(dataset):
        return collect_boxes(dataset, None)

    for settings in (
        dict(group_of='ignore'),
        dict(group_of='drop', indices=[1, 0]),
        dict(filter_cfg=dict(filter_empty_gt=True)),
    ):
        dataset = load(data, **settings)
        fast, slow = found(dataset), found(OneByOne(dataset))
        for name, value in zip(fast._fields, fast, strict=True):
            other = getattr(slow, name)
            if name == 'images':
                assert all(map(np.array_equal, value, other))
            else:
                assert np.array_equal(value, other), name


def test_classes_in_turn_of_its_chips(data):
    dataset = chips_of(data)
    sampler = ClassAwareChipSampler(dataset, seed=0, epoch_size=30)
    images = [int(row['image']) for row in sampler]
    # Dogs and cats are in the first image, cars in the second.
    assert np.bincount(images).tolist() == [20, 10]


def test_the_challenge_set_of_mmdet_is_evaluated(data):
    files = challenge_txt(data)
    metas = [
        dict(filename='a.jpg', ori_shape=(100, 200, 3)),
        dict(filename='b.jpg', ori_shape=(200, 100, 3)),
    ]
    (data / 'metas.pkl').write_bytes(pickle.dumps(metas))
    stock = DATASETS.build(
        dict(
            type='OpenImagesChallengeDataset',
            data_root=str(data),
            data_prefix=dict(img=''),
            label_file='names.csv',
            meta_file='metas.pkl',
            image_level_ann_file='labels.csv',
            **files,
        )
    )
    results = []
    for dataset in (stock, load(data, **files)):
        metric = METRICS.build(dict(type='sniper_mmdet.OpenImagesMetric'))
        metric.dataset_meta = dataset.metainfo
        for k, count in enumerate((2, 1)):
            # A dog, and one in a picture that is known to have no animal.
            box = [[50, 10, 100, 90], [110, 60, 140, 90]][:count]
            found = InstanceData(
                bboxes=torch.tensor(box, dtype=torch.float32),
                scores=torch.tensor([0.5, 0.4][:count]) + 0.2 * k,
                labels=torch.tensor([1, 2][:count]),
            )
            info = dict(dataset.get_data_info(k), pred_instances=found)
            metric.process({}, [info])
        results.append(metric.evaluate(2))
    assert results[0] == results[1]
    # Animals: wrong, right, right in a group; dogs: wrong, right; a cat.
    mean = np.mean([2 / 3, 1 / 2, 1])
    assert results[0]['openimages/AP50'] == pytest.approx(mean)


def test_parts_are_joined(data):
    part = dict(load_config(data), cache=False)
    parts = [dict(part, indices=[0]), dict(part, indices=[1, 2])]
    dataset = DATASETS.build(
        dict(
            type='sniper_mmdet.ChipDataset',
            dataset=dict(
                type='ConcatDataset',
                ignore_keys=['RELATION_MATRIX'],
                datasets=parts,
            ),
            scales=[1.0],
        )
    )
    assert dataset.metainfo['classes'] == tuple(CLASSES)
    # The cars of b are the last; c has no box.
    assert dataset.box_labels.tolist() == [1, 2, 3, 3]


@pytest.mark.parametrize('name', ['boxes.csv', 'names.csv', 'boxes.txt'])
def test_a_file_that_is_no_utf8(data, name):
    (data / name).write_bytes('/m/dog,Müller\n'.encode('latin-1'))
    settings = dict(ann_file=name) if name == 'boxes.txt' else {}
    with pytest.raises(ValueError, match=f'{name} must be UTF-8 text'):
        load(data, **settings)
