"""Settings proposed on the command line, and configs made of them."""

import json
import runpy
import sys

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from runs import TOOLS
from tiny import ROOT, SAMPLE_CONFIG

from sniper_mmdet.engine.build import load_config
from sniper_mmdet.registry import DATASETS, MODELS

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
    assert '0.8         [61, ∞)' in text and 'chip_size 512' in text
    row = next(line for line in text.splitlines() if 'chips per' in line)
    assert len(row.split()) == 5  # proposed and COCO's
    assert '1 boxes have no area' in text
    assert '--chip-size 256: levels' in text
    assert 'dict(threshold=0.02, dilation=3, min_size=40)' in text
    picture = cv2.imread('a.png')
    assert picture.shape[1] == 900 and picture.std() > 20
    found = json.loads(suggest('--ann', 'coco.json', '--json'))
    proposed, expected = found['proposed'], found['expected']['proposed']
    assert proposed['scales'] == [0.8, 3.0]
    assert proposed['focus_stride'] == 8
    assert f'{expected["chips_per_image"]:.2f}' in row
    assert expected['boxes_covered'] > 0.99
    assert found['warnings'][0] in text and found['config'] in text
    share = found['focus_share']
    assert 0.15 < share['pixels'] < 0.25 and share['boxes'] > 0.99
    assert f'boxes reached: {share["boxes"]:.1%}' in text
    (plan,) = [way for way in found['ways'] if way['proposed']]
    whole = [way for way in found['ways'] if not way['stride']]
    assert [way['scales'] for way in whole] == [[3.0], [0.8, 3.0]]
    assert whole[0]['pixels'] == 2400 * 1800
    assert plan['scales'] == [0.8, 3.0] and plan['stride'] == 8
    assert plan['of_finest'] == plan['pixels'] / whole[0]['pixels'] < 0.5
    assert found['gain'] in text
    assert f'AutoFocus looks at {plan["pixels"] / 1e6:.2f} of 4.3' in text
    row = next(row for row in text.splitlines() if '* 0.8, 3.0' in row)
    assert f'{plan["of_finest"]:.1%}' in row and '100.0%' in row
    row = next(row for row in text.splitlines() if 'train nowhere' in row)
    assert row.split() == ['boxes', 'that', 'train', 'nowhere', '0', '0']


def test_levels_and_chips_as_asked_for(folder, suggest):
    args = ('--ann', 'coco.json', '--levels', '1', '--chip-size', '320')
    found = json.loads(suggest(*args, '--json'))
    assert len(found['proposed']['scales']) == 1
    assert found['proposed']['chip_size'] == 320
    assert found['other_chip_sizes'] == {} and found['focus_share'] is None
    assert '--levels 1 leaves no coarse level' in suggest(*args)
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


def of_autofocus(text):
    """Settings whose part of AutoFocus is no comment any more."""
    head, update = text.split('# model.update')
    return f'{head}model.update' + update.replace('\n# ', '\n')


def test_settings_pasted_into_a_config_of_autofocus(
    folder, suggest, tiny_scenes
):
    args = ('--ann', tiny_scenes / 'train.json', '--config-out', 'part.py')
    suggest(*args, '--levels', 3)
    text = (folder / 'part.py').read_text()
    assert '_base_' not in text
    assert '# Not a complete config' in text
    text = f'_base_ = {str(AUTOFOCUS)!r}\n{of_autofocus(text)}'
    (folder / 'mine.py').write_text(text)
    proposed = json.loads(suggest(*args, '--levels', 3, '--json'))['proposed']
    cfg = load_config('mine.py')
    model = assert_follows(cfg, proposed, tiny_scenes)
    assert [vars(step) for step in model.focus] == proposed['focus']
    sizes = tuple(proposed['focus_sizes'])
    assert model.focus_head.labelling['sizes'] == sizes
    assert 'focus_sizes' not in cfg.train_dataloader.dataset


@pytest.mark.real_data
@pytest.mark.parametrize('name', ['20e_aerial-cars', '8e_deeppcb', '6e_bccd'])
def test_settings_on_top_of_a_config_of_autofocus(
    folder, suggest, shared_data, name
):
    """Also where the data takes one level only: there must be one to focus."""
    name = f'faster-rcnn_r18-slim_fpn_autofocus_{name}.py'
    (folder / 'data').symlink_to(shared_data)
    args = (ROOT / 'configs/autofocus' / name, '--config-out', 'mine.py')
    proposed = json.loads(suggest(*args, '--json'))['proposed']
    assert len(proposed['scales']) == 2
    cfg = load_config('mine.py')
    cfg.model.backbone.init_cfg = None
    model = MODELS.build(cfg.model)
    assert [vars(step) for step in model.focus] == proposed['focus']
    sizes = tuple(proposed['focus_sizes'])
    stride = proposed['focus_stride']
    labels = dict(stride=stride, sizes=sizes, precedence='positive')
    assert model.focus_head.labelling == labels
    # Of levels by the rules of thumb it learns what is in a chip anyway.
    chips = cfg.train_dataloader.dataset.focus_sizes
    assert chips == (sizes if proposed['plan'] else None)
    assert as_lists(model.pyramid)[0] == proposed['scales']
    # Its maps have that stride.
    image = torch.zeros(3, 200, 300, dtype=torch.uint8)
    sample = DetDataSample(metainfo=dict(ori_shape=(200, 300)))
    (found,) = model.eval().predict([image], [sample])
    cells = found.focus['probabilities'][0].shape
    height, width = found.focus['sizes'][0][::-1]
    assert cells == (-(-height // stride), -(-width // stride))
    with pytest.raises(SystemExit, match='2 or more .* Received: 1'):
        suggest(*args, '--levels', 1)


OPEN = [[None, None]]


@pytest.mark.real_data
@pytest.mark.parametrize(
    ('name', 'args', 'scales', 'chip_size', 'ranges', 'test_ranges'),
    [
        (
            *('6e_bccd', [], [[-1, 512], 1.53], 512),
            *([[80, None], [None, 158]], [[66, None], [None, 189]]),
        ),
        ('13e_deeppcb', ['--levels', 1], [2.31], 352, OPEN, OPEN),
        ('20e_aerial-cars', ['--levels', 1], [2.52], 384, OPEN, OPEN),
    ],
)
def test_what_is_proposed_for_real_data(
    folder,
    suggest,
    shared_data,
    name,
    args,
    scales,
    chip_size,
    ranges,
    test_ranges,
):
    """Results of trainings on these are in docs/benchmarks.md."""
    (folder / 'data').symlink_to(shared_data)
    name = f'faster-rcnn_r18-slim_fpn_sniper_{name}.py'
    config = ROOT / 'configs/sniper' / name
    found = json.loads(suggest(config, *args, '--json'))
    proposed = found['proposed']
    assert proposed['scales'] == scales
    assert proposed['chip_size'] == chip_size
    assert proposed['valid_ranges'] == ranges
    assert proposed['test_valid_ranges'] == test_ranges


@pytest.fixture
def other(folder, suggest):
    """The report of 40 images of a size, each with the same boxes."""

    def run(size, boxes, *args):
        images = [
            dict(id=i, width=size[0], height=size[1], file_name='')
            for i in range(40)
        ]
        annotations = [
            dict(id=1, image_id=i, category_id=1, bbox=[0, 0, *box])
            for i in range(40)
            for box in boxes
        ]
        path = folder / 'other.json'
        path.write_text(
            json.dumps(dict(images=images, annotations=annotations))
        )
        return json.loads(suggest('--ann', path, '--json', *args))

    return run


def test_boxes_that_train_nowhere_are_told(other):
    boxes = [(w, w) for w in range(20, 60, 2)] + [(500, 8)]
    found = other((2000, 1500), boxes, '--levels', 1)
    expected = found['expected']['proposed']
    assert expected['uncovered_boxes'] == 40
    (text,) = [text for text in found['warnings'] if 'nowhere' in text]
    assert '40 boxes, 4.8%, train' in text and 'try --levels 2' in text


def test_boxes_that_no_focus_head_reaches_are_told(other):
    found = other((4000, 3000), [(4, 4), (5, 5)] * 10, '--levels', 4)
    assert found['focus_share']['boxes'] < 0.5
    assert any('cannot find' in text for text in found['warnings'])


def test_autofocus_is_proposed_where_it_pays(other):
    boxes = [(w, w) for w in range(30, 60, 2)]
    found = other((2000, 1500), boxes)
    proposed = found['proposed']
    assert len(proposed['scales']) > 1 and proposed['scales'][-1] == 2.13
    assert found['gain'].startswith('AutoFocus looks at 0.14 of 13.6 Mpixel')
    # Chips show a focus head what no coarse level trains.
    sizes = tuple(proposed['focus_sizes'])
    config = {}
    exec(of_autofocus(found['config']), config)
    assert config['model']['focus_head'] == dict(sizes=sizes)
    assert config['train_dataloader']['dataset']['focus_sizes'] == sizes
    # Levels as asked for, and a level that is alone.
    found = other((2000, 1500), boxes, '--levels', 2)
    assert len(found['proposed']['scales']) == 2
    found = other((2000, 1500), boxes, '--levels', 1)
    assert found['proposed']['scales'] == [2.13]


def test_what_a_written_config_is_not(folder, suggest, tiny_scenes):
    """A part of one; and without what --cfg-options changed."""
    step = 'python tools/sniperize.py'
    assert step not in suggest('plain.py')
    for source in (('plain.py',), ('--ann', 'coco.json')):
        text = suggest(*source, '--config-out', 'part.py')
        assert text.count(step) == 1
        written = (folder / 'part.py').read_text()
        assert 'Not a complete config' in written
        assert 'tools/sniperize.py' in written
    root = f'train_dataloader.dataset.dataset.data_root={tiny_scenes}/'
    args = (SAMPLE_CONFIG, '--cfg-options', root)
    text = suggest(*args, '--config-out', 'mine.py')
    assert 'without the changes of --cfg-options' in text and step not in text
    assert 'Not a complete config' not in (folder / 'mine.py').read_text()
    assert 'changes of --cfg-options' not in suggest(*args)


def test_the_name_of_the_picture(folder, suggest):
    suggest('--ann', 'coco.json', '--out', 'sizes')
    assert cv2.imread('sizes.png') is not None
    names = sorted(path.name for path in folder.iterdir())
    assert names == ['coco.json', 'plain.py', 'sizes.png']


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
        ('--ann coco.json --out a.xyz', 'an image file, one of .'),
        ('--ann coco.json --out coco.json', 'an image file, one of .'),
        ('--ann coco.json --config-out coco.json', 'must be a .py file'),
        ('plain.py --config-out plain.py', '--config-out must be another'),
        ('plain.py --config-out ./no/../plain.py', 'folder that exists'),
        ('plain.py --config-out link.py', '--config-out must be another'),
        ('--ann a.png --out ./a.png', '--out must be another file'),
        ('--ann coco.py --config-out coco.py', '--config-out must be another'),
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
    (folder / 'link.py').symlink_to('plain.py')
    before = sorted(folder.iterdir())
    with pytest.raises(SystemExit) as ended:
        suggest(*args.split())
    text = capsys.readouterr().err if ended.value.code == 2 else ended.value
    assert sentence in str(text).strip().splitlines()[-1]
    assert sorted(folder.iterdir()) == before
