"""tools/dataset_converters/convert_proposals.py, as a user calls it."""

import json
import os
import pickle
import re
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.fileio import dump
from mmengine.structures import InstanceData

from sniper_mmdet.datasets import ProposalFile
from sniper_mmdet.datasets.formats.proposal_pickles import python2_order
from sniper_mmdet.registry import DATASETS

TOOL = (
    Path(__file__).resolve().parents[2]
    / 'tools/dataset_converters/convert_proposals.py'
)
NAMES = ['b.jpg', 'none.jpg', 'a.jpg', 'small.jpg']
SIZES = [(200, 150), (150, 200), (200, 150), (40, 20)]

CONFIG = """
images = dict(
    type='CocoDataset',
    ann_file='coco.json',
    data_prefix=dict(img='photos/'),
    metainfo=dict(classes=('cat', )),
    filter_cfg=dict(filter_empty_gt=True, min_size=32))
train_dataloader = dict(
    dataset=dict(
        type='sniper_mmdet.ChipDataset',
        scales=[1.0],
        chip_size=100,
        stride=10,
        proposals='not yet there.npz',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(type='sniper_mmdet.CutChip'),
            dict(type='PackDetInputs')
        ],
        dataset=images))
val_dataloader = dict(dataset=dict(images, test_mode=True))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Four images; the config leaves out one without a box and a small one."""
    (tmp_path / 'photos').mkdir()
    coco = dict(images=[], annotations=[], categories=[dict(id=1, name='cat')])
    for i, (name, size) in enumerate(zip(NAMES, SIZES, strict=True)):
        cv2.imwrite(
            str(tmp_path / 'photos' / name), np.zeros((*size[::-1], 3))
        )
        coco['images'].append(
            dict(id=i, width=size[0], height=size[1], file_name=name)
        )
        coco['annotations'].append(
            dict(
                id=i,
                image_id=i if i != 1 else 0,
                category_id=1,
                bbox=[5, 5, 12, 12],
                area=144,
                iscrowd=0,
            )
        )
    (tmp_path / 'coco.json').write_text(json.dumps(coco))
    (tmp_path / 'config.py').write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def convert(folder, monkeypatch):
    """Convert a value, or a pickle as bytes, and read the result."""

    def run(value, *args, source='found.pkl'):
        if not isinstance(value, bytes):
            value = pickle.dumps(value)
        Path('found.pkl').write_bytes(value)
        line = [str(TOOL), source, 'config.py', '--out', 'out/all.npz']
        monkeypatch.setattr(sys, 'argv', line + list(args))
        runpy.run_path(str(TOOL), run_name='__main__')
        return ProposalFile('out/all.npz')

    return run


def rows(*boxes):
    return np.array(boxes, np.float32).reshape(-1, 5)


FOUND = [
    rows((10, 20, 29, 39, 0.25), (50, 60, 89, 99, 0.75)),
    rows((0, 0, 149, 199, 0.5)),
    rows((1, 2, 3, 4, 1)),
    rows(),
]


def detected(index):
    boxes = FOUND[index] + np.float32((0, 0, 1, 1, 0))
    return InstanceData(bboxes=boxes[:, :4], scores=boxes[:, 4])


def check(file):
    """That it holds FOUND, whose sides end where pixels do."""
    assert file.keys == ['0 b.jpg', '1 none.jpg', '2 a.jpg', '3 small.jpg']
    assert file.sizes.tolist() == [list(size) for size in SIZES]
    found = file.select(file.keys)
    result = {
        (box, score)
        for i in range(4)
        for box, score in zip(
            map(tuple, found.boxes[found.span(i)].tolist()),
            found.scores[found.span(i)].tolist(),
            strict=True,
        )
    }
    assert np.diff(file.offsets).tolist() == [2, 1, 1, 0]
    assert result == {
        ((10, 20, 30, 40), 0.25),
        ((50, 60, 90, 100), 0.75),
        ((0, 0, 150, 200), 0.5),
        ((1, 2, 4, 5), 1),
    }


@pytest.mark.parametrize('split', ['train', 'val'])
def test_list_of_the_original(convert, split):
    file = convert([a.astype(np.float64) for a in FOUND], '--split', split)
    check(file)
    assert file.about == dict(source='found.pkl', format='sniper', nms=0.7)


def test_list_from_python_2(convert):
    data = pickle.dumps([*FOUND[:3], FOUND[2]], 2)
    file = convert(data.replace(b'numpy._core', b'numpy.core'))
    assert np.diff(file.offsets).tolist() == [2, 1, 1, 1]
    assert file.boxes[2].tolist() == [0, 0, 150, 200]


def test_what_dump_proposals_writes(convert):
    order = [2, 0, 3, 1]
    value = {f'photos/{NAMES[i]}': detected(i) for i in order}
    value['photos/other.jpg'] = detected(0)
    dump(value, 'dumped.pkl')
    file = convert(Path('dumped.pkl').read_bytes())
    check(file)
    assert file.about['format'] == 'mmdet'


def test_list_of_older_mmdet(convert):
    value = [a + np.float32((0, 0, 1, 1, 0)) for a in FOUND]
    check(convert(value, '--format', 'mmdet'))


@pytest.mark.parametrize(
    ('ids', 'order'),
    [
        # At places 1, 7 (1 is taken), 0 and 2 of eight.
        ([9, 1, 8, 2], [2, 0, 3, 1]),
        # 11 finds 3, 3 again and 0 taken before it comes to 1.
        ([3, 0, 11, 2], [1, 2, 3, 0]),
    ],
)
def test_images_in_the_order_of_a_python_2_dict(convert, ids, order):
    coco = json.loads(Path('coco.json').read_text())
    for image, number in zip(coco['images'], ids, strict=True):
        image['id'] = number
    coco['annotations'] = []
    Path('coco.json').write_text(json.dumps(coco))
    marked = [rows((0, 0, 9, 9, i / 4)) for i in range(4)]
    placed = [marked[i] for i in order]
    for value, args in (
        (placed, ()),
        (placed, ('--order', 'python2', '--format', 'mmdet')),
        (marked, ('--order', 'file')),
        (marked, ('--format', 'mmdet')),
    ):
        file = convert(value, '--split', 'val', *args)
        assert file.keys[0] == f'{ids[0]} b.jpg'
        assert file.scores.tolist() == [0, 0.25, 0.5, 0.75]


def test_a_python_2_dict_grows():
    order = python2_order
    # Of eight places until the sixth, then of 32.
    assert order([33, 1, 2, 3, 4]) == [0, 2, 3, 4, 1]
    assert order([33, 1, 2, 3, 4, 5]) == [0, 2, 3, 4, 5, 1]
    assert order([48, 1, 2, 3, 4]) == [0, 1, 2, 3, 4]
    assert order([48, 1, 2, 3, 4, 5]) == [1, 2, 3, 4, 5, 0]
    # 35 finds 3 taken twice, then 1, then 6 free.
    assert order([3, 1, 35]) == [1, 0, 2]
    # With more than 50000 it doubles: to 2**18 places here.
    assert order([2**18, *range(1, 90000)])[:3] == [0, 1, 2]
    assert order(range(100)) == list(range(100))
    assert order([]) == []


def test_boxes_that_overlap(convert):
    value = [
        rows(
            (10, 10, 29, 28, 0.5),
            (10, 10, 29, 29, 1),
            (10, 10, 29, 19, 0.75),  # half of the largest
        ),
        *FOUND[1:],
    ]
    scores = [
        sorted(convert(value, '--nms', iou).scores[:-2].tolist())
        for iou in ('0.7', '0.4', '1')
    ]
    assert scores == [[0.75, 1], [1], [0.5, 0.75, 1]]


def test_boxes_at_the_border(convert):
    value = [
        rows((-2, -1.5, 200, 151, 1), (50, 50, 50, 52, 0.5)),
        rows((30, 30, 20, 40, 1), (150, 3, 151, 9, 1)),
        *FOUND[2:],
    ]
    file = convert(value)
    assert np.diff(file.offsets).tolist() == [2, 0, 1, 0]
    assert file.boxes[:2].tolist() == [[0, 0, 200, 150], [50, 50, 51, 53]]


def test_the_result_gives_negative_chips(convert):
    def many(width, height):
        far = np.maximum([width - 40, height - 40, width, height], 20) - 20
        return rows(*[(*far, 1)] * 30)

    convert([many(*size) for size in SIZES], '--nms', '1')
    config = Config.fromfile('config.py').train_dataloader.dataset
    dataset = DATASETS.build(dict(config, proposals='out/all.npz'))
    assert dataset.proposals.entries.tolist() == [0, 2]
    table = dataset.mine(0, 0)
    assert table['image'].tolist() == [0, 0, 1, 1]
    assert table['positive'].tolist() == [True, False, True, False]
    assert (table['x2'][1::2] >= 181).all()
    assert (table['y2'][1::2] >= 131).all()
    assert len(dataset[table[1]]['data_samples'].gt_instances) == 0


def with_first(*array):
    return [np.array(array, np.float32), *FOUND[1:]]


NAMED = {f'photos/{name}': detected(i) for i, name in enumerate(NAMES)}
COLUMN = InstanceData(bboxes=np.ones((2, 4)), scores=np.ones((2, 1)))


class Touch:
    def __reduce__(self):
        return os.system, ('touch executed',)


@pytest.mark.parametrize(
    ('value', 'sentence'),
    [
        (FOUND[:3], 'has proposals of 3 images, the dataset has 4'),
        (
            with_first((9, 9, 19, 19, 1), (10, 20, 250, 40, 1)),
            r'image 0 \(0 b.jpg\) lies outside of the image, 200x150: '
            r'\[10.0, 20.0, 251.0, 41.0\]',
        ),
        (with_first((-3, 0, 9, 9, 1)), r'image 0 .* outside .*\[-3.0, 0.0'),
        (with_first((5, 5, 9, np.nan, 1)), r'image 0 \(0 b.jpg\) .*not fini'),
        (with_first((5, 5, 9, 9, np.inf)), 'image 0 .* not finite'),
        (with_first((5, 5, 9, 9)), r'image 0 .*\(N, 5\).*shape \(1, 4\)'),
        (with_first(5, 5, 9, 9, 1), r'image 0 .*\(N, 5\).*shape \(5,\)'),
        ([{'a': 1}, *FOUND[1:]], r'image 0 .*\(N, 5\).*object of shape'),
        ([[['x'] * 5], *FOUND[1:]], r'image 0 .*\(N, 5\).*<U1 of shape'),
        (5, 'must hold a list or a dict of proposals. Received: int'),
        (b'x1,y1,x2,y2', 'is not a pickle of arrays'),
        (pickle.dumps(FOUND)[:-9], 'is not a pickle of arrays'),
        ([*FOUND[:3], Touch()], r'it holds \w+.system, .* is not executed'),
        (
            {k: v for k, v in NAMED.items() if 'a.jpg' not in k},
            r"no proposals for photos/a.jpg; .* such as \['photos/b.jpg'\]",
        ),
        (dict(NAMED, **{'photos/a.jpg': [1]}), 'a.jpg has no bboxes and scor'),
        (
            dict(NAMED, **{'photos/a.jpg': COLUMN}),
            'a.jpg has no bboxes and scores',
        ),
    ],
)
def test_proposals_that_are_refused(convert, value, sentence):
    with pytest.raises(SystemExit, match=f'proposals: found.pkl.*{sentence}'):
        convert(value)
    assert sorted(os.listdir()) == [
        'coco.json',
        'config.py',
        'found.pkl',
        'photos',
    ]


@pytest.mark.parametrize(
    ('args', 'sentence'),
    [
        (['--out', 'a.pkl'], r'--out must be a .npz file. Received: a.pkl'),
        (['--nms', '0'], r'--nms must be in \(0, 1\]. Received: 0.0'),
        (['--nms', '1.5'], r'--nms must be in \(0, 1\]. Received: 1.5'),
        (['--split', 'test'], 'config.py has no test_dataloader'),
    ],
)
def test_arguments_that_are_refused(convert, capsys, args, sentence):
    with pytest.raises(SystemExit) as error:
        convert(FOUND, *args)
    assert re.search(sentence, f'{error.value}{capsys.readouterr().err}')


def test_file_that_is_not_there(convert):
    with pytest.raises(SystemExit, match='convert_proposals: .*none.pkl'):
        convert(FOUND, source='none.pkl')
