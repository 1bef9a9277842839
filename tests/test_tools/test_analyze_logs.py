"""Logs of runs drawn and timed; logs written by hand, and of a real run."""

import json
import runpy
import sys

import cv2
import numpy as np
import pytest
from matplotlib.axes import Axes
from tiny import ROOT

LEVELS = ('0_positive', '0_negative', '1_positive')
TOOL = str(ROOT / 'tools/analysis_tools/analyze_logs.py')


@pytest.fixture
def analyze(tmp_path, monkeypatch, capsys):
    """Run the tool; returns what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(*args):
        monkeypatch.setattr(sys, 'argv', ['analyze_logs', *map(str, args)])
        runpy.run_path(TOOL, run_name='__main__')
        return capsys.readouterr().out

    return run


@pytest.fixture
def drawn(monkeypatch):
    """What was drawn: points of each curve, by its name and x axis."""
    curves = {}
    plot = Axes.plot

    def record(axis, x, y, label, **style):
        curves[label] = axis, dict(zip(x, y, strict=True)), style
        return plot(axis, x, y, label=label, **style)

    monkeypatch.setattr(Axes, 'plot', record)
    return curves


def points(drawn):
    return {name: values for name, (_, values, _) in drawn.items()}


def unit(drawn, name):
    return drawn[name][0].get_xlabel()


def write(work_dir, start, *entries, end=''):
    path = work_dir / start / 'vis_data/scalars.json'
    path.parent.mkdir(parents=True)
    lines = ''.join(f'{json.dumps(entry)}\n' for entry in entries)
    path.write_text(lines + end)
    return path


def losses(epoch, *steps, scale=1.0):
    return [
        dict(loss=scale / k, time=k / 100, epoch=epoch, iter=k, step=k)
        for k in steps
    ]


def chips(epoch, count, **more):
    return {
        'chips/level0_positive': count,
        'chips/level0_negative': count // 2,
        'chips/level1_positive': 2 * count,
        'chips/image': 1.5,
        **more,
        'step': epoch,
    }


def validation(epoch, value):
    return {
        'coco/bbox_mAP': value,
        'pixels/share': 9,
        'time': 5,
        'step': epoch,
    }


@pytest.fixture
def run(tmp_path):
    """Two epochs of 25 iterations, every tenth logged."""
    write(
        tmp_path / 'run',
        '20250101_000000',
        *(chips(1, 10), *losses(1, 10, 20), validation(1, 0.25)),
        *(chips(2, 12), *losses(2, 35, 45), validation(2, 0.5)),
    )
    return tmp_path / 'run'


def test_curves(run, analyze, drawn):
    text = analyze(
        *('plot_curve', 'run', '--out', 'a.png'),
        *('--keys', 'loss', 'bbox_mAP', 'chips', '--title', 'a title'),
    )
    assert '5 curves in a.png' in text
    assert points(drawn) == {
        'loss': {10: 1 / 10, 20: 1 / 20, 35: 1 / 35, 45: 1 / 45},
        'coco/bbox_mAP': {1: 0.25, 2: 0.5},
        'chips/level0_positive': {1: 10, 2: 12},
        'chips/level0_negative': {1: 5, 2: 6},
        'chips/level1_positive': {1: 20, 2: 24},
    }
    units = [unit(drawn, name) for name in drawn]
    assert units == ['iteration'] + ['epoch'] * 4
    # Losses, metrics and counts have a panel each.
    assert len({id(axis) for axis, _, _ in drawn.values()}) == 3
    styles = [style for _, _, style in drawn.values()][2:]
    assert [style['color'] for style in styles] == ['C0', 'C0', 'C1']
    assert [style['linestyle'] for style in styles] == ['-', '--', '-']
    assert cv2.imread('a.png').std() > 5


@pytest.mark.parametrize(
    'key, names',
    [
        ('bbox_mAP', ['coco/bbox_mAP']),
        ('coco/bbox_mAP', ['coco/bbox_mAP']),
        ('coco', ['coco/bbox_mAP']),
        ('share', ['pixels/share']),
        ('chips/image', ['chips/image']),
        # Seconds an image of validation are something else.
        ('time', ['time']),
    ],
)
def test_keys(run, analyze, drawn, key, names):
    analyze('plot_curve', 'run', '--keys', key, '--out', 'a.png')
    assert list(drawn) == names
    assert unit(drawn, names[0]) == ('epoch', 'iteration')[key == 'time']


def test_numbers_of_one_kind_share_a_panel(run, analyze, drawn):
    lines = [
        {'loss_cls': 1, 'lr': 2, 'base_lr': 2, 'grad_norm': 3, 's0.acc': 4}
        | {'memory': 5, 'data_time': 6, 'iter': 50, 'step': 50, 'epoch': 2}
    ]
    write(run, '20250102_000000', *lines)
    keys = (
        *('loss', 'time', 'bbox_mAP', 'share', 'chips', 'chips/image'),
        *('loss_cls', 'lr', 'base_lr', 'grad_norm', 's0.acc', 'memory'),
        'data_time',
    )
    analyze('plot_curve', 'run', '--out', 'a.png', '--keys', *keys)
    panels = {}
    for name, (axis, *_) in drawn.items():
        panels.setdefault(id(axis), []).append(name)
    assert list(panels.values()) == [
        ['loss', 'loss_cls'],
        ['time', 'data_time'],
        ['coco/bbox_mAP'],
        ['pixels/share'],
        [f'chips/level{k}' for k in LEVELS],
        ['chips/image'],
        ['lr', 'base_lr'],
        ['grad_norm'],
        ['s0.acc'],
        ['memory'],
    ]


def test_a_constant_curve_is_clear_of_the_frame(tmp_path, analyze, drawn):
    lines = [{'chips/image': 4.94, 'step': k} for k in (1, 2, 3)]
    write(tmp_path / 'run', '20250101_000000', *lines)
    analyze('plot_curve', 'run', '--keys', 'chips/image', '--out', 'a.png')
    low, high = drawn['chips/image'][0].get_ylim()
    assert low == 0 and high == pytest.approx(1.1 * 4.94)
    none = [chips(k, 0) for k in (1, 2)]
    write(tmp_path / 'none', '20250101_000000', *none)
    analyze('plot_curve', 'none', '--keys', 'chips', '--out', 'a.png')
    assert drawn['chips/level0_positive'][0].get_ylim() == (0, 1)


def test_several_runs(run, tmp_path, analyze, drawn):
    file = write(tmp_path / 'b', '20250101_000000', *losses(1, 10, scale=3))
    args = ('plot_curve', 'run', file, '--out', 'a.png', '--keys', 'loss')
    analyze(*args)
    assert set(drawn) == {'run loss', f'{file} loss'}
    drawn.clear()
    analyze(*args, '--legend', 'one', 'other')
    assert points(drawn)['other'] == {10: 0.3}
    drawn.clear()
    analyze(*args, 'time', '--legend', *'abcd')
    assert points(drawn)['c'] == {10: 0.3}
    assert points(drawn)['d'] == {10: 0.1}
    drawn.clear()
    analyze(*args, 'time', '--legend', *'ab')
    assert set(drawn) == {'a loss', 'a time', 'b loss', 'b time'}


def test_a_resumed_run_is_joined(run, analyze, drawn):
    """It went on after the first epoch, and came further than before."""
    write(
        run,
        '20250102_000000',
        *(chips(2, 12), *losses(2, 35, 45, scale=2), validation(2, 0.75)),
        *(chips(3, 14), *losses(3, 60, 70, scale=2), validation(3, 0.8)),
    )
    # And again in the middle of the third.
    write(
        run,
        '20250103_000000',
        *(chips(3, 14), *losses(3, 70, 80, scale=4), validation(3, 0.9)),
        end='{"loss": 0.',  # and was killed
    )
    # Of a test of the weights there is a log too, of another kind.
    (run / '20250104_000000').mkdir()
    (run / '20250104_000000/20250104_000000.json').write_text('{"a": 1}')
    keys = ('loss', 'bbox_mAP', 'chips/level0_positive')
    analyze('plot_curve', 'run', '--out', 'a.png', '--keys', *keys)
    assert points(drawn) == {
        'loss': {
            **{k: 1 / k for k in (10, 20)},
            **{k: 2 / k for k in (35, 45, 60)},
            **{k: 4 / k for k in (70, 80)},
        },
        'coco/bbox_mAP': {1: 0.25, 2: 0.75, 3: 0.9},
        'chips/level0_positive': {1: 10, 2: 12, 3: 14},
    }


def test_a_run_that_began_anew_counts_alone(run, analyze, drawn):
    write(run, '20250102_000000', chips(1, 7), *losses(1, 5, 10, scale=2))
    analyze('plot_curve', 'run', '--out', 'a.png', '--keys', 'loss', 'chips')
    assert points(drawn)['loss'] == {5: 2 / 5, 10: 2 / 10}
    assert points(drawn)['chips/level0_positive'] == {1: 7}
    # A start of it can be asked for by its file.
    drawn.clear()
    first = 'run/20250101_000000/vis_data/scalars.json'
    analyze('plot_curve', first, '--out', 'a.png', '--keys', 'loss')
    assert set(points(drawn)['loss']) == {10, 20, 35, 45}


def test_a_start_that_died_before_its_first_loss_cuts_nothing(
    run, analyze, drawn
):
    """Chips are logged at the start of an epoch, before any loss."""
    write(run, '20250102_000000', chips(3, 7))
    args = ('plot_curve', 'run', '--out', 'a.png', '--keys')
    keys = ('loss', 'bbox_mAP', 'chips/level0_positive')
    analyze(*args, *keys)
    assert list(points(drawn)['loss']) == [10, 20, 35, 45]
    assert points(drawn)['coco/bbox_mAP'] == {1: 0.25, 2: 0.5}
    assert points(drawn)['chips/level0_positive'] == {1: 10, 2: 12, 3: 7}
    # Nor does it where a later one went on.
    drawn.clear()
    write(run, '20250103_000000', chips(2, 8), *losses(2, 35, 45, scale=2))
    analyze(*args, *keys)
    assert points(drawn)['loss'] == {
        **{k: 1 / k for k in (10, 20)},
        **{k: 2 / k for k in (35, 45)},
    }
    assert points(drawn)['coco/bbox_mAP'] == {1: 0.25}
    assert points(drawn)['chips/level0_positive'] == {1: 10, 2: 8}


def test_the_name_of_the_picture(run, tmp_path, analyze):
    text = analyze('plot_curve', 'run', '--out', 'curves')
    assert 'in curves.png' in text and cv2.imread('curves.png') is not None
    text = analyze('plot_curve', 'run', '--out', 'curves.svg')
    assert '<svg' in (tmp_path / 'curves.svg').read_text()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ['curves.png', 'curves.svg', 'run']


def test_a_run_without_epochs(tmp_path, analyze, drawn):
    lines = losses(None, 10, 20, 30)
    for line in lines:
        del line['epoch']
    write(tmp_path / 'run', '20250101_000000', *lines, validation(30, 0.5))
    keys = ('loss', 'bbox_mAP')
    analyze('plot_curve', 'run', '--keys', *keys, '--out', 'a.png')
    assert [unit(drawn, name) for name in drawn] == ['iteration'] * 2
    text = analyze('cal_train_time', 'run', '--include-outliers')
    assert 'epoch 1' not in text and 'average: 0.2000 s/iter' in text


def test_time_of_iterations(run, analyze):
    text = analyze('cal_train_time', 'run')
    assert 'slowest epoch 2: 0.4500 s/iter' in text
    assert 'fastest epoch 1: 0.2000 s/iter' in text
    assert 'average: 0.3250 s/iter' in text
    text = analyze('cal_train_time', 'run', '--include-outliers')
    assert 'average: 0.2750 s/iter' in text


def test_a_real_run(trained, analyze, drawn):
    keys = ('loss', 'bbox_mAP', 'chips', 'chips/mpixels')
    args = ('--out', 'a.png', '--keys', *keys)
    analyze('plot_curve', trained.parent, *args)
    assert {unit(drawn, name) for name in drawn} == {'iteration', 'epoch'}
    found = points(drawn)
    assert list(found['loss']) == list(range(1, len(found['loss']) + 1))
    for name in ('coco/bbox_mAP', 'chips/level1_positive', 'chips/mpixels'):
        assert list(found[name]) == [1]
    assert np.isfinite(list(found['loss'].values())).all()
    assert 'slowest epoch 1' in analyze('cal_train_time', trained.parent)


@pytest.mark.parametrize(
    'args, sentence',
    [
        (
            'plot_curve run --keys nothing --out a.png',
            'names that run has logged: chips/image, chips/level0_negative, '
            'chips/level0_positive, chips/level1_positive, coco/bbox_mAP, '
            'loss, pixels/share, time. Received: nothing.',
        ),
        ('plot_curve nowhere --out a.png', 'in */vis_data. Received: nowher'),
        ('plot_curve text --out a.png', 'text, line 1, is not of a scalars'),
        ('plot_curve list --out a.png', "list, line 2, .* Received: '[]'"),
        (
            'plot_curve empty --out a.png',
            'has logged: nothing. Received: bbox',
        ),
        ('cal_train_time empty', 'time of iterations, .* Received: empty.'),
    ],
)
def test_bad_input_ends_in_a_sentence(run, tmp_path, analyze, args, sentence):
    (tmp_path / 'text').write_bytes(b'no log \xff\n')
    (tmp_path / 'list').write_text('{"loss": 1, "step": 1}\n[]\n{}\n')
    (tmp_path / 'empty').write_text('')
    sentence = sentence.replace('[]', r'\[\]').replace('*/', r'\*/')
    with pytest.raises(SystemExit, match=f'^analyze_logs: .*{sentence}'):
        analyze(*args.split())
    assert not (tmp_path / 'a.png').exists()


@pytest.mark.parametrize(
    'args, sentence',
    [
        ('', 'required: task'),
        ('plot_curve run', 'required: --out'),
        ('plot_curve a --out no/a.png', 'exists. Received: no/a.png.'),
        ('plot_curve a --out a.json', 'an image file, one of .'),
        (
            'plot_curve a b --keys c d --out e --legend f g h',
            '--legend must give 2 or 4 names. Received: 3.',
        ),
    ],
)
def test_wrong_arguments(analyze, capsys, args, sentence):
    with pytest.raises(SystemExit):
        analyze(*args.split())
    assert sentence in capsys.readouterr().err
