"""Settings proposed on the command line, and configs made of them."""

import json
import runpy
import sys

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from runs import TOOLS
from tiny import ROOT, SAMPLE_CONFIG

from sniper_mmdet.registry import DATASETS, MODELS
from sniper_mmdet.utils.build import load_config

AUTOFOCUS = (
    ROOT / 'configs/autofocus/faster-rcnn_r18-slim_fpn_autofocus_3e_sample.py'
)
PLAIN = """
train_dataloader = dict(
    dataset=dict(
        type='CocoDataset',
        ann_file='coco.json',
        data_prefix=dict(img=''),
        metainfo=dict(classes=('cat', ))))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Annotations of 40 images of 800x600 px, 15 boxes of 12 to 300 px each.

    One box more has no area, one is a crowd.
    """
    coco = dict(images=[], annotations=[], categories=[dict(id=1, name='cat')])
    rng = np.random.default_rng(0)
    for i in range(40):
        coco['images'].append(
            dict(id=i, width=800, height=600, file_name=f'{i}.jpg')
        )
        for size in np.geomspace(12, 300, 15):
            x, y = rng.uniform(0, (800 - size, 600 - size))
            coco['annotations'].append(annotation(coco, i, x, y, size))
    coco['annotations'].append(annotation(coco, 0, 5, 5, 0))
    crowd = annotation(coco, 0, 5, 5, 90)
    coco['annotations'].append(dict(crowd, iscrowd=1))
    (tmp_path / 'coco.json').write_text(json.dumps(coco))
    (tmp_path / 'plain.py').write_text(PLAIN)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def annotation(coco, image, x, y, size):
    return dict(
        id=len(coco['annotations']) + 1,
        image_id=image,
        category_id=1,
        bbox=[x, y, size, size],
        area=size**2,
        iscrowd=0,
    )


@pytest.fixture
def suggest(monkeypatch, capsys):
    """What the tool prints; it runs in this process: imports take longer."""

    def run(*args):
        monkeypatch.setattr(sys, 'argv', ['suggest', *map(str, args)])
        path = TOOLS / 'analysis_tools/suggest_settings.py'
        runpy.run_path(str(path), run_name='__main__')
        return capsys.readouterr().out

    return run


def test_report_of_an_annotation_file(folder, suggest):
    text = suggest('--ann', 'coco.json', '--out', 'a.png')
    assert '40 images of 800x600 to 800x600 px, 600 boxes' in text
    assert '(-1, 512)' in text and 'chip_size 512' in text
    row = next(line for line in text.splitlines() if 'chips an' in line)
    assert len(row.split()) == 5  # proposed and COCO's
    assert '1 boxes have no area' in text
    assert '--chip-size 256: levels' in text
    assert 'dict(threshold=0.02, dilation=3, min_size=256)' in text
    picture = cv2.imread('a.png')
    assert picture.shape[1] == 900 and picture.std() > 20
    found = json.loads(suggest('--ann', 'coco.json', '--json'))
    proposed, expected = found['proposed'], found['expected']['proposed']
    assert proposed['scales'][0] == [-1, 512]
    assert f'{expected["chips_per_image"]:.2f}' in row
    assert expected['boxes_covered'] > 0.99
    assert found['warnings'][0] in text and found['config'] in text
    assert set(found['focus_share']) == {'16', '8'}


def test_levels_and_chips_as_asked_for(folder, suggest):
    args = ('--ann', 'coco.json', '--levels', '1', '--chip-size', '320')
    found = json.loads(suggest(*args, '--json'))
    assert len(found['proposed']['scales']) == 1
    assert found['proposed']['chip_size'] == 320
    assert found['other_chip_sizes'] == {} and found['focus_share'] is None
    assert 'there is nothing to focus on' in suggest(*args)
    found = json.loads(
        suggest('--ann', 'coco.json', '--levels', '6', '--json')
    )
    assert any('trains no box' in text for text in found['warnings'])


def test_any_data_set_of_a_config(folder, suggest):
    of_file = json.loads(suggest('--ann', 'coco.json', '--json'))
    of_config = json.loads(suggest('plain.py', '--json'))
    assert of_config['proposed'] == of_file['proposed']
    assert list(of_config['expected']) == ['proposed', "COCO's"]
    option = 'train_dataloader.dataset.indices=3'
    few = json.loads(suggest('plain.py', '--json', '--cfg-options', option))
    assert (few['images'], few['boxes']) == (3, 45)
    assert '45 boxes are few' in few['warnings'][0]


def test_settings_on_top_of_the_config_they_are_for(
    folder, suggest, tiny_scenes
):
    root = f'train_dataloader.dataset.dataset.data_root={tiny_scenes}/'
    found = json.loads(
        suggest(
            *(SAMPLE_CONFIG, '--cfg-options', root),
            *('--json', '--config-out', 'mine.py'),
        )
    )
    assert list(found['expected']) == ['proposed', "COCO's", 'config']
    assert_follows(load_config('mine.py'), found['proposed'], tiny_scenes)


def test_settings_pasted_into_a_config_of_autofocus(
    folder, suggest, tiny_scenes
):
    args = ('--ann', tiny_scenes / 'train.json', '--config-out', 'part.py')
    suggest(*args, '--levels', 3)
    text = (folder / 'part.py').read_text()
    assert '_base_' not in text
    text = text.replace('# With', '## With').replace('# thresh', '## thresh')
    head, focus = text.split('## With')
    text = f'{head}## With' + focus.replace('\n# ', '\n')
    (folder / 'mine.py').write_text(f'_base_ = {str(AUTOFOCUS)!r}\n{text}')
    proposed = json.loads(suggest(*args, '--levels', 3, '--json'))['proposed']
    cfg = load_config('mine.py')
    model = assert_follows(cfg, proposed, tiny_scenes)
    assert [vars(step) for step in model.focus] == proposed['focus']
    assert model.focus_head.labelling['sizes'] == tuple(
        proposed['focus_sizes']
    )


def assert_follows(cfg: Config, proposed: dict, scenes):
    """The data set and the detector of a config have proposed settings."""
    cfg.train_dataloader.dataset.dataset.data_root = f'{scenes}/'
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    size = proposed['chip_size']
    assert dataset.settings.chip_size == size
    assert list(dataset.settings.stride) == proposed['stride']
    assert as_lists(dataset.settings.pyramid) == [
        proposed['scales'],
        proposed['valid_ranges'],
    ]
    assert len(dataset) > 0
    model = MODELS.build(cfg.model)
    assert as_lists(model.pyramid) == [
        proposed['scales'],
        proposed['test_valid_ranges'],
    ]
    assert model.data_preprocessor.batch_augments[0].size == (size, size)
    return model


def as_lists(pyramid):
    return json.loads(json.dumps([pyramid.scales, pyramid.valid_ranges]))


@pytest.mark.parametrize(
    ('args', 'sentence'),
    [
        ('', 'give either CONFIG or --ann'),
        ('plain.py --ann coco.json', 'give either CONFIG or --ann'),
        ('--ann coco.json --cfg-options a=1', '--ann has none'),
        ('--ann coco.json --levels 0', 'from 1 to 6. Received: 0.'),
        ('--ann coco.json --chip-size 100', 'multiple of 32, at least 64'),
        ('--ann coco.json --out no/a.png', 'a folder that exists'),
        ('--ann coco.json --out a.xyz', 'xyz'),
        ('--ann coco.json --config-out no/a.py', '--config-out must be in'),
        ('--ann nowhere.json', "'nowhere.json'"),
        ('--ann plain.py', 'plain.py is not a COCO detection json'),
        ('--ann empty.json', 'Received: 0 boxes'),
        ('nowhere.py', 'nowhere.py'),
        ('empty.py', 'empty.py has no train_dataloader.dataset'),
    ],
)
def test_bad_input_ends_in_a_sentence(folder, suggest, capsys, args, sentence):
    (folder / 'empty.py').write_text('model = dict()')
    empty = dict(images=[dict(id=1, width=9, height=9)], annotations=[])
    (folder / 'empty.json').write_text(json.dumps(empty))
    before = sorted(folder.iterdir())
    with pytest.raises(SystemExit) as ended:
        suggest(*args.split())
    text = capsys.readouterr().err if ended.value.code == 2 else ended.value
    assert sentence in str(text).strip().splitlines()[-1]
    assert sorted(folder.iterdir()) == before
