"""Chips of all classes alike, and which classes a chip trains."""

from collections import Counter

import numpy as np
import pytest
from chip_data import chip_dataset, coco_config

from sniper_mmdet.chips import BoxState, chip_regions, classify_boxes
from sniper_mmdet.chips.trained_classes import trained_classes
from sniper_mmdet.datasets import ClassAwareChipSampler, chip_sampler
from sniper_mmdet.datasets.class_aware_sampler import in_turns


@pytest.fixture
def dataset(folder):
    return chip_dataset(coco_config(folder))


def test_classes_of_chips_are_those_of_valid_boxes(dataset):
    table, images = dataset.mine(0, 0), dataset.images
    pyramid = dataset.settings.pyramid
    given = table, images, pyramid, dataset.box_labels
    expected = set()
    for row, chip in enumerate(table):
        image = int(chip['image'])
        states = classify_boxes(
            images.of_image(image),
            chip_regions(chip),
            pyramid.bounds[chip['level']],
        )
        own = slice(*images.offsets[image : image + 2])
        labels = dataset.box_labels[own][states == BoxState.VALID]
        expected |= {(row, label) for label in labels.tolist()}
    chips, labels = trained_classes(*given)
    found = [*zip(chips.tolist(), labels.tolist(), strict=True)]
    assert set(found) == expected and len(found) == len(expected) > 4
    assert {label for _, label in found} == {0, 1}


def test_each_class_has_its_turn():
    # Class 5 has one chip, class 2 has four; chip 0 is of both.
    chips, labels = np.array([0, 1, 2, 3, 0]), np.array([2, 2, 2, 2, 5])
    drawn = in_turns(chips, labels, 16, np.random.default_rng(0))
    assert Counter(drawn.tolist()) == {0: 10, 1: 2, 2: 2, 3: 2}
    # No class comes twice before the others have come.
    assert all(0 in pair for pair in drawn.reshape(-1, 2))
    # No chip of a class comes twice before its others have come.
    for half in (drawn[:8], drawn[8:]):
        assert {1, 2, 3} <= set(half.tolist())
    assert not len(in_turns(chips, labels, 0, np.random.default_rng(0)))


def test_epochs_are_the_parents_and_differ(dataset):
    sampler = ClassAwareChipSampler(dataset, seed=3)
    first, again = ([row.tobytes() for row in sampler] for _ in range(2))
    assert first == again and len(first) == len(sampler) == len(dataset)
    sampler.set_epoch(1)
    assert [row.tobytes() for row in sampler] != first
    sampler.set_epoch(0)
    sampler.skip(2)
    assert [row.tobytes() for row in sampler] == first[2:]


def test_ranks_share_an_epoch(dataset, monkeypatch):
    def rows(rank, ranks):
        monkeypatch.setattr(
            chip_sampler, 'get_dist_info', lambda: (rank, ranks)
        )
        sampler = ClassAwareChipSampler(dataset, seed=3, epoch_size=8)
        return [row.tobytes() for row in sampler]

    parts = rows(0, 2), rows(1, 2)
    assert [*sum(zip(*parts, strict=True), ())] == rows(0, 1)


def test_negative_chips_have_their_share(dataset, monkeypatch):
    table = dataset.mine(0, 0)
    table['positive'][::2] = False
    monkeypatch.setattr(dataset, 'mine', lambda *_: table)

    def share(**settings):
        sampler = ClassAwareChipSampler(
            dataset, seed=0, epoch_size=100, **settings
        )
        return np.mean([not row['positive'] for row in sampler])

    assert share(negative_share=0.25) == 0.25
    assert share(negative_share=1) == 1


@pytest.mark.parametrize(
    'settings, text',
    [
        (dict(negative_share=2), 'must be 0 to 1. Received: 2'),
        (dict(shuffle=False), 'without shuffle. Received: False'),
        (dict(images_together=3), 'without images_together. Received: 3'),
    ],
)
def test_settings_that_are_refused(dataset, settings, text):
    with pytest.raises(ValueError, match=text):
        ClassAwareChipSampler(dataset, seed=0, **settings)
