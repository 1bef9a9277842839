"""Files that are whole or not there, whatever happens to their writer."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sniper_mmdet.utils import files
from sniper_mmdet.utils.files import (
    FileError,
    claimed,
    scratch_folder,
    whole_file,
    why_not_written,
    write_whole,
)

#: Says so when it has got as far as '...', and waits there.
PROGRAM = """
import sys, time
from sniper_mmdet.utils.files import *
{}
    print(flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def other():
    """Another process that is within a context, which a line of code opens."""
    running = []

    def start(line):
        command = [sys.executable, '-c', PROGRAM.format(line)]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        assert running[-1].stdout.readline() == b'\n'
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_full_disk_leaves_what_was_there(full_disk, here):
    write_whole('a.txt', lambda part: part.write_text('old'))
    with full_disk(1000), pytest.raises(FileError) as error:
        write_whole('a.txt', lambda part: part.write_text('new' * 1000))
    assert str(error.value) == (
        'a.txt cannot be written: File too large; a previous file is '
        'unchanged.'
    )
    assert [path.read_text() for path in here.iterdir()] == ['old']


def test_an_error_leaves_what_was_there(here):
    write_whole('a.txt', lambda part: part.write_text('old'))
    with pytest.raises(ZeroDivisionError), whole_file('a.txt') as part:
        part.write_text('new')
        raise ZeroDivisionError
    assert [path.read_text() for path in here.iterdir()] == ['old']


def test_a_folder_that_is_not_there():
    with pytest.raises(FileError) as error, whole_file('none/a.txt'):
        pass
    sentence = 'none/a.txt cannot be written: No such file or directory.'
    assert str(error.value) == sentence


def test_other_errors_are_no_matter_of_the_file():
    with pytest.raises(FileNotFoundError), whole_file('a.txt'):
        open('none')
    assert why_not_written(FileNotFoundError(2, 'no', 'none')) is None
    assert why_not_written(UnicodeDecodeError('a', b'', 0, 1, 'odd')) is None
    assert why_not_written(FileError('a.txt', 'so')) == 'so'


def test_links_are_followed_and_devices_are_left_alone(here):
    (here / 'disk').mkdir()
    Path('link.txt').symlink_to('disk/a.txt')
    write_whole('link.txt', lambda part: part.write_text('text'))
    assert Path('link.txt').is_symlink()
    assert Path('disk/a.txt').read_text() == 'text'
    write_whole('/dev/null', lambda part: part.write_text('text'))
    assert stat.S_ISCHR(os.stat('/dev/null').st_mode)


def test_what_a_killed_writer_left_is_written_over(other, here):
    line = "with whole_file('a.txt') as part:\n    part.write_text('long' * 9)"
    killed = other(line)
    killed.kill()
    killed.wait()
    assert len(list(here.iterdir())) == 1
    write_whole('a.txt', lambda part: part.open('r+').write('new'))
    assert [path.read_text() for path in here.iterdir()] == ['new']


def test_what_a_killed_writer_left_in_a_folder_is_taken_away(other, here):
    killed = other(
        "with scratch_folder('a') as folder:\n    (folder / 'b').mkdir()"
    )
    with pytest.raises(FileError, match='^a cannot .* another process'):
        scratch_folder('a').__enter__()
    killed.kill()
    killed.wait()
    with scratch_folder('a') as folder:
        assert not list(folder.iterdir())
    assert not list(here.iterdir())


def test_two_writers_of_a_file(other, here):
    writer = other("with whole_file('a.txt') as part:")
    with pytest.raises(FileError) as error, whole_file('a.txt'):
        pass
    assert str(error.value) == (
        'a.txt cannot be written: another process does so now; wait for its '
        'end, or choose another place.'
    )
    writer.kill()
    writer.wait()
    with whole_file('a.txt') as part:
        part.write_text('new')
    assert [path.read_text() for path in here.iterdir()] == ['new']


def test_what_is_written_at_once_waits(other, here):
    writer = other(
        "with whole_file('a.txt') as part:\n"
        '    print(flush=True)\n'
        '    time.sleep(0.5)\n'
        "with claimed('done', 'done'):"
    )
    write_whole('a.txt', lambda part: part.write_text('last'))
    assert writer.stdout.readline() == b'\n'
    assert Path('a.txt').read_text() == 'last'


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs fork')
def test_a_lock_ends_with_its_process_and_not_with_workers(other, here):
    killed = other(
        'import os\n'
        "with claimed('lock', 'x'):\n"
        '    child = os.fork()\n'
        '    if child:\n'
        "        open('child', 'w').write(str(child))"
    )
    assert killed.stdout.readline() == b'\n'  # parent and child
    killed.kill()
    killed.wait()
    child = int(Path('child').read_text())
    try:
        os.kill(child, 0)
        with claimed('lock', 'x'):
            pass
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_name_that_is_taken_between_two_writers(here, monkeypatch):
    """The first one ends while the second one waits for it."""
    with claimed('lock', 'x'):
        locked = files._locked

        def and_the_other_ends(path, wait):
            file = locked(Path('not yet'), wait)
            monkeypatch.setattr(files, '_locked', locked)
            return file

        monkeypatch.setattr(files, '_locked', and_the_other_ends)
        with pytest.raises(FileError), claimed('lock', 'x'):
            pass
    with claimed('lock', 'x'):
        assert Path('lock').exists()
    assert not Path('lock').exists()


def test_without_locks(here, monkeypatch):
    """On Windows, where what is open cannot be renamed."""
    monkeypatch.setattr(files, 'fcntl', None)
    write_whole('a.txt', lambda part: part.write_text('text'))
    with pytest.raises(ZeroDivisionError), whole_file('a.txt'):
        raise ZeroDivisionError
    assert [path.read_text() for path in here.iterdir()] == ['text']


def test_a_file_system_without_locks(here, monkeypatch):
    def flock(*args):
        raise OSError(95, 'Operation not supported')

    monkeypatch.setattr(files.fcntl, 'flock', flock)
    write_whole('a.txt', lambda part: part.write_text('text'))
    assert [path.read_text() for path in here.iterdir()] == ['text']
