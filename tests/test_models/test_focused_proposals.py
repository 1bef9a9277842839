"""Proposals from where a focus head would look, beside those of everything."""

import pytest
import torch
from mmengine.registry import init_default_scope
from test_autofocus import (  # noqa: F401
    autofocus,
    image,
    pyramid_of,
    scope,
)

from sniper_mmdet.chips import FocusedPass


def images(*sizes):
    return [
        image(*size, seed=k).permute(1, 2, 0).numpy()
        for k, size in enumerate(sizes)
    ]


def same(ours, theirs):
    return all(
        torch.equal(a.bboxes, b.bboxes) and torch.equal(a.scores, b.scores)
        for a, b in zip(ours, theirs, strict=True)
    )


@pytest.fixture(scope='module')
def model():
    init_default_scope('mmdet')
    torch.manual_seed(0)
    return autofocus(max_proposals=20)


@pytest.mark.parametrize('name', ['faster-rcnn', 'retinanet'])
@pytest.mark.parametrize('share', [0.15, 0.4])
def test_an_image_is_looked_at_within_its_share(name, share, monkeypatch):
    model = autofocus(name)
    ran = []
    preprocess = model._preprocess

    def count(inputs, samples):
        ran.extend(one.shape[1] * one.shape[2] for one in inputs)
        return preprocess(inputs, samples)

    monkeypatch.setattr(model, '_preprocess', count)
    found = model.propose(
        images((400, 320), (333, 200)), 50, 0.7, FocusedPass(share), [1, 2]
    )
    whole = [w * h * (0.25 + 1 + 2.25) for w, h in [(400, 320), (333, 200)]]
    for boxes, pixels in zip(found, whole, strict=True):
        assert boxes.pyramid_pixels == pytest.approx(pixels, rel=0.01)
        assert boxes.pixels <= share * boxes.pyramid_pixels
        assert 0 < len(boxes) <= 3 * 50
        assert (boxes.scores.diff() <= 0).all() and not boxes.labels.any()
    assert sum(ran) == sum(boxes.pixels for boxes in found)
    assert sum(ran) > 0.9 * 0.0714 * sum(whole)  # the coarsest level


def test_places_are_of_the_seed_and_the_image_alone(model):
    two, focused = images((400, 320), (333, 200)), FocusedPass(0.3)
    both = model.propose(two, 50, 0.7, focused, [1, 2])
    alone = [
        model.propose([img], 50, 0.7, focused, [seed])[0]
        for img, seed in zip(two, [1, 2], strict=True)
    ]
    # Chips that are run together are padded, which tells a little.
    assert [b.pixels for b in both] == [b.pixels for b in alone]
    assert same(both, model.propose(two, 50, 0.7, focused, [1, 2]))
    other = model.propose(two, 50, 0.7, focused, [3, 2])
    assert not same(both[:1], other[:1])


def test_what_the_focus_head_asks_for_is_looked_at(model, monkeypatch):
    """One cell of the coarsest level: no proposal of a finer one is far."""

    def one_cell(features, samples):
        maps = torch.zeros(len(samples), 10, 13)
        maps[:, 4, 4] = 1
        return maps

    monkeypatch.setattr(model.focus_head, 'predict', one_cell)
    (img,) = images((400, 320))
    focused = FocusedPass(0.5, elsewhere=0)
    (found,) = model.propose([img], 50, 0.7, focused, [0])
    coarse = 200 * 160
    assert 0 < found.pixels - coarse < 0.1 * found.pyramid_pixels
    monkeypatch.setattr(
        model.focus_head, 'predict', lambda f, s: torch.zeros(len(s), 10, 13)
    )
    (found,) = model.propose([img], 50, 0.7, focused, [0])
    assert found.pixels == coarse
    (some,) = model.propose([img], 50, 0.7, FocusedPass(0.5), [0])
    assert some.pixels > coarse


def test_a_whole_pass_is_the_pyramid(model):
    two = images((160, 128), (97, 131))
    ours = model.propose(two, 20, 0.7)
    assert same(ours, pyramid_of(model).propose(two, 20, 0.7))
    assert 'pixels' not in ours[0]


def test_all_of_all_levels_has_the_proposals_of_a_whole_pass():
    model = autofocus(focus=[dict(threshold=0)] * 2)
    for img in images((160, 128), (97, 131)):
        (ours,) = model.propose([img], 20, 0.7, FocusedPass(1.0), [0])
        assert ours.pixels == ours.pyramid_pixels
        assert same([ours], model.propose([img], 20, 0.7))
