"""Logs of runs, written by LocalVisBackend and the LoggerHook."""

import contextlib
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np


class RunLog:
    """The log of a run; the logs of its starts are joined.

    Entries of a start after the checkpoint from which the next start resumes
    do not count.

    Args:
        run (str): A work dir, or one scalars.json.

    Attributes:
        curves (dict): Values by kind ('train', 'val' or 'chips'), key and
            step.
        epochs (dict): Epoch of each logged iteration.

    Raises:
        ValueError: There is no log, or a file is not a log.
    """

    def __init__(self, run: str) -> None:
        self.run = run
        self.curves = defaultdict(lambda: defaultdict(dict))
        self.epochs = {}
        joined = []
        for path in _log_files(Path(run)):
            placed = [*_placed(path, joined[-1][0] if joined else 0)]
            if placed:
                start = placed[0][0]
                joined = [(at, e) for at, e in joined if at <= start] + placed
        for _, entry in joined:
            step = entry.pop('step')
            kind = 'val'
            if 'iter' in entry:
                kind = 'train'
                self.epochs[entry.pop('iter')] = entry.pop('epoch', None)
            elif all(name.startswith('chips/') for name in entry):
                kind = 'chips'
            for key, value in entry.items():
                # Validation logs seconds per image by the same names.
                time = kind == 'val' and key in ('time', 'data_time')
                if isinstance(value, (int, float)) and not time:
                    self.curves[kind][key][step] = value

    def find(self, key: str) -> list[tuple[str, str]]:
        """Return kind and name of all curves that match a key.

        A key is a name, the part after its slash or the part before it;
        'chips' matches the chips by level.

        Raises:
            ValueError: Nothing matches.
        """
        prefix = 'chips/level' if key == 'chips' else f'{key}/'
        names = [(kind, n) for kind in self.curves for n in self.curves[kind]]
        for found in (
            [n for n in names if n[1] == key],
            [n for n in names if n[1].endswith(f'/{key}')],
            [n for n in names if n[1].startswith(prefix)],
        ):
            if found:
                return found
        there = ', '.join(sorted({name for _, name in names})) or 'nothing'
        raise ValueError(
            f'--keys must be names that {self.run} has logged: {there}. '
            f'Received: {key}.'
        )

    def seconds(self, include_outliers: bool = False) -> dict:
        """Return mean seconds per iteration, by epoch, or None.

        With ``include_outliers`` the first value of each epoch counts too. The
        epoch is None in a loop without epochs.

        Raises:
            ValueError: The run has not logged times.
        """
        curves = self.curves['train']
        # The name is 'train/time' if the LogProcessor logs with hierarchy.
        names = [name for name in curves if name.split('/')[-1] == 'time']
        if not names:
            raise ValueError(
                'a run must have logged the time of iterations, which '
                f'IterTimerHook measures. Received: {self.run}.'
            )
        times = defaultdict(list)
        for step, value in sorted(curves[names[0]].items()):
            times[self.epochs[step]].append(value)
        first = not include_outliers
        return {e: np.mean(v[first:] or v) for e, v in times.items()}


def last_metrics(work_dir: str, key: str = 'coco/bbox_mAP') -> dict:
    """Return the last logged evaluation that has a key, in a work dir.

    Raises:
        ValueError: There is no such evaluation.
    """
    # Each start has a folder named by its time; those of tools/test.py differ.
    root = Path(work_dir)
    logs = [*root.glob('*/*.json'), *root.glob('*/vis_data/scalars.json')]
    logs.sort(key=lambda path: path.relative_to(root).parts[0])
    found = [e for p in logs for e in _entries(p, strict=False) if key in e]
    if not found:
        raise ValueError(f'no COCO bbox evaluation in {work_dir}.')
    return found[-1]


def _log_files(path) -> list[Path]:
    """Return the logs of a run, in the order in which they were written."""
    if path.is_file():
        return [path]
    found = sorted(path.glob('*/vis_data/scalars.json'))
    found = found or sorted(path.glob('**/scalars.json'))
    if not found:
        raise ValueError(
            'a run is a scalars.json, or a work dir with one in */vis_data. '
            f'Received: {path}.'
        )
    return found


def _entries(path, strict=True) -> Iterator[dict]:
    """Yield the lines of a log; with ``strict`` each must have a step.

    The last line may lack one: a killed run may have left half a line.
    """
    lines = path.read_text(errors='replace').splitlines()
    for number, line in enumerate(lines, start=1):
        entry = None
        with contextlib.suppress(ValueError):
            entry = json.loads(line)
        if isinstance(entry, dict) and ('step' in entry or not strict):
            yield entry
        elif strict and not number == len(lines) > 1:
            raise ValueError(
                f'{path}, line {number}, is not of a scalars.json. '
                f'Received: {line[:40]!r}.'
            )


def _placed(path, last) -> Iterator[tuple[int, dict]]:
    """Yield the lines of a log, each with its iteration.

    Lines of losses have an iteration; lines of validation and of chips get
    that of the place where they were written. A start that ended before its
    first loss does not show where it resumed: its lines get ``last``.
    """
    entries = [*_entries(path)]
    iters = [entry['iter'] for entry in entries if 'iter' in entry]
    # Losses are logged every few iterations, from the one of the resume.
    interval = min(np.diff(iters[:3]), default=1)
    here = max(iters[0] - interval, 0) if iters else last
    for entry in entries:
        here = entry.get('iter', here)
        yield here, entry
