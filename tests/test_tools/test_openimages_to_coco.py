"""OpenImages' files as a COCO file, and back."""

import csv
import json

import pytest
from mmengine.registry import init_default_scope
from open_images import BOX_HEADER
from PIL import Image

from sniper_mmdet.registry import DATASETS

ROWS = [
    BOX_HEADER,
    'a,coco,/m/dog,1,0.250000,0.500000,0.100000,0.900000,0,1,0,0,0',
    'a,coco,/m/cat,1,0.500000,1.000000,0.500000,1.000000,0,0,1,0,0',
]
LABELS = [
    'ImageID,Source,LabelName,Confidence',
    'a,verification,/m/dog,1',
    'a,verification,/m/cat,1',
    'a,verification,/m/car,0',
    'b,verification,/m/animal,0',
    'b,verification,/m/car,0.5',
]
TREE = dict(
    LabelName='/m/root',
    Subcategory=[
        dict(
            LabelName='/m/animal',
            Subcategory=[dict(LabelName='/m/dog'), dict(LabelName='/m/cat')],
        ),
        dict(LabelName='/m/car'),
    ],
)
TO_COCO = 'dataset_converters/openimages_to_coco.py'
BACK = 'dataset_converters/coco_to_openimages.py'
FILES = ['images', 'boxes.csv', '--classes', 'names.csv', '--out', 'coco.json']


@pytest.fixture
def files(here):
    for name in ('images/part/a.jpg', 'images/b.jpg'):
        path = here / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (200, 100)).save(path)
    (here / 'boxes.csv').write_text('\n'.join(ROWS))
    (here / 'labels.csv').write_text('\n'.join(LABELS))
    names = ('animal', 'dog', 'cat', 'car')
    (here / 'names.csv').write_text(''.join(f'/m/{n},{n}\n' for n in names))
    (here / 'tree.json').write_text(json.dumps(TREE))
    return here


def convert(tool, *more):
    tool(TO_COCO, *FILES, *more)
    return json.loads(open('coco.json').read())


def test_there_and_back(tool, files, capsys):
    more = '--hierarchy', 'tree.json', '--image-labels', 'labels.csv'
    coco = convert(tool, *more)
    assert '1 labels whose Confidence' in capsys.readouterr().out
    a, b = coco['images']
    assert (a['file_name'], a['width'], a['height']) == (
        'part/a.jpg',
        200,
        100,
    )
    assert (a['pos_category_ids'], a['neg_category_ids']) == ([2, 3], [4])
    assert (b['pos_category_ids'], b['neg_category_ids']) == ([], [1])
    dog, cat = coco['annotations']
    assert (dog['bbox'], dog['category_id']) == ([50, 10, 50, 80], 2)
    keys = 'is_truncated', 'is_group_of', 'iscrowd'
    assert [dog[key] for key in keys] == [1, 0, 0]
    assert [cat[key] for key in keys] == [0, 1, 1]
    names = [c.get('supercategory') for c in coco['categories']]
    assert names == [None, 'animal', 'animal', None]
    tool(BACK, 'coco.json', '--out', 'back', '--split', 'val')
    assert (
        files / 'back/val-annotations-bbox.csv'
    ).read_text().split() == ROWS
    assert (
        json.loads((files / 'back/bbox_labels_hierarchy.json').read_text())
        == TREE
    )
    labels = files / 'back/val-annotations-human-imagelabels-boxable.csv'
    assert labels.read_text().split() == LABELS[:-1]
    names = (files / 'back/class-descriptions-boxable.csv').read_text()
    assert names == (files / 'names.csv').read_text()


@pytest.mark.parametrize(
    'group_of, crowds', [('keep', [0, 0]), ('drop', [0]), ('crowd', [0, 1])]
)
def test_groups(tool, files, group_of, crowds):
    coco = convert(tool, '--group-of', group_of)
    assert [one['iscrowd'] for one in coco['annotations']] == crowds


def test_what_is_skipped_is_counted(tool, files, capsys):
    (files / 'images/b.jpg').rename(files / 'images/c.jpg')
    rows = [*ROWS, ROWS[1].replace('a,', 'b,'), ROWS[1].replace('dog', 'bus')]
    (files / 'boxes.csv').write_text('\n'.join(rows))
    with pytest.raises(SystemExit, match="row 5: LabelName .*'/m/bus'"):
        convert(tool)
    with pytest.raises(SystemExit, match='row 4: each image must be in'):
        convert(tool, '--skip-unknown')
    assert not (files / 'coco.json').exists()
    coco = convert(tool, '--skip-unknown', '--skip-missing')
    assert [one['file_name'] for one in coco['images']] == ['part/a.jpg']
    told = capsys.readouterr().out
    assert '1 rows are left out' in told and '1 of 2 images are not' in told


@pytest.fixture
def coco(here):
    """Two images of a COCO file, one with a crowd."""
    sides = dict(width=100, height=50)
    found = dict(
        images=[
            dict(id=7, file_name='x/a.jpg', **sides),
            dict(id=9, file_name='b.jpg', **sides),
        ],
        annotations=[
            dict(
                id=k,
                image_id=7,
                category_id=3,
                bbox=[10, 5, 40, 20],
                area=800,
                iscrowd=k,
            )
            for k in (0, 1)
        ],
        categories=[
            dict(id=3, name='dog, wet', supercategory='animal'),
            dict(id=8, name='animal', supercategory='thing'),
        ],
    )
    (here / 'ann.json').write_text(json.dumps(found))
    return found


@pytest.mark.parametrize('exhaustive', [False, True])
def test_a_plain_coco_file(tool, here, coco, exhaustive):
    flags = ['--exhaustive'] * exhaustive
    tool(BACK, 'ann.json', '--out', 'new/oi', *flags)
    with open('new/oi/train-annotations-bbox.csv') as file:
        first, second = csv.DictReader(file)
    sides = [first[s] for s in ('XMin', 'XMax', 'YMin', 'YMax')]
    assert sides == ['0.100000', '0.500000', '0.100000', '0.500000']
    assert (first['LabelName'], first['IsOccluded']) == ('/coco/3', '-1')
    assert (first['IsGroupOf'], second['IsGroupOf']) == ('0', '1')
    path = 'new/oi/train-annotations-human-imagelabels-boxable.csv'
    with open(path) as file:
        told = [tuple(row.values()) for row in csv.DictReader(file)]
    there = [('a', 'verification', '/coco/3', '1')]
    absent = [('a', '/coco/8'), ('b', '/coco/3'), ('b', '/coco/8')]
    absent = [(i, 'verification', mid, '0') for i, mid in absent]
    assert told == (there + absent if exhaustive else there)
    # It is what the data set reads.
    for name in 'ab':
        Image.new('RGB', (100, 50)).save(here / f'{name}.jpg')
    init_default_scope('mmdet')
    data = DATASETS.build(
        dict(
            type='sniper_mmdet.OpenImagesDataset',
            data_root='new/oi',
            ann_file='train-annotations-bbox.csv',
            data_prefix=dict(img=str(here)),
            label_file='class-descriptions-boxable.csv',
            hierarchy_file='bbox_labels_hierarchy.json',
            image_level_ann_file=path.split('/')[-1],
        )
    )
    assert data.metainfo['classes'] == ('dog, wet', 'animal')
    assert data.metainfo['RELATION_MATRIX'].tolist() == [[1, 1], [0, 1]]
    assert len(data.get_data_info(0)['instances']) == 2


@pytest.mark.parametrize(
    'change, text',
    [
        (
            lambda c: c['images'][1].update(file_name='a.png'),
            'names of their own .*Received: x/a.jpg and a.png',
        ),
        (
            lambda c: c['categories'][1].update(name='dog, wet'),
            'each category must have a name of its own',
        ),
        (
            lambda c: c.update(
                hierarchy=dict(
                    LabelName='/coco/3',
                    Subcategory=[dict(LabelName='/coco/3')],
                )
            ),
            '/coco/3 > /coco/3',
        ),
        (
            lambda c: (
                c['categories'][0].update(supercategory='animal')
                or c['categories'][1].update(supercategory='dog, wet')
            ),
            'must not be above itself. Received: .* < .* < ',
        ),
        (
            lambda c: c['annotations'][0].update(category_id=77),
            'each class of .* must be an id of a category. Received: 77',
        ),
        (
            lambda c: c['images'][0].update(
                neg_category_ids=[c['annotations'][0]['category_id']]
            ),
            'must not be present and absent',
        ),
    ],
)
def test_what_cannot_be_written(tool, here, coco, change, text):
    change(coco)
    (here / 'ann.json').write_text(json.dumps(coco))
    with pytest.raises(SystemExit, match=text):
        tool(BACK, 'ann.json', '--out', 'new')


@pytest.mark.parametrize(
    'more, text',
    [
        (('--out', 'coco.csv'), '--out must be a .json file'),
        (('--hierarchy', 'tree.np'), '--hierarchy must be a .json file'),
    ],
)
def test_options_that_are_refused(tool, files, more, text):
    with pytest.raises(SystemExit, match=text):
        tool(TO_COCO, *FILES, *more)
