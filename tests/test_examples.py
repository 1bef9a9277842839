"""Examples in docstrings run, and what a user calls has one."""

import doctest
import importlib
import inspect
import re
import tempfile

import pytest
from tiny import ROOT

#: What a user calls: each has an example that runs.
CALLED = [
    'apis.CocoResults',
    'apis.detect',
    'apis.detect_scene',
    'apis.focus_maps',
    'apis.hide_objects',
    'chips.ImageBoxes',
    'chips.ImagePyramid',
    'chips.box_coverage',
    'chips.box_sizes',
    'chips.classify_boxes',
    'chips.clip_boxes',
    'chips.mine_chips',
    'chips.valid_boxes',
    'chips.focus.focus_chips',
    'chips.focus.focus_labels',
    'chips.tiles.cut_into_tiles',
    'datasets.ChipDataset',
    'datasets.ChipSampler',
    'evaluation.average_precision',
    'evaluation.best_faces',
    'evaluation.proposal_recall',
    'evaluation.voc_curve',
    'evaluation.matching.match',
    'evaluation.operating_point.f1_at',
    'tuning.advice.suggest',
    'tuning.costs.forecast',
    'tuning.costs.focus_share',
    'tuning.proposal.propose',
    'tuning.plan.search_plans',
    'tuning.statistics.chip_statistics',
    'tuning.super_classes.cluster_classes',
    'tuning.ranges.level_ranges',
    'fitting.search.frontier',
    'fitting.search.choose',
    'images.open_image',
    'images.cut_level',
    'models.PyramidDetector',
    'models.AutoFocus',
    'models.FocusHead',
]
_EXAMPLE = re.compile(r'^ *>>> ', re.MULTILINE)


def modules_with_examples() -> dict[str, int]:
    """Names of modules of the package, and the number of their examples."""
    found = {}
    for path in sorted(ROOT.glob('sniper_mmdet/**/*.py')):
        count = len(_EXAMPLE.findall(path.read_text()))
        name = '.'.join(path.relative_to(ROOT).with_suffix('').parts)
        if count:
            found[name.removesuffix('.__init__')] = count
    return found


@pytest.mark.parametrize('name, count', modules_with_examples().items())
def test_examples_run(name, count, monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner(
        optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    )
    said = []
    for test in doctest.DocTestFinder().find(module):
        runner.run(test, out=said.append)
    tried, failed = runner.tries, runner.failures
    assert not failed, ''.join(said)
    # doctest passes over a function that a decorator has replaced.
    assert tried == count


@pytest.mark.parametrize('name', CALLED)
def test_what_a_user_calls_has_an_example(name):
    room, _, called = f'sniper_mmdet.{name}'.rpartition('.')
    text = inspect.getdoc(getattr(importlib.import_module(room), called))
    assert _EXAMPLE.search(text or '')
