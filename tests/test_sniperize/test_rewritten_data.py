"""Data sets and pipelines of a config for chips."""

import pytest

pytestmark = pytest.mark.usefixtures('fast_configs')


def test_data_are_kept_and_wrappers_are_not(plain):
    cfg, text, notes = plain()
    loader = cfg.train_dataloader
    assert (loader.batch_size, loader.pin_memory) == (3, True)
    assert loader.batch_sampler is None
    assert loader.sampler == dict(type='sniper_mmdet.ChipSampler')
    first, second = loader.dataset.dataset.datasets
    assert (first.type, first.metainfo.classes) == ('CocoDataset', ('cat',))
    assert first.filter_cfg == dict(filter_empty_gt=False, min_size=8)
    assert (first.pipeline, second.dataset.pipeline) == ([], [])
    assert second.type == 'ClassBalancedDataset'
    for told in ('RepeatDataset(times=2)', 'ClassAwareSampler is taken out'):
        assert told in notes


def test_transforms_that_fit_a_chip_are_kept(plain):
    cfg, _, notes = plain()
    pipeline = cfg.train_dataloader.dataset.pipeline
    assert [step.type for step in pipeline] == [
        'sniper_mmdet.LoadImageByWindow',
        'LoadAnnotations',
        'sniper_mmdet.CutChip',
        'RandomApply',
        'RandomFlip',
        'sniper_mmdet.PackImage',
    ]
    assert pipeline[0] == dict(
        type='sniper_mmdet.LoadImageByWindow', backend_args=None
    )
    assert pipeline[4].direction == ['vertical']
    assert pipeline[5].meta_keys == ('img_id', 'mine')
    assert (
        'training pipeline no longer has Mosaic, RandomChoice, MyFog:' in notes
    )


def test_images_are_tested_as_they_are(plain):
    cfg, _, notes = plain()
    wanted = [
        dict(type='LoadImageFromFile'),
        dict(type='PackDetInputs', meta_keys=('img_id', 'mine')),
    ]
    parts = cfg.val_dataloader.dataset.datasets
    assert [part.pipeline for part in parts] == [wanted, wanted]
    assert cfg.test_dataloader.dataset.pipeline == wanted
    assert parts[0].ann_file == 'a.json'
    assert 'The val pipeline no longer has MyFog' in notes
