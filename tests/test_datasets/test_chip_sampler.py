"""Same chips, same samples: at any number of workers, ranks and epochs."""

import numpy as np
import pytest
import torch
from chip_data import chip_dataset, coco_config
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

from sniper_mmdet.datasets import ChipSampler, chip_sampler


@pytest.fixture
def dataset(folder):
    return chip_dataset(coco_config(folder))


def rank_sampler(monkeypatch, dataset, rank, world_size, **settings):
    monkeypatch.setattr(
        chip_sampler, 'get_dist_info', lambda: (rank, world_size)
    )
    return ChipSampler(dataset, seed=7, **settings)


def load(dataset, sampler, num_workers=0, batch_size=3, **settings):
    return DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=num_workers,
        collate_fn=pseudo_collate,
        **settings,
    )


def contents(loader):
    """All that a loader gives: pixels, boxes, image and chip."""
    found = []
    for batch in loader:
        for img, sample in zip(
            batch['inputs'], batch['data_samples'], strict=True
        ):
            boxes = sample.gt_instances.bboxes.tensor
            region = sample.chip['region']
            found.append((img, boxes, sample.img_id, region, sample.flip))
    return found


def assert_same(a, b):
    assert len(a) == len(b)
    for (img_a, boxes_a, *rest_a), (img_b, boxes_b, *rest_b) in zip(
        a, b, strict=True
    ):
        assert rest_a == rest_b
        assert torch.equal(img_a, img_b) and torch.equal(boxes_a, boxes_b)


def rows_of(sampler):
    return [row.tobytes() for row in sampler]


def test_every_epoch_has_the_same_length(folder):
    dataset = chip_dataset(coco_config(folder), stride=(4, 50))
    sampler = ChipSampler(dataset, seed=7)
    assert len(sampler) == len(dataset.mine(0, 0))
    more = fewer = 0
    for epoch in range(12):
        sampler.set_epoch(epoch)
        rows = rows_of(sampler)
        table = [row.tobytes() for row in sampler.table]
        assert len(rows) == len(sampler)
        if len(table) >= len(sampler):
            assert len(set(rows)) == len(rows) and set(rows) <= set(table)
            more += len(table) > len(sampler)
        else:
            assert set(rows) == set(table)
            fewer += 1
    assert more and fewer


def test_an_epoch_is_mined_anew_from_its_number_and_the_seed(dataset):
    sampler = ChipSampler(dataset, seed=7)
    sampler.set_epoch(3)
    assert sampler.table.tobytes() == dataset.mine(7, 3).tobytes()
    assert rows_of(sampler) == rows_of(sampler)
    third = rows_of(sampler)
    sampler.set_epoch(4)
    assert sampler.table.tobytes() == dataset.mine(7, 4).tobytes()
    assert rows_of(sampler) != third
    sampler.set_epoch(3)
    assert rows_of(sampler) == third
    assert rows_of(ChipSampler(dataset, seed=8)) != rows_of(
        ChipSampler(dataset, seed=7)
    )


def test_order(dataset):
    rows = rows_of(ChipSampler(dataset, shuffle=False, seed=0))
    table = [row.tobytes() for row in dataset.mine(0, 0)]
    assert rows == table
    shuffled = rows_of(ChipSampler(dataset, seed=0))
    assert shuffled != table and sorted(shuffled) == sorted(table)


def test_seed_is_drawn_where_none_is_given(dataset):
    assert len({ChipSampler(dataset).seed for _ in range(3)}) > 1


def test_samples_do_not_depend_on_the_number_of_workers(dataset):
    sampler = ChipSampler(dataset, seed=7)
    alone = contents(load(dataset, sampler))
    assert len(alone) == len(sampler)
    assert {sample[-1] for sample in alone} == {True, False}  # flipped
    for num_workers in (1, 2):
        np.random.seed(num_workers)
        loader = load(dataset, sampler, num_workers)
        assert_same(contents(loader), alone)


def test_persistent_workers_see_the_new_epoch(dataset):
    sampler = ChipSampler(dataset, seed=7)
    loader = load(dataset, sampler, 2, persistent_workers=True)
    epochs = []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        epochs.append(contents(loader))
        assert_same(epochs[-1], contents(load(dataset, sampler)))
    regions = [sorted(s[3] for s in samples) for samples in epochs]
    assert regions[0] != regions[1]


def test_two_ranks_together_give_the_batches_of_one(dataset, monkeypatch):
    one = rank_sampler(monkeypatch, dataset, 0, 1)
    two = [rank_sampler(monkeypatch, dataset, rank, 2) for rank in (0, 1)]
    assert len(two[0]) == len(two[1]) == -(-len(one) // 2)
    for epoch in (0, 1):
        for sampler in (one, *two):
            sampler.set_epoch(epoch)
        whole = [rows_of(one)[i : i + 6] for i in range(0, len(one), 6)]
        parts = [rows_of(sampler) for sampler in two]
        for i, batch in enumerate(whole):
            both = [row for part in parts for row in part[3 * i : 3 * i + 3]]
            # The last batch may hold one chip twice.
            assert set(both) >= set(batch) and len(both) - len(batch) <= 1
            if len(both) == len(batch):
                assert sorted(both) == sorted(batch)


@pytest.mark.parametrize('world_size', [1, 3, 7])
def test_ranks_share_an_epoch(dataset, monkeypatch, world_size):
    total = len(dataset)
    for round_up in (True, False):
        samplers = [
            rank_sampler(
                monkeypatch, dataset, rank, world_size, round_up=round_up
            )
            for rank in range(world_size)
        ]
        rows = [rows_of(sampler) for sampler in samplers]
        lengths = [len(part) for part in rows]
        assert lengths == [len(sampler) for sampler in samplers]
        if round_up:
            assert set(lengths) == {-(-total // world_size)}
        else:
            assert sum(lengths) == total


def test_skip_leaves_out_the_first_samples_once(dataset, monkeypatch):
    for rank in (0, 1):
        sampler = rank_sampler(monkeypatch, dataset, rank, 2)
        whole = rows_of(sampler)
        sampler.skip(4)
        assert rows_of(sampler) == whole[4:]
        assert rows_of(sampler) == whole
        assert len(sampler) == len(whole)


def test_skip_may_leave_out_whole_epochs(dataset, monkeypatch):
    sampler = rank_sampler(monkeypatch, dataset, 1, 2)
    length, epochs = len(sampler), []
    for epoch in range(4):
        sampler.set_epoch(epoch)
        epochs.append(rows_of(sampler))
    sampler.set_epoch(0)
    sampler.skip(2 * length + 3)
    assert rows_of(sampler) == epochs[2][3:]
    # The loop counts its epochs from where it goes on.
    sampler.set_epoch(1)
    assert rows_of(sampler) == epochs[3]


def test_skip_of_just_one_epoch_leaves_an_empty_one(dataset):
    sampler = ChipSampler(dataset, seed=7)
    sampler.skip(len(sampler))
    assert rows_of(sampler) == []
    sampler.set_epoch(1)
    assert sampler.table.tobytes() == dataset.mine(7, 1).tobytes()


def test_other_data_sets_are_refused():
    with pytest.raises(TypeError, match='ChipDataset. Received: list'):
        ChipSampler([1, 2, 3], seed=0)


def test_data_set_without_a_chip_is_refused(folder):
    dataset = chip_dataset(coco_config(folder), min_side=1000)
    with pytest.raises(
        ValueError, match='none of the .* is valid at any level'
    ):
        ChipSampler(dataset, seed=0)


def test_images_take_turns():
    images = np.random.default_rng(0).permutation(np.repeat(range(12), 5))
    order = chip_sampler.in_turn(images, 4)
    assert sorted(order.tolist()) == list(range(60))
    rounds = images[order].reshape(-1, 4)
    # Each is under way in one place, and is done before the next begins.
    assert all(len(set(row)) == 4 for row in rounds.tolist())
    for place in rounds.T:
        assert (np.diff(place) != 0).sum() == 2
    # Of images of many chips what is left comes at the end.
    order = chip_sampler.in_turn(np.array([0, 0, 0, 0, 1, 2]), 2)
    assert order.tolist() == [0, 4, 1, 5, 2, 3]
    assert chip_sampler.in_turn(np.zeros(0, int), 3).tolist() == []


def test_an_epoch_with_images_together(dataset, monkeypatch):
    """All chips of it, in another order, on any number of ranks."""
    near = ChipSampler(dataset, seed=7, images_together=2)
    rows, others = rows_of(near), rows_of(ChipSampler(dataset, seed=7))
    assert sorted(rows) == sorted(others) and rows != others
    assert rows == rows_of(near)
    images = [int(row['image']) for row in near]
    turns = sum(a != b for a, b in zip(images, images[1:], strict=False))
    assert turns > 0.6 * len(images)
    assert len({*images[: len(images) // 3]}) == 2
    near.set_epoch(1)
    assert rows_of(near) != rows
    near.set_epoch(0)
    near.skip(5)
    assert rows_of(near) == rows[5:]
    for rank in range(2):
        own = rank_sampler(monkeypatch, dataset, rank, 2, images_together=2)
        theirs = rows[rank::2]
        assert rows_of(own)[: len(theirs)] == theirs


def test_images_together_must_be_a_number(dataset):
    with pytest.raises(ValueError, match='positive number. Received: 0'):
        ChipSampler(dataset, images_together=0)
