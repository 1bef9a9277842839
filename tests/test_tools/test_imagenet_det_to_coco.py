"""ImageNet's box files as a COCO file."""

import json

import pytest
from imagenet_files import CAT, DOG, write_boxes

TOOL = 'dataset_converters/imagenet_det_to_coco.py'
FILES = ['list.txt', 'boxes', '--classes', 'classes.txt', '--out', 'coco.json']


@pytest.fixture
def files(here):
    boxes = {
        f'{DOG}/a': [(DOG, (1, 2, 31, 42)), (CAT, (0, 0, 100, 80))],
        f'{CAT}/b': [(CAT, (50, 2, 101, 42))],  # beyond the width
    }
    for name, objects in boxes.items():
        write_boxes(here / f'boxes/{name}.xml', *objects)
    (here / 'list.txt').write_text('\n'.join(boxes))
    (here / 'classes.txt').write_text(f'{CAT} cat\n{DOG} dog\n')
    return here


def test_a_coco_file(files, tool):
    tool(TOOL, *FILES)
    coco = json.loads((files / 'coco.json').read_text())
    assert [c['name'] for c in coco['categories']] == ['0000', '0001']
    assert [c['wnid'] for c in coco['categories']] == [CAT, DOG]
    image = dict(id=1, file_name=f'{DOG}/a.JPEG', width=100, height=80)
    assert coco['images'] == [image]
    found = [(a['category_id'], a['bbox']) for a in coco['annotations']]
    assert found == [(2, [1, 2, 30, 40]), (1, [0, 0, 100, 80])]


def test_options(files, tool):
    more = '--names', 'wnid', '--img-suffix', '.jpg', '--keep-empty'
    tool(TOOL, *FILES, *more)
    coco = json.loads((files / 'coco.json').read_text())
    assert [c['name'] for c in coco['categories']] == [CAT, DOG]
    names = [image['file_name'] for image in coco['images']]
    assert names == [f'{DOG}/a.jpg', f'{CAT}/b.jpg']


def test_what_is_wrong(files, tool):
    (files / f'boxes/{CAT}/b.xml').write_text('<annotation>')
    with pytest.raises(SystemExit, match=r'b\.xml must be a box file'):
        tool(TOOL, *FILES)
    assert not (files / 'coco.json').exists()
    (files / f'boxes/{CAT}/b.xml').unlink()
    with pytest.raises(SystemExit, match=r'b\.xml'):
        tool(TOOL, *FILES)
