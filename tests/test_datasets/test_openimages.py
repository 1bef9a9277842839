"""OpenImages' files: what is read, and what is left out."""

import pickle
import re

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from open_images import BOX_HEADER
from openimages_files import (
    CLASSES,
    ROWS,
    challenge_txt,
    load,
    load_config,
    write_lines,
)

from sniper_mmdet.datasets import ClassAwareChipSampler, OpenImagesDataset
from sniper_mmdet.datasets.collected_boxes import collect_boxes
from sniper_mmdet.datasets.formats.csv_rows import ID, NAME, SKIPPED, read_rows
from sniper_mmdet.registry import DATASETS, METRICS


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
