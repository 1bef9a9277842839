"""How far a loop is: on a terminal, in a log file, on other processes."""

import sys

import pytest

from sniper_mmdet.utils import progress
from sniper_mmdet.utils.progress import Progress, track


@pytest.fixture
def terminal(monkeypatch):
    """Make stderr one; while a test runs, it is another than before."""

    def run():
        monkeypatch.setattr(sys.stderr, 'isatty', lambda: True, raising=False)

    return run


def test_a_log_file_stays_small(capsys):
    assert list(track(range(20000))) == list(range(20000))
    assert capsys.readouterr() == ('', '20000/20000, elapsed: 0s\n')


@pytest.mark.parametrize(
    'total, times, lines, end',
    [
        (
            0,
            [0, 10, 31, 40, 62, 63],
            '3, elapsed: 40s\n',
            '6, elapsed: 63s\n',
        ),
        (
            6,
            [0, 40, 40, 50, 90, 90],
            '1/6, elapsed: 40s, eta: 200s\n6/6, elapsed: 90s\n',
            '',
        ),
    ],
)
def test_a_line_now_and_then(capsys, monkeypatch, total, times, lines, end):
    clock = iter(times)
    monkeypatch.setattr(progress.time, 'monotonic', lambda: next(clock))
    told = Progress(total)
    for num in (1, 2, 3):
        told.update(num)
    assert capsys.readouterr().err == lines
    told.close()
    assert capsys.readouterr().err == end


def test_a_terminal_has_a_bar(capsys, terminal):
    terminal()
    loop = track(range(4))
    next(loop)
    next(loop)
    shown = capsys.readouterr().err
    assert shown.count('\r') == 1 and '1/4' in shown
    loop.close()  # as an error does
    assert capsys.readouterr().err == '\n'


@pytest.mark.parametrize('on_terminal', [False, True])
def test_other_processes_tell_nothing(
    capsys, terminal, monkeypatch, on_terminal
):
    if on_terminal:
        terminal()
    monkeypatch.setattr(progress, '_is_first_process', lambda: False)
    list(track(range(3)))
    assert capsys.readouterr() == ('', '')
