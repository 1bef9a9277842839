"""tools/test.py on WIDER FACE's files."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny import SAMPLE_CONFIG, sample_options
from wider_files import IMAGES, text_of, write_mats

from sniper_mmdet.datasets.synthetic.shapes import CLASSES

pytestmark = pytest.mark.usefixtures('fast_configs')
#: The detector is one of shapes: what it finds is taken for faces.
CONFIG = f"""
_base_ = '{SAMPLE_CONFIG}'
test_dataloader = dict(
    dataset=dict(
        type='sniper_mmdet.WiderFaceDataset',
        metainfo=dict(classes={tuple(CLASSES)}),
        data_root='wider/',
        ann_file='gt.txt',
        data_prefix=dict(img='images/')))
test_evaluator = dict(
    _delete_=True, type='sniper_mmdet.WiderFaceMetric', ann_dir='wider')
"""


@pytest.mark.parametrize('args', [['--eval', 'bbox'], ['--format-only']])
def test_run(tool, trained, here, args):
    rng = np.random.default_rng(0)
    for name in IMAGES:
        path = here / f'wider/images/{name}.jpg'
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), rng.integers(0, 255, (64, 96, 3), np.uint8))
    write_mats(here / 'wider')
    (here / 'wider/gt.txt').write_text(text_of())
    (here / 'wider.py').write_text(CONFIG)
    config = str(here / 'wider.py')
    tool('test.py', config, trained, '--work-dir', 'out', *args, **{
        **sample_options(),
        'log_level': 'WARNING',
    })  # fmt: skip
    files = sorted(Path('out').glob('*/*.json'))
    scores = json.loads(files[-1].read_text()) if files else {}
    written = {
        str(path.relative_to('out/results').with_suffix(''))
        for path in Path('out/results').rglob('*.txt')
    }
    if args == ['--format-only']:
        assert written == set(IMAGES)
        assert not any('AP' in key for key in scores)
    else:
        assert {'wider/AP_easy', 'wider/AP_medium', 'wider/AP_hard'} <= set(
            scores
        )
        assert not written
