"""No tool runs what is in a checkpoint, unless it is told to trust it."""

import os
from collections import OrderedDict

import pytest
import torch
from tiny import ROOT, SAMPLE_CONFIG, cli, sample_options

from sniper_mmdet.utils.cli import TRUSTED

AUTOFOCUS = (
    ROOT / 'configs/autofocus/faster-rcnn_r18-slim_fpn_autofocus_3e_sample.py'
)
pytestmark = pytest.mark.usefixtures('fast_configs')


class Payload:
    """Makes a folder when it is read."""

    def __reduce__(self):
        return os.mkdir, ('ran',)


@pytest.fixture
def payload(here, monkeypatch):
    # A tool sets it, in this process.
    monkeypatch.setenv(TRUSTED, '0')
    meta = dict(epoch=1, iter=1, about=Payload())
    run = dict(meta=meta, message_hub={}, state_dict=OrderedDict())
    torch.save(run, here / 'payload.pth')
    start = dict(_delete_=True, type='Pretrained', checkpoint='payload.pth')
    (here / 'pretrained.py').write_text(
        f'_base_ = {str(SAMPLE_CONFIG)!r}\n'
        f'model = dict(backbone=dict(init_cfg={start}))\n'
    )
    return 'payload.pth'


OPTIONS = [text for text in cli(sample_options()) if 'init_cfg' not in text]
OPENINGS = {
    'resume': ('train.py', SAMPLE_CONFIG, '--resume', 'payload.pth', *OPTIONS),
    'weights': (
        'train.py',
        SAMPLE_CONFIG,
        *OPTIONS,
        'load_from=payload.pth',
    ),
    'backbone': ('train.py', 'pretrained.py', *OPTIONS),
    'test': ('test.py', SAMPLE_CONFIG, 'payload.pth', *OPTIONS),
    'demo': (
        'image_demo.py',
        'data/sample/images',
        SAMPLE_CONFIG,
        'payload.pth',
        '--out-dir',
        'out',
        *OPTIONS,
    ),
    'proposals': (
        'extract_proposals.py',
        SAMPLE_CONFIG,
        'payload.pth',
        '--out',
        'out.npz',
        *OPTIONS,
    ),
    'parity': (
        'model_converters/check_parity.py',
        SAMPLE_CONFIG,
        'payload.pth',
        'out.npz',
        *OPTIONS,
    ),
    'curve': ('analysis_tools/focus_curve.py', AUTOFOCUS, 'payload.pth'),
    'inference': (
        'analysis_tools/benchmark.py',
        'inference',
        AUTOFOCUS,
        'payload.pth',
    ),
}
STEPS = (
    'analysis_tools/benchmark.py',
    'train',
    SAMPLE_CONFIG,
    '--random',
    '--batch',
    '1',
    '--checkpoint',
    'payload.pth',
    *OPTIONS,
)


@pytest.mark.parametrize(
    'command',
    [
        *(pytest.param(all_of, id=name) for name, all_of in OPENINGS.items()),
        pytest.param(STEPS, id='steps', marks=pytest.mark.slow),
    ],
)
def test_nothing_is_run(command, tool, payload, here):
    with pytest.raises(SystemExit) as told:
        tool(*command)
    assert 'payload.pth holds posix.mkdir, which may run' in str(told.value)
    assert 'give --trust-checkpoint' in str(told.value)
    assert not (here / 'ran').exists()


def test_a_file_may_be_trusted(tool, payload, here):
    command, *others = OPENINGS['proposals']
    with pytest.raises(SystemExit, match='payload.pth lacks .* weights'):
        tool(command, '--trust-checkpoint', *others)
    assert (here / 'ran').exists()
