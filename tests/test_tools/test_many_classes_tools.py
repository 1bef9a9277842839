"""Tools of decoupled heads, as a user starts them."""

import json

import pytest
from decoupled import COLOURS, write_checkpoint, write_config, write_pictures


@pytest.fixture
def files(here, tiny_scenes):
    config = write_config(here / 'tiny.py', tiny_scenes)
    checkpoint = write_checkpoint(config, here / 'tiny.pth')
    write_pictures(here / 'toys', COLOURS, 3)
    return config, checkpoint


def test_teach_then_test(files, tool, here, capsys, tiny_scenes):
    """The classes that a test finds are those of the new config."""
    tool('teach.py', *files, 'toys', '--out', 'new.pth', '--json')
    taught = json.loads(capsys.readouterr().out)
    assert taught['pictures'] == dict(blue=3, lime=3)
    assert taught['classes'][-2:] == ['blue', 'lime']
    # The scenes, with what was taught among their categories.
    ann = json.loads((tiny_scenes / 'val.json').read_text())
    ann['categories'] += [dict(id=8, name='blue'), dict(id=9, name='lime')]
    (here / 'ann.json').write_text(json.dumps(ann))
    tool('teach.py', *files, 'toys', '--out', 'new.pth', '--ann', 'ann.json')
    told = capsys.readouterr().out
    assert 'learned from 6 images' in told and 'image_demo.py' in told
    tool('test.py', 'new.py', 'new.pth', '--work-dir', 'tested')
    found = next((here / 'tested').glob('*/*.json'))
    assert 'coco/bbox_mAP' in found.read_text()
    tool(
        'image_demo.py',
        'toys',
        'new.py',
        'new.pth',
        '--out-dir',
        'found',
        '--class-agnostic',
        '--out-json',
        'found.json',
    )
    seen = json.loads((here / 'found.images.json').read_text())
    assert [c['name'] for c in seen['categories']] == ['object']


def test_errors_are_one_sentence(files, tool, here):
    (here / 'toys/red').mkdir()
    with pytest.raises(SystemExit, match='^teach: .*Received: 0.$'):
        tool('teach.py', *files, 'toys', '--out', 'new.pth')
    with pytest.raises(SystemExit, match="teach: solver 'released' trains"):
        tool(
            'teach.py',
            *files,
            'toys',
            '--out',
            'new.pth',
            '--classes',
            'blue',
            '--solver',
            'released',
            '--instead',
        )
    assert not (here / 'new.pth').exists()


def test_propose_labels(files, tool, here, capsys):
    tool('propose_labels.py', *files, 'toys', '--out', 'labels.json')
    assert '6 images' in capsys.readouterr().out
    labels = json.loads((here / 'labels.json').read_text())
    assert len(labels['annotations']) == 6


def test_super_classes(files, tool, here, capsys):
    name = 'misc/cluster_classes.py'
    how = '--checkpoint', files[1], '--num', 2, '--out', 'super.json'
    tool(name, files[0], *how)
    assert capsys.readouterr().out.count('\n') == 2
    groups = json.loads((here / 'super.json').read_text())['super_classes']
    config = write_config(
        here / 'grouped.py',
        here / 'data/sample',
        "model['roi_head']['bbox_head'].update(super_classes='super.json')\n",
    )
    checkpoint = write_checkpoint(config, here / 'grouped.pth')
    tool('teach.py', config, checkpoint, 'toys', '--out', 'new.pth')
    text = (here / 'new.py').read_text()
    taught = dict(__file__=str(here / 'new.py'))
    exec(compile(text, 'new.py', 'exec'), taught)
    head = taught['model']['roi_head']['bbox_head']
    assert head['super_classes'] == [*groups, -1, -1]
    how = '--out', 'other.pth', '--instead', '--solver', 'released'
    with pytest.raises(SystemExit, match='2 super-classes has no old class'):
        tool('teach.py', config, checkpoint, 'toys', *how)
    assert not (here / 'other.pth').exists()
    with pytest.raises(SystemExit):
        tool(name, files[0], '--out', 'super.json')


def test_evaluate_det(tool, here, capsys):
    ann = dict(
        images=[dict(id=1, file_name='a.jpg')],
        categories=[dict(id=1, name='dog')],
        annotations=[dict(image_id=1, category_id=1, bbox=[0, 0, 40, 40])],
    )
    seen = dict(images=ann['images'], categories=[dict(id=1, name='poodle')])
    found = [dict(image_id=1, category_id=1, bbox=[0, 0, 40, 30], score=0.5)]
    for name, content in {
        'ann': ann,
        'found': found,
        'found.images': seen,
        'mapping': dict(poodle='dog'),
    }.items():
        (here / f'{name}.json').write_text(json.dumps(content))
    names = 'ann.json', 'found.json', 'mapping.json'
    tool('analysis_tools/evaluate_det.py', *names, '--json')
    assert json.loads(capsys.readouterr().out)['mAP'] == {'AP': 100}


def test_benchmark(tool, capsys):
    tool(
        'analysis_tools/benchmark.py',
        'many_classes',
        '--classes',
        3,
        40,
        '--train-rois',
        8,
        '--test-rois',
        8,
        '--repeats',
        1,
        '--json',
    )
    found = json.loads(capsys.readouterr().out)
    assert list(found) == [
        'plain 3',
        'decoupled 3',
        'plain 40',
        'decoupled 40',
    ]
    assert found['plain 3']['step_x'] == 1
    # A class of a plain head has four weights more for boxes.
    mb = [found[name]['weights_mb'] for name in found]
    assert mb[2] - mb[0] == pytest.approx(37 * 1025 * 5 * 4e-6)
    assert mb[3] - mb[1] == pytest.approx(37 * 1025 * 4e-6)
