"""The runs of the experiment with dropped labels, and its table."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

#: Ways to train on the boxes that are left: with all background; with
#: background weighted by overlap; weighted by the scores of the plain
#: detector; with the dropped boxes ignored. The last is an upper bound, since
#: it needs the dropped boxes.
WAYS = 'plain', 'overlap', 'scores', 'bound'

#: Columns of the table.
COLUMNS = 'AP AP50 F1 precision recall best_F1 best_score'.split()


class Run(NamedTuple):
    """One training of the experiment."""

    data: str
    rate: float
    seed: int
    way: str

    @property
    def folder(self) -> Path:
        """Path: the run's folder, in that of the experiment."""
        return Path(self.data, f'drop{self.rate:g}_seed{self.seed}', self.way)


def runs_of(
    names: Sequence[str],
    rates: Sequence[float],
    seeds: Sequence[int],
    ways: Sequence[str] = WAYS,
) -> Iterator[Run]:
    """Yield all runs, in an order in which each finds what it needs.

    Weights by score need the plain detector of the same labels. If no box is
    dropped there is no run for the upper bound.
    """
    ways = [way for way in WAYS if way in ways]
    if 'scores' in ways and 'plain' not in ways:
        raise ValueError(
            'the way scores needs the way plain, for the scores. '
            f'Received: {ways}.'
        )
    for data, seed, rate, way in product(names, seeds, rates, ways):
        if rate or way != 'bound':
            yield Run(data, rate, seed, way)


def summary(results: Iterable[tuple[Run, dict]]) -> list[tuple[str, dict]]:
    """Rows of a table: mean and spread of AP, AP50 and F1 over the seeds.

    The spread is the standard deviation. F1 is given at the score threshold of
    the experiment and, with that threshold, at its best.
    """
    cells = {}
    for run, result in results:
        key = run.data, run.rate, run.way
        cells.setdefault(key, []).append(result)
    rows = []
    for (data, rate, way), found in cells.items():
        row = dict(dropped=f'{rate:.0%}', way=way, runs=str(len(found)))
        for name in COLUMNS:
            values = np.array([one.get(name, np.nan) for one in found])
            spread = values.std(ddof=1) if len(values) > 1 else np.nan
            row[name] = f'{values.mean():.2f} ±{spread:5.2f}'
        rows.append((data, row))
    return rows
