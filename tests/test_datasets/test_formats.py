"""Readers and the writer of formats, as a program calls them."""

import json

import pytest
from PIL import Image

from sniper_mmdet.datasets.formats import dota, visdrone, yolo
from sniper_mmdet.datasets.formats.coco import CocoWriter
from sniper_mmdet.datasets.formats.text_files import convert_text_files


def test_lines_of_a_hundred_by_eighty_pixels():
    box = (10, 20, 40, 60)
    for read_line, line, label in (
        (visdrone.read_line, '10,20,30,40,1,4,0,1', 3),
        (
            dota.make_reader(dota.VERSIONS['v1.0']),
            '10 20 40 20 40 60 10 60 ship 0',
            6,
        ),
        (yolo.make_reader(['cat', 'dog']), '1 0.25 0.5 0.3 0.5', 1),
    ):
        found = read_line(line, 100, 80)
        assert found['label'] == label
        assert found['box'] == pytest.approx(box)


def test_a_format_that_is_not_of_text_files(tmp_path):
    coco = CocoWriter(['face'])
    for name in ('a.jpg', 'b.jpg'):
        image = coco.add_image(name, 100, 80)
        coco.add_object(image, name, 0, (-5, 10, 20, 30), blur=2)
        coco.add_object(image, name, 0, (10, 10, 10.5, 30))
    coco.write(tmp_path / 'new/faces.json')
    written = json.loads((tmp_path / 'new/faces.json').read_text())
    assert written['images'] == [
        dict(id=i, file_name=name, width=100, height=80)
        for i, name in ((1, 'a.jpg'), (2, 'b.jpg'))
    ]
    assert written['annotations'] == [
        dict(
            id=i,
            image_id=i,
            category_id=1,
            bbox=[0, 10, 20, 20],
            area=400,
            iscrowd=0,
            blur=2,
        )
        for i in (1, 2)
    ]
    assert written['categories'] == [dict(id=1, name='face')]
    assert coco.summary().endswith(
        '2 images, 0 of them without a box; 2 boxes clipped to their image.\n'
        'a.jpg\nb.jpg\n2 boxes of no pixel in their image left out.'
    )


def test_a_reader_of_ones_own(tmp_path):
    Image.new('RGB', (100, 80)).save(tmp_path / 'a.png')
    (tmp_path / 'a.txt').write_text('# x y\n30 40')

    def read_line(line, width, height):
        if line.startswith('#'):
            return None
        x, y = map(int, line.split())
        return dict(label=0, box=(x - 5, y - 5, x + 5, y + 5))

    out = tmp_path / 'points.json'
    report = convert_text_files(tmp_path, tmp_path, out, ['point'], read_line)
    assert report.endswith(f'{out} is written.')
    (found,) = json.loads(out.read_text())['annotations']
    assert found['bbox'] == [25, 35, 10, 10]
