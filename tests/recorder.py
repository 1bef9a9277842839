"""A hook for the tests: writes down the chips that a run sees."""

import json
import os
import signal
from pathlib import Path

from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module(force=True)
class RecordChips(Hook):
    """Appends a line an iteration to ``WORK_DIR/chips.RANK.jsonl``.

    The train pipeline must pack ``META_KEYS``.

    Args:
        kill_at (int, optional): Die by SIGKILL before this iteration.
    """

    META_KEYS = (
        'img_id',
        'img_shape',
        'chip',
        'chip_offset',
        'scale_factor',
        'flip',
    )
    priority = 'LOWEST'  # after checkpoints are written

    def __init__(self, kill_at=None):
        self.kill_at = kill_at

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        rows = [
            {key: s.get(key) for key in self.META_KEYS}
            for s in data_batch['data_samples']
        ]
        path = Path(runner.work_dir) / f'chips.{get_rank()}.jsonl'
        with path.open('a') as file:
            file.write(json.dumps([runner.epoch, runner.iter, rows]) + '\n')


def read(work_dir, rank=0):
    """list[tuple]: epoch, iteration and chips (as sortable text)."""
    lines = (Path(work_dir) / f'chips.{rank}.jsonl').read_text().splitlines()
    return [
        (epoch, step, [json.dumps(row, sort_keys=True) for row in rows])
        for epoch, step, rows in map(json.loads, lines)
    ]
