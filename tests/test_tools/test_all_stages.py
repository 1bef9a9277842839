"""What train_neg_props_and_sniper.sh asks of which tool, and when it stops."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from runs import TOOLS
from tiny import ROOT

SCRIPT = TOOLS / 'train_neg_props_and_sniper.sh'
CONFIG = """
model = dict(type='{type}', detector=dict(type='FasterRCNN', rpn_head={rpn}))
train_dataloader = dict(num_workers=2, dataset=dict(type='ChipDataset'))
lr = {lr}
custom_hooks = {hooks}
"""
#: Of the tools, notes what they are given, and does as if it had done it.
PYTHON = """#!/usr/bin/env bash
[ "$1" != - ] || exec "{python}" "$@"
printf '%s\\n' "$(basename "$1")" "${{@:2}}" == >>"$ASKED"
while [ $# -gt 0 ]; do
    case $1 in
    --work-dir)
        mkdir -p "$2"
        [ -z "${{CUT_OFF:-}}" ] || exit 1
        echo weights >"$2/epoch_1.pth"
        printf '%s' "$2/epoch_1.pth" >"$2/last_checkpoint" ;;
    --out) echo proposals >"$2" ;;
    esac
    shift
done
"""


class Desk:
    """Where a user stands, with a config."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / 'bin').mkdir()
        (folder / 'bin/python').write_text(
            PYTHON.format(python=sys.executable)
        )
        (folder / 'bin/python').chmod(0o755)
        self.config()

    def config(self, name='my cfg.py', **changes) -> Path:
        fields = dict(type='A', rpn="dict(type='RPNHead')", lr=1, hooks=[])
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(CONFIG.format(**fields | changes))
        return path

    def run(self, *args, **variables) -> subprocess.CompletedProcess:
        asked = self.folder / 'asked'
        asked.unlink(missing_ok=True)
        paths = [str(self.folder / 'bin'), os.environ['PATH']]
        known = [str(ROOT), os.environ.get('PYTHONPATH', '')]
        variables |= dict(
            PATH=os.pathsep.join(paths),
            PYTHONPATH=os.pathsep.join(filter(None, known)),
            ASKED=str(asked),
        )
        done = subprocess.run(
            ['bash', str(SCRIPT), *map(str, args)],
            cwd=self.folder,
            env=os.environ | variables,
            capture_output=True,
            text=True,
            timeout=60,
        )
        calls = asked.read_text() if asked.exists() else ''
        done.calls = [call.splitlines() for call in calls.split('==\n')[:-1]]
        return done


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


@pytest.mark.parametrize(
    'work', ["my runs/a,b/[c] (d)/it's $HOME", 'work_dirs/lr=0.02']
)
def test_paths_reach_the_tools_as_they_are(desk, work):
    done = desk.run('my cfg.py', work, 'lr=0.1')
    assert done.returncode == 0, done.stderr
    rpn, extract, sniper = done.calls
    assert rpn[:4] == ['train.py', 'my cfg.py', '--work-dir', f'{work}/rpn']
    assert rpn[4:6] == ['--cfg-options', 'lr=0.1']
    assert 'model.rpn_only=True' in rpn
    npz = f'{work}/proposals.npz'
    assert extract == [
        'extract_proposals.py', 'my cfg.py', f'{work}/rpn.pth', '--out', npz,
        '--cfg-options', 'lr=0.1',
    ]  # fmt: skip
    assert sniper == [
        'train.py', 'my cfg.py', '--work-dir', f'{work}/sniper',
        '--proposals', npz, '--cfg-options', 'lr=0.1',
    ]  # fmt: skip
    assert (desk.folder / work / 'sniper.pth').read_text() == 'weights\n'


def test_options_are_no_work_dir(desk):
    options = ['lr=0.02', 'a.b.0.c=x/y', 'a=b=c']
    done = desk.run('my cfg.py', *options)
    assert done.calls[0][3] == 'work_dirs/my cfg_neg/rpn'
    assert done.calls[0][5:8] == options


@pytest.mark.parametrize(
    'args, sentence',
    [
        (['work', 'work_dirs/lr=0.02'], 'work_dirs/lr=0.02 is not KEY=VALUE'),
        (['lr=1', 'work'], 'work is not KEY=VALUE'),
        (['--resume'], '--resume is not KEY=VALUE'),
        (['lr=0.5'], 'lr=0.5 is a folder; if it is WORK_DIR, say ./lr=0.5'),
    ],
)
def test_what_is_no_option(desk, args, sentence):
    (desk.folder / 'lr=0.5').mkdir()
    done = desk.run('my cfg.py', *args)
    assert done.returncode == 2 and done.stderr.endswith(f'{sentence}\n')
    assert not done.calls


def test_the_same_settings_go_on(desk):
    cut = desk.run('my cfg.py', 'work', CUT_OFF='1')
    assert cut.returncode == 1
    options = ['train_dataloader.num_workers=0', 'log_level=DEBUG']
    done = desk.run('my cfg.py', 'work', *options, GPUS='1')
    assert done.returncode == 0, done.stderr
    assert len(done.calls) == 3
    again = desk.run('my cfg.py', 'work')
    assert again.returncode == 0 and not again.calls
    assert again.stdout.count('already there, skipped') == 3


def other_lr(desk):
    desk.config(lr=2)


def other_config_of_the_name(desk):
    desk.config('b/my cfg.py', type='B')
    return ['b/my cfg.py']


@pytest.mark.parametrize(
    'change, told',
    [
        (other_lr, ['< lr=1', '> lr=2']),
        (other_config_of_the_name, ["> model.type='B'"]),
        (lambda desk: ['my cfg.py', 'lr=3'], ['> lr=3']),
        (lambda desk: dict(RPN_EPOCHS='9'), ['< RPN_EPOCHS=2']),
    ],
)
def test_what_another_run_left_is_not_taken(desk, change, told):
    desk.run('my cfg.py')
    changed = change(desk) or {}
    args = changed if isinstance(changed, list) else ['my cfg.py']
    variables = changed if isinstance(changed, dict) else {}
    done = desk.run(*args, **variables)
    assert done.returncode == 1 and not done.calls
    for line in told:
        assert line in done.stderr.splitlines()
    left = 'work_dirs/my cfg_neg/rpn.pth'
    assert f'{left} is of another config or of other options' in done.stderr


def test_what_another_run_left_half_done(desk):
    desk.run('my cfg.py', 'work', CUT_OFF='1')
    done = desk.run('my cfg.py', 'work', 'lr=2')
    assert done.returncode == 1 and not done.calls
    assert 'work/rpn is of another config or of other' in done.stderr
    # What it says to do.
    assert 'or remove work/rpn.txt to use it all the same' in done.stderr
    (desk.folder / 'work/rpn.txt').unlink()
    forced = desk.run('my cfg.py', 'work', 'lr=2')
    assert len(forced.calls) == 3
    assert 'the config and options of work/rpn are not known;' in forced.stderr


def test_proposals_of_other_arguments(desk):
    desk.run('my cfg.py', 'work')
    done = desk.run('my cfg.py', 'work', EXTRACT_ARGS='--nms 0.5')
    assert done.returncode == 1 and not done.calls
    assert '> EXTRACT_ARGS=--nms 0.5' in done.stderr
    assert 'work/proposals.npz is of another config' in done.stderr
    for name in 'proposals.npz', 'sniper.pth':
        (desk.folder / 'work' / name).unlink()
    (desk.folder / 'work/sniper').rename(desk.folder / 'old')
    done = desk.run('my cfg.py', 'work', EXTRACT_ARGS='--nms 0.5')
    assert [call[0] for call in done.calls] == [
        'extract_proposals.py',
        'train.py',
    ]
    assert done.calls[0][-2:] == ['--nms', '0.5']


def test_two_runs_in_a_work_dir(desk):
    import fcntl

    (desk.folder / 'work').mkdir()
    work = os.open(desk.folder / 'work', os.O_RDONLY)
    fcntl.flock(work, fcntl.LOCK_EX)
    done = desk.run('my cfg.py', 'work')
    assert done.returncode == 1 and not done.calls
    assert done.stderr.endswith('another run of this is at work in work\n')
    os.close(work)
    assert desk.run('my cfg.py', 'work').returncode == 0


def test_a_detector_without_rpn_is_trained_whole(desk):
    desk.config(rpn=None)
    done = desk.run('my cfg.py', 'work')
    assert 'model.rpn_only=True' not in done.calls[0]


def test_a_config_that_sees_to_negative_chips_itself(desk):
    desk.config(hooks="[dict(type='sniper_mmdet.NegativeChipMiningHook')]")
    done = desk.run('my cfg.py', 'work')
    assert done.returncode == 1 and not done.calls
    assert 'my cfg.py has a NegativeChipMiningHook' in done.stderr
