"""Commands as a user gives them."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from tiny import ROOT

TOOLS = ROOT / 'tools'
ONE_EPOCH = {'train_cfg.max_epochs': 1, 'train_cfg.val_interval': 1}


def start(*command, cwd, check=True):
    """Run a command as a user would; returns what it did."""
    paths = [str(Path(sys.executable).parent), os.environ['PATH']]
    done = subprocess.run(
        [str(c) for c in command],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=500,
        env={
            **os.environ,
            'PATH': os.pathsep.join(paths),
            'PYTHONPATH': os.pathsep.join(
                [
                    str(ROOT),
                    str(ROOT / 'tests'),
                    *filter(None, [os.environ.get('PYTHONPATH')]),
                ]
            ),
            'OMP_NUM_THREADS': '1',
        },
    )
    if check:
        assert done.returncode == 0, done.stdout + done.stderr
    return done


def free_port():
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        return sock.getsockname()[1]
