"""VisDrone's, DOTA's and YOLO's text files, written by hand, as COCO files."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.datasets import CocoDataset
from mmengine.config import Config
from mmengine.registry import init_default_scope
from PIL import Image
from pycocotools.coco import COCO
from tiny import ROOT

from sniper_mmdet.datasets import ChipDataset
from sniper_mmdet.evaluation import VisDroneMetric
from sniper_mmdet.registry import DATASETS, METRICS

VISDRONE = (
    'pedestrian people bicycle car van truck tricycle awning-tricycle bus '
    'motor'
).split()
#: Of each converter: further arguments, and a line of a box.
FORMATS = dict(
    visdrone=([], '10,20,30,40,1,4,0,1'),
    dota=([], '10 20 40 20 40 60 10 60 ship 0'),
    yolo=(['--classes', 'cat', 'dog'], '1 0.25 0.5 0.3 0.5'),
)
each_format = pytest.mark.parametrize('kind', FORMATS)


@pytest.fixture
def convert(tool, here):
    """Convert text files of images of 100x80 px; returns the COCO file."""

    def run(kind, labels, *args, images=None):
        for name in images or [Path(n).with_suffix('.png') for n in labels]:
            path = here / 'images' / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new('RGB', (100, 80)).save(path)
        (here / 'labels').mkdir(exist_ok=True)
        for name, text in labels.items():
            path = here / 'labels' / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        tool(
            f'dataset_converters/{kind}_to_coco.py',
            *('images', 'labels', '--out', 'new/coco.json'),
            *(args or FORMATS[kind][0]),
        )
        return json.loads((here / 'new/coco.json').read_text())

    return run


@pytest.fixture
def error_of(convert, here):
    """The sentence that a converter ends in; it leaves no file."""

    def run(*args, **settings):
        with pytest.raises(SystemExit) as stop:
            convert(*args, **settings)
        assert not list(here.rglob('*.json*'))
        return str(stop.value)

    return run


def coco_dataset(classes):
    return CocoDataset(
        ann_file='new/coco.json',
        data_prefix=dict(img='images/'),
        metainfo=dict(classes=classes),
        pipeline=[],
    )


def boxes(coco):
    return [a['bbox'] for a in coco['annotations']]


@each_format
def test_a_box(convert, kind, capsys):
    coco = convert(kind, {'a.txt': FORMATS[kind][1]})
    assert coco['images'] == [
        dict(id=1, file_name='a.png', width=100, height=80)
    ]
    (found,) = coco['annotations']
    assert found['id'] == found['image_id'] == 1
    assert found['bbox'] == [10, 20, 30, 40] and found['area'] == 1200
    assert found['iscrowd'] == 0 and 'ignore' not in found
    names = {c['id']: c['name'] for c in coco['categories']}
    name = names[found['category_id']]
    assert name == dict(visdrone='car', dota='ship', yolo='dog')[kind]
    assert min(names) == 1 and len(names) == dict(
        visdrone=10, dota=16, yolo=2
    ).get(kind)
    out = capsys.readouterr().out
    rows = [line.split() for line in out.splitlines()]
    assert [str(found['category_id']), name, '1', '0'] in rows
    assert ['all', '1', '0'] in rows
    assert '1 images, 0 of them without a box; 0 boxes clipped' in out


@each_format
def test_mmdet_and_pycocotools_read_it(convert, kind):
    line = FORMATS[kind][1]
    # The last number has a zero more: the same box, but not the same line.
    coco = convert(
        kind, {'b.txt': f'{line}\n\n{line}0\n', 'a/c.txt': '', 'd.txt': line}
    )
    assert [i['file_name'] for i in coco['images']] == [
        *('a/c.png', 'b.png', 'd.png')
    ]
    read = COCO('new/coco.json')
    assert sorted(read.anns) == [1, 2, 3]
    assert [len(read.getAnnIds(imgIds=[i])) for i in (1, 2, 3)] == [0, 2, 1]
    dataset = coco_dataset([c['name'] for c in coco['categories']])
    assert len(dataset) == 3
    info = dataset.get_data_info(1)
    assert Path(info['img_path']) == Path('images/b.png')
    assert [i['bbox'] for i in info['instances']] == [[10, 20, 40, 60]] * 2
    chips = ChipDataset(dataset, scales=[1.0, 2.0], chip_size=64, stride=16)
    assert chips.images.boxes.tolist() == [[10, 20, 40, 60]] * 3
    assert len(chips) > 0


@each_format
def test_boxes_come_back(convert, kind):
    rng = np.random.default_rng(0)
    sides = rng.integers(100, 5000, (60, 2)) / 100
    corners = rng.uniform(0, 1, (60, 2)) * ((100, 80) - sides)
    truth = np.hstack([corners, sides]).round(2)
    lines = []
    for x, y, w, h in truth.tolist():
        if kind == 'visdrone':
            lines.append(f'{x},{y},{w},{h},1,1,0,0,')
        elif kind == 'dota':
            r, b = x + w, y + h
            lines.append(f'{r} {b} {x} {b} {x} {y} {r} {y} ship 0')
        else:
            cx, cy = (x + w / 2) / 100, (y + h / 2) / 80
            lines.append(f'0 {cx:.6f} {cy:.6f} {w / 100:.6f} {h / 80:.6f}')
    coco = convert(kind, {'a.txt': '\n'.join(lines)})
    assert np.array(boxes(coco)) == pytest.approx(truth, abs=0.0101)


def test_visdrone_categories(convert):
    lines = [f'{4 * k},5,4,5,{int(0 < k < 11)},{k},1,2' for k in range(12)]
    lines.append('60,5,4,5,0,9,0,0,')  # a bus that does not count
    coco = convert('visdrone', {'a.txt': '\n'.join(lines)})
    found = coco['annotations']
    assert [c['name'] for c in coco['categories']] == VISDRONE
    assert [a['category_id'] for a in found] == [1, *range(1, 11), 1, 9]
    assert [a['iscrowd'] for a in found] == [1, *[0] * 10, 1, 1]
    kinds = [a.get('visdrone_category') for a in found]
    assert kinds == [0, *[None] * 10, 11, None]
    assert {(a['truncation'], a['occlusion']) for a in found[:12]} == {(1, 2)}
    # Training ignores what is not counted, whatever its class.
    instances = coco_dataset(VISDRONE).get_data_info(0)['instances']
    assert [i['ignore_flag'] for i in instances] == [
        a['iscrowd'] for a in found
    ]
    chips = ChipDataset(coco_dataset(VISDRONE), scales=[1.0])
    assert len(chips.images.boxes) == 10


def test_visdrone_metric_reads_its_file(convert):
    convert(
        'visdrone',
        {'a.txt': '10,20,30,40,1,4,0,0\n50,0,50,40,0,0,0,0', 'b.txt': ''},
    )
    metric = VisDroneMetric('new/coco.json')
    metric.dataset_meta = dict(classes=VISDRONE)

    def detections(*found):
        found = torch.tensor(found, dtype=torch.float32)
        return dict(
            bboxes=found[:, :4],
            scores=found[:, 4],
            labels=torch.full((len(found),), 3),
        )

    right, ignored = (10, 20, 40, 60, 0.5), (60, 0, 90, 30, 0.9)
    metric.process(
        {}, [dict(img_id=1, pred_instances=detections(right, ignored))]
    )
    assert metric.evaluate(1)['visdrone/AP'] == 100
    metric.process(
        {},
        [
            dict(img_id=1, pred_instances=detections(right)),
            dict(img_id=2, pred_instances=detections(ignored)),
        ],
    )
    assert metric.evaluate(2)['visdrone/AP'] == 50


def test_dota_outlines_and_difficult_objects(convert):
    text = (
        'imagesource:GoogleEarth\ngsd:0.14\n'
        '50 -10 70 10 50 30 30 10 plane 1\n'
        '10 10 20 10 20.5 20 10 20 container-crane 0\n'
        '10 40 20 40 20 50 10 50 ship\n'
    )
    coco = convert('dota', {'P1.txt': text})
    found = coco['annotations']
    assert boxes(coco) == [
        [30, 0, 40, 30],
        [10, 10, 10.5, 10],
        [10, 40, 10, 10],
    ]
    # The corners as they were annotated, also outside the image.
    assert found[0]['segmentation'] == [[50, -10, 70, 10, 50, 30, 30, 10]]
    assert [a['difficult'] for a in found] == [1, 0, 0]
    assert [a['iscrowd'] for a in found] == [1, 0, 0]
    assert [a['category_id'] for a in found] == [1, 16, 7]
    names = [c['name'] for c in coco['categories']]
    instances = coco_dataset(names).get_data_info(0)['instances']
    assert [i['ignore_flag'] for i in instances] == [1, 0, 0]
    assert COCO('new/coco.json').annToMask(found[1]).sum() > 90


@pytest.mark.parametrize(
    'classes, names',
    [
        (['v1.0'], 15),
        (['v1.5'], 16),
        (['v2.0'], 18),
        (['crane', 'ship'], ['crane', 'ship']),
    ],
)
def test_dota_classes(convert, classes, names):
    coco = convert(
        'dota', {'a.txt': FORMATS['dota'][1]}, '--classes', *classes
    )
    found = [c['name'] for c in coco['categories']]
    assert found == names if isinstance(names, list) else len(found) == names


def test_yolo_polygons(convert):
    text = '0 0.1 0.25 0.5 0.25 0.3 0.5\n1 0 0 0.2 0 0.2 0.5 0 0.5'
    coco = convert('yolo', {'a.txt': text})
    assert boxes(coco) == [[10, 20, 40, 20], [0, 0, 20, 40]]
    assert coco['annotations'][0]['segmentation'] == [[10, 20, 50, 20, 30, 40]]
    instance = coco_dataset(['cat', 'dog']).get_data_info(0)['instances'][0]
    assert instance['mask'] == [[10, 20, 50, 20, 30, 40]]


@pytest.mark.parametrize('shape', ['[2, 3]', '[3, 2]'])
@pytest.mark.parametrize('how', ['yaml', 'option'])
def test_yolo_poses(convert, error_of, shape, how):
    line = '1 0.25 0.5 0.3 0.5 0.2 0.4 0.2 0.9 0.9 2'
    args = [*('--classes', 'data.yaml')]
    text = 'names: [cat, dog]\n'
    if how == 'yaml':
        text += f'kpt_shape: {shape}\n'
    else:
        args += ['--keypoints', shape[1], shape[4]]
    Path('data.yaml').write_text(text)
    error = error_of('yolo', {'a.txt': f'{line} 2'}, *args)
    assert 'keypoints: a class and 10 numbers. Received' in error
    coco = convert('yolo', {'a.txt': line}, *args)
    assert boxes(coco) == [[10, 20, 30, 40]]
    assert 'segmentation' not in coco['annotations'][0]


def test_yolo_lines_that_are_there_twice(convert, capsys):
    line = FORMATS['yolo'][1]
    coco = convert('yolo', {'a.txt': f'{line}\n\n{line} \n', 'b.txt': line})
    assert [a['image_id'] for a in coco['annotations']] == [1, 2]
    shown = capsys.readouterr().out
    assert 'labels/a.txt, line 3\n1 repeated lines left out.' in shown


@each_format
def test_two_images_of_one_text_file(convert, error_of, kind, capsys):
    args, line = FORMATS[kind]
    images = ['a.jpg', 'a.png', 'b.png']
    labels = {'a.txt': line, 'b.txt': line}
    sentence = (
        'images/a.png must have a text file of its own, but labels/a.txt is '
        'also that of a.jpg.'
    )
    assert sentence in error_of(kind, labels, images=images)
    coco = convert(kind, labels, *args, '--skip-broken', images=images)
    assert [i['file_name'] for i in coco['images']] == ['a.jpg', 'b.png']
    assert f'{sentence}\n1 broken images' in capsys.readouterr().out


def test_files_of_other_endings_are_told(convert, here, capsys):
    (here / 'images').mkdir()
    for name in ('b.heic', 'a.txt', 'c.TXT'):
        (here / 'images' / name).touch()
    convert('yolo', {'a.txt': FORMATS['yolo'][1]})
    shown = capsys.readouterr().out
    assert 'b.heic\n1 files that are no image by their endings left' in shown


def test_what_is_left_out_is_named(convert, capsys):
    labels = {f'other{k}.txt': '' for k in range(12)}
    labels['a.txt'] = '\n'.join(['9 0.5 0.5 0.1 0.1', *['x'] * 11])
    args = [*FORMATS['yolo'][0], '--skip-broken']
    convert('yolo', labels, *args, images=['a.png'])
    shown = capsys.readouterr().out
    assert "a.txt, line 1: the class must be 0 to 1. Received: '9 0." in shown
    assert '...\n12 text files of no image left out.' in shown
    assert 'labels/other9.txt\n...' in shown
    assert 'other10.txt' not in shown
    # Lines that are there twice are told apart from broken ones.
    assert '10 repeated lines left out.' in shown


@each_format
def test_hidden_folders_are_left_alone(convert, kind):
    line = FORMATS[kind][1]
    names = ['b10', 'b9', '.thumbnails/b9', '__MACOSX/b9', '.b9']
    coco = convert(kind, {f'{name}.txt': line for name in names})
    assert [i['file_name'] for i in coco['images']] == ['b9.png', 'b10.png']


def test_errors_start_on_a_new_line(convert, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, 'isatty', lambda: True, raising=False)
    with pytest.raises(SystemExit):
        convert('yolo', {'a.txt': 'x'})
    assert capsys.readouterr().err.endswith('ETA:\n')


def test_areas_of_polygons(convert):
    lines = [
        '10 20 50 20 50 60 10 60 ship 0',
        '30 10 50 30 30 50 10 30 ship 0',
        '-40 0 40 0 40 80 -40 80 ship 0',  # half of it is in the image
        '10 10 50 50 50 10 10 50 ship 0',  # its lines cross
    ]
    coco = convert('dota', {'a.txt': '\n'.join(lines)})
    areas = [a['area'] for a in coco['annotations']]
    assert areas == [1600, 800, 3200, 1600]
    names = [c['name'] for c in coco['categories']]
    assert len(coco_dataset(names).get_data_info(0)['instances']) == 4


def test_yolo_images_without_a_text_file(convert, capsys):
    labels = {'train/a.txt': '0 0.5 0.5 0.2 0.2', 'classes.txt': 'cat'}
    images = ['train/a.JPG', 'train/._a.JPG', 'val/b.png', 'c.webp']
    (Path('images/train')).mkdir(parents=True)
    coco = convert('yolo', labels, images=images)
    assert [i['file_name'] for i in coco['images']] == [
        *('c.webp', 'train/a.JPG', 'val/b.png')
    ]
    assert [a['image_id'] for a in coco['annotations']] == [2]
    out = capsys.readouterr().out
    assert '3 images, 2 of them without a box' in out
    assert '1 text files of no image left out' in out


@pytest.mark.parametrize(
    'name, text',
    [
        ('data.yaml', 'names: [cat, dog]\nnc: 2\n'),
        ('data.yml', 'names:\n  1: dog\n  0: cat\n'),
        ('classes.txt', '\ufeffcat\r\ndog\r\n'),
        ('my.names', 'cat\n\ndog'),
    ],
)
def test_yolo_files_of_classes(convert, name, text):
    Path(name).write_text(text, encoding='utf-8')
    coco = convert('yolo', {'a.txt': '1 0.5 0.5 0.2 0.2'}, '--classes', name)
    assert coco['categories'] == [
        dict(id=1, name='cat'),
        dict(id=2, name='dog'),
    ]


@pytest.mark.parametrize(
    'text, sentence',
    [
        (None, 'must be a file or names. Received: data.yaml.'),
        ('names: {1: cat, 2: dog}', "Received: {1: 'cat', 2: 'dog'}."),
        ('names: {0: cat, x: dog}', 'names must be a list, or a dict of'),
        ('path: .', 'data.yaml: names must be a list'),
        ('names: []', 'data.yaml must name a class.'),
        ('[', 'data.yaml cannot be read as YAML'),
        (
            'names: [cat]\nnc: 2',
            'nc must be the number of names, 1. Received: 2',
        ),
        ('names: [cat]\nkpt_shape: 3', 'kpt_shape must be the number of keyp'),
        ('names: [cat]\nkpt_shape: [17, 1]', 'and 2 or 3. Received: [17, 1].'),
        ('names: [cat, cat]', "the class 'cat' is named twice."),
    ],
)
def test_broken_files_of_classes(error_of, text, sentence):
    if text:
        Path('data.yaml').write_text(text)
    args = ('--classes', 'data.yaml')
    assert sentence in error_of('yolo', {'a.txt': ''}, *args)


@pytest.mark.parametrize(
    'kind, line, sentence',
    [
        ('visdrone', '1,2,3,4,1,1,0', 'must be x,y,width,height,score,categ'),
        ('visdrone', '1,2,3,x,1,1,0,0', 'must hold numbers.'),
        ('visdrone', '1,2,3,inf,1,1,0,0', 'must hold finite numbers.'),
        ('visdrone', '1,2,-3,4,1,1,0,0', 'must not be negative.'),
        ('visdrone', '1,2,3,4,0.7,1,0,0', 'must be 0 or 1.'),
        ('visdrone', '1,2,3,4,1,12,0,0', 'category must be 0 to 11.'),
        ('dota', '1 2 3 4 5 6 7 8', 'must be x1 y1 x2 y2 x3 y3 x4 y4 class'),
        ('dota', '1 2 3 4 5 6 7 nan ship 0', 'must hold finite numbers.'),
        ('dota', '1 2 3 4 5 6 7 8 shp 0', 'must be one of plane baseball-'),
        ('dota', '1 2 3 4 5 6 7 8 ship 0.5', 'must be 0 or 1.'),
        ('yolo', '0 0.5 0.5 0.5', 'must be "class cx cy width height"'),
        ('yolo', '0 0.5 0.5 0.5 0.5 0.9', 'three or more points.'),
        ('yolo', '2 0.5 0.5 0.5 0.5', 'the class must be 0 to 1.'),
        ('yolo', 'cat 0.5 0.5 0.5 0.5', 'must hold numbers.'),
        ('yolo', '0 50 40 30 20', 'in shares of the image, not in pixels.'),
        ('yolo', '0 0.5 0.5 -0.5 0.5', 'must not be negative.'),
        ('yolo', '0 0.5 1.06 0.5 0.5', 'the centre must be in the image.'),
        ('yolo', '0 -0.06 0.5 0.5 0.5', 'the centre must be in the image.'),
        ('yolo', '0 0.1 0.1 1.1 0.1 0.1 0.5', 'polygon must be in the image'),
        # A pose of two keypoints: each has its visibility.
        ('yolo', '0 .5 .5 .2 .2 .4 .4 2 .6 .6 2', 'need kpt_shape in data.ya'),
    ],
)
def test_broken_lines(error_of, convert, capsys, kind, line, sentence):
    good = FORMATS[kind][1]
    labels = {'a.txt': good, 'b/c.txt': f'{good}\n\n{line}\n{good}0\n'}
    error = error_of(kind, labels)
    assert error.startswith(f'{kind}_to_coco: labels/b/c.txt, line 3: ')
    assert sentence in error and error.endswith(f'Received: {line!r}.')
    args = FORMATS[kind][0]
    coco = convert(kind, labels, *args, '--skip-broken')
    assert len(coco['annotations']) == 3
    shown = capsys.readouterr().out
    assert f'{error.split(": ", 1)[1]}\n1 broken lines left out' in shown


@each_format
def test_boxes_outside_the_image(convert, capsys, kind):
    lines = dict(
        visdrone='-5,70,10,20,1,1,0,0\n100,10,9,9,1,1,0,0\n9,9,0,5,1,1,0,0',
        dota='-5 70 5 70 5 90 -5 90 ship 0\n100 1 109 1 109 9 100 9 ship 0\n'
        '9 9 9 9 9 14 9 14 ship 0',
        yolo='0 0 1 0.1 0.25\n0 1.045 0.2 0.09 0.1\n0 0.5 0.5 0 0.1',
    )[kind]
    coco = convert(kind, {'a.txt': lines})
    assert boxes(coco) == [[0, 70, 5, 10]]
    assert coco['annotations'][0]['area'] == 50
    out = capsys.readouterr().out
    assert '1 boxes clipped to their image' in out
    assert '2 boxes of no pixel in their image left out' in out


@each_format
def test_boxes_narrower_than_a_pixel(convert, kind):
    """CocoDataset drops them without a word."""
    lines = dict(
        visdrone='10,10,0.99,9,1,1,0,0\n10,10,1,9,1,1,0,0',
        dota='10 9 10.99 9 10.99 20 10 20 ship 0\n'
        '10 9 11 9 11 20 10 20 ship 0',
        yolo='0 0.5 0.5 0.0099 0.5\n0 0.5 0.5 0.01 0.5',
    )[kind]
    coco = convert(kind, {'a.txt': lines})
    assert [w for _, _, w, _ in boxes(coco)] == [1]
    names = [c['name'] for c in coco['categories']]
    assert len(coco_dataset(names).get_data_info(0)['instances']) == 1


@pytest.mark.parametrize('kind', ['visdrone', 'dota'])
def test_an_image_without_a_text_file(error_of, convert, capsys, kind):
    labels = {'b.txt': FORMATS[kind][1]}
    images = ['a.png', 'b.png']
    error = error_of(kind, labels, images=images)
    assert error == f'{kind}_to_coco: images/a.png has no labels/a.txt.'
    coco = convert(kind, labels, '--skip-broken', images=images)
    assert [i['file_name'] for i in coco['images']] == ['b.png']
    assert coco['annotations'][0]['image_id'] == 1
    assert '1 broken images left out' in capsys.readouterr().out


@each_format
def test_broken_files(error_of, convert, here, kind):
    args, line = FORMATS[kind]
    labels = {'a.txt': line, 'b.txt': line}
    (here / 'images').mkdir()
    (here / 'images/a.bmp').write_bytes(b'no image')
    error = error_of(kind, labels, images=['b.png'])
    assert f'{kind}_to_coco: images/a.bmp cannot be read as an' in error
    (here / 'images/a.bmp').unlink()
    Image.new('L', (9, 9)).save(here / 'images/a.png')
    (here / 'labels/a.txt').write_bytes(b'\xff\xfe\x00')
    with pytest.raises(SystemExit, match='labels/a.txt cannot be read as te'):
        convert(kind, {'b.txt': line})
    coco = convert(kind, {'b.txt': line}, *args, '--skip-broken')
    assert [i['file_name'] for i in coco['images']] == ['b.png']


@each_format
def test_all_images_broken(error_of, here, kind):
    (here / 'images').mkdir()
    (here / 'images/a.png').write_bytes(b'no image')
    (here / 'labels').mkdir()
    (here / 'labels/a.txt').write_text('')
    args = FORMATS[kind][0]
    error = error_of(kind, {}, *args, '--skip-broken', images=[])
    assert 'each of the 1 images in images is broken.' in error


@each_format
def test_nothing_to_convert(error_of, here, kind):
    error = error_of(kind, {'a.txt': ''}, images=['a.tga'])
    assert 'IMAGES must be a folder with images (.' in error
    assert ' .jpeg .jpg ' in error
    assert error.endswith('Received: images.')
    # Text files of another split.
    error = error_of(kind, {'a.txt': ''}, images=['b.png'])
    assert 'labels must hold a text file of an image in images, such' in error
    assert error.endswith('b.txt. Received: 1 text files of other names.')


@each_format
def test_wrong_folders(tool, here, kind):
    name, args = f'dataset_converters/{kind}_to_coco.py', FORMATS[kind][0]
    with pytest.raises(SystemExit, match=r'webp\). Received: no'):
        tool(name, 'no', 'labels', '--out', 'a.json', *args)
    Image.new('L', (9, 9)).save(here / 'a.png')
    with pytest.raises(SystemExit, match='in a folder. Received: no'):
        tool(name, '.', 'no', '--out', 'a.json', *args)
    with pytest.raises(SystemExit, match='a .json file. Received: a.txt'):
        tool(name, '.', '.', '--out', 'a.txt', *args)


@each_format
def test_what_was_written_stays_whole(convert, here, monkeypatch, kind):
    convert(kind, {'a.txt': FORMATS[kind][1]})
    before = (here / 'new/coco.json').read_text()

    def full(path, text, **settings):
        path.touch()
        raise OSError('No space left on device')

    monkeypatch.setattr(Path, 'write_text', full)
    with pytest.raises(SystemExit, match='No space left on device'):
        convert(kind, {}, images=['a.png'])
    assert (here / 'new/coco.json').read_text() == before
    assert [p.name for p in (here / 'new').iterdir()] == ['coco.json']


def test_the_config_of_visdrone(convert, here):
    convert('visdrone', {'a.txt': FORMATS['visdrone'][1]})
    for split in ('train', 'val'):
        folder = here / f'data/visdrone/VisDrone2019-DET-{split}'
        folder.mkdir(parents=True)
        (folder / 'images').symlink_to(here / 'images')
        file = here / f'data/visdrone/annotations/{split}.json'
        file.parent.mkdir(exist_ok=True)
        file.write_text((here / 'new/coco.json').read_text())
    cfg = Config.fromfile(ROOT / 'configs/_base_/datasets/visdrone_chips.py')
    init_default_scope('mmdet')
    chips = DATASETS.build(cfg.train_dataloader.dataset)
    sample = chips[0]
    assert chips.metainfo['classes'] == tuple(VISDRONE)
    assert len(sample['data_samples'].gt_instances) == 1
    val = DATASETS.build(cfg.val_dataloader.dataset)
    assert val[0]['data_samples'].gt_instances.labels.tolist() == [3]
    metric = METRICS.build(cfg.test_evaluator)
    assert isinstance(metric, VisDroneMetric) and cfg.val_evaluator == (
        cfg.test_evaluator
    )
