"""The tool that writes images in tiles, as a user runs it."""

import json

import cv2
import numpy as np
import pytest

pytest.importorskip('rasterio')
TOOL = 'dataset_converters/to_tiled.py'


@pytest.fixture
def images(here):
    (here / 'in').mkdir()
    for name in 'a.png', 'b.jpg':
        cv2.imwrite(f'in/{name}', np.full((100, 120, 3), 7, np.uint8))
    coco = dict(images=[dict(id=1, file_name='b.jpg')], annotations=[])
    (here / 'in.json').write_text(json.dumps(coco))
    return here


def test_what_is_told(tool, images, capsys):
    ann = '--ann', 'in.json', '--out-ann', 'out.json', '--block', '32'
    tool(TOOL, 'in', 'out', *ann)
    done, told = capsys.readouterr()
    assert done.startswith('2 written, 0 skipped that were there, 0 left out;')
    assert ' MB before, ' in done and '2/2' in told
    assert 'b.tif' in (images / 'out.json').read_text()
    (images / 'in/c.png').touch()
    tool(TOOL, 'in', 'out', *ann, '--on-error', 'skip')
    assert '0 written, 2 skipped that were there, 1 left' in (
        capsys.readouterr().out
    )
    with pytest.raises(SystemExit, match='^to_tiled: in/c.png cannot be read'):
        tool(TOOL, 'in', 'out')


@pytest.mark.parametrize('args', [('--ann', 'in.json'), ('--compress', 'no')])
def test_wrong_arguments(tool, images, args):
    with pytest.raises(SystemExit) as stop:
        tool(TOOL, 'in', 'out', *args)
    assert stop.value.code == 2
