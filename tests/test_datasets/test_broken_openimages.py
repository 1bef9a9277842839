"""OpenImages' files that are refused, and what is skipped and counted."""

import json

import pytest
from open_images import BOX_HEADER
from openimages_files import (
    CLASSES,
    LABELS,
    ROWS,
    challenge_txt,
    load,
    write_lines,
)

from sniper_mmdet.datasets.formats.openimages import read_hierarchy


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


@pytest.mark.parametrize('name', ['boxes.csv', 'names.csv', 'boxes.txt'])
def test_a_file_that_is_no_utf8(data, name):
    (data / name).write_bytes('/m/dog,Müller\n'.encode('latin-1'))
    settings = dict(ann_file=name) if name == 'boxes.txt' else {}
    with pytest.raises(ValueError, match=f'{name} must be UTF-8 text'):
        load(data, **settings)
