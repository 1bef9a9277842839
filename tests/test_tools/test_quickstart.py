"""What the quick start shows of a step, and when."""

import re
import select
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / 'tools/quickstart.sh'
FUNCTIONS = re.findall(
    r'^(?:progress|step)\(\) \{.*?^\}', SCRIPT.read_text(), re.M | re.S
)
TRAIN = b'06/01 Epoch(train)  [1][ 50/100]  lr: 0.1  loss: 2.5\n'
TEST = b'06/01 Epoch(test)  [10/24]    eta: 0:00:01\n'


@pytest.fixture
def step(tmp_path):
    """A step of the quick start that runs a command."""
    (tmp_path / 'step.sh').write_text(
        '\n'.join(
            [
                'set -euo pipefail',
                f'root={tmp_path} work={tmp_path} number=0 total=2',
                *FUNCTIONS,
                'step training "from nothing" "$root/result" "$@"',
            ]
        )
    )
    runs = []

    def start(*command):
        runs.append(
            subprocess.Popen(
                ['bash', tmp_path / 'step.sh', *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                bufsize=0,
            )
        )
        return runs[0]

    yield start
    for run in runs:
        run.stdin.close()
        run.wait(30)
        run.stdout.close()


def shown(run) -> bytes:
    """The next line, which must come while the command still runs."""
    assert select.select([run.stdout], [], [], 30)[0], 'no line within 30 s'
    return run.stdout.readline()


def test_lines_are_shown_as_they_are_written(step, tmp_path):
    run = step('cat')
    assert shown(run) == b'==> [1/2] training (from nothing)\n'
    run.stdin.write(b'06/01 mmengine - INFO - load checkpoint\n')
    run.stdin.write(TRAIN)
    assert shown(run) == b'    ' + TRAIN
    run.stdin.write(TRAIN.replace(b' 50/', b' 51/'))
    run.stdin.write(b'Epoch 1: mined 70 chips ' + 200 * b'.' + b'\n')
    assert shown(run) == (b'    Epoch 1: mined 70 chips ' + 106 * b'.' + b'\n')
    run.stdin.write(TEST.replace(b'10/', b'50/').rstrip())
    run.stdin.close()
    assert shown(run) == b'    ' + TEST.replace(b'10/', b'50/')
    assert shown(run).startswith(b'    done in ')
    assert len((tmp_path / 'step1.log').read_bytes().splitlines()) == 5


def test_what_failed_is_shown_with_the_end_of_its_log(step):
    run = step('bash', '-c', 'echo mined nothing; echo why >&2; exit 3')
    said = run.communicate(timeout=30)[0].decode()
    assert run.returncode == 1
    assert 'failed at step [1/2] training' in said
    assert '    | why\n' in said


def test_a_step_whose_result_is_there_is_skipped(step, tmp_path):
    (tmp_path / 'result').touch()
    said = step('false').communicate(timeout=30)[0].decode()
    assert 'already there, skipped: result' in said
