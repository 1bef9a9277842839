"""Chips of images in tiles, beside those of the files they were made of."""

import numpy as np
import pytest
from chip_data import PIPELINE, chip_dataset, coco_config

from sniper_mmdet.datasets import ChipSampler
from sniper_mmdet.images.tiled import convert_folder

pytest.importorskip('rasterio')


def chips_of(config, loading):
    """By scale, inputs and boxes of each chip."""
    dataset = chip_dataset(
        config,
        scales=[0.5, 1.0, 1.5],
        valid_ranges=[(24, None), (16, 40), (0, 24)],
        pipeline=[loading, *PIPELINE[1:3], PIPELINE[-1]],
    )
    sampler = ChipSampler(dataset, seed=0)
    samples = [dataset[index] for index in sampler]
    return [
        (
            sample['data_samples'].metainfo['chip_level'],
            sample['inputs'].numpy(),
            sample['data_samples'].gt_instances.bboxes.numpy(),
        )
        for sample in samples
    ]


def test_chips_of_images_in_tiles_are_the_same(folder):
    convert_folder(
        folder / 'images',
        folder / 'tiled',
        compress='deflate',
        block=64,
        ann=folder / 'coco.json',
        out_ann=folder / 'tiled.json',
    )
    old = chips_of(coco_config(folder), dict(type='LoadImageFromFile'))
    config = dict(coco_config(folder), ann_file='tiled.json')
    config['data_prefix'] = dict(img='tiled/')
    new = chips_of(config, dict(type='sniper_mmdet.LoadImageByWindow'))
    assert len(old) == len(new)
    levels = set()
    for (level, pixels, boxes), (level2, pixels2, boxes2) in zip(
        old, new, strict=True
    ):
        assert level == level2 and (boxes == boxes2).all()
        assert pixels.shape == pixels2.shape
        if level:
            assert np.array_equal(pixels, pixels2)
        levels.add(level)
    assert levels == {0, 1, 2}
