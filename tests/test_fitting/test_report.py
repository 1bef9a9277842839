"""What a report of tuning says."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

from sniper_mmdet.fitting.report import text
from sniper_mmdet.fitting.tuner import Tuned


def tuned(objects=500, **measured):
    row = dict(AP=40.0, loss=0.0, share=0.1, Mpixel=1.0, seconds=1.0)
    rows = dict.fromkeys(('expected', 'confirmed', 'measured', 'before'), row)
    rows['measured'] = dict(row, **measured)
    seconds = dict.fromkeys(('search', 'record', 'each'), 1.0)
    study = SimpleNamespace(
        scales=(1.0,),
        edges=np.array([5.0, 50]),
        AP=np.array([[40.0]]),
        target=(10, 50),
    )
    return Tuned(study, {}, [], rows, seconds, 30, objects)


@pytest.mark.parametrize(
    'given, doubt',
    [
        (dict(), None),
        (dict(AP=39.0, loss=1.0), None),
        (dict(AP=41.0, loss=9.0), None),  # the pyramid is better there
        (dict(AP=13.3, loss=17.9), '13.3 AP, the settings of CONFIG .* 40.0'),
        (
            dict(objects=14),
            'have 14 objects: levels, ranges and dilation are those of',
        ),
    ],
)
def test_doubts(given, doubt):
    told = text(tuned(**given)).splitlines()[-1]
    if doubt is None:
        assert told.startswith('Thresholds that were chosen')
    else:
        assert re.search(doubt, told)
