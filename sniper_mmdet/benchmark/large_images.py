"""Measures chips of large images: whole files, windows, cut in advance."""

import itertools
import timeit
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.registry import init_default_scope

from sniper_mmdet.datasets import ChipDataset, ChipSampler
from sniper_mmdet.datasets.formats.coco import CocoWriter
from sniper_mmdet.images.tiled import convert_folder

_CHIP, _BOXES = 512, 60
_KEPT_MB = 1000
_TOGETHER = 2
# Files of to_tiled.py, and how they are compressed.
_TILED = {f'tiled_{how}': how for how in ('jpeg', 'zstd', 'none')}
#: Training pipeline of a dataset of tiles on disk.
_OF_TILES = (
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
)


def benchmark_large_images(
    size: tuple[int, int] = (4000, 3000),
    images: int = 8,
    num: int = 200,
    repeats: int = 3,
    seed: int = 0,
) -> dict[str, float]:
    """Chips per second of one worker, from random JPEGs.

    Args:
        size (tuple[int]): (width, height) of the images.
        images (int): Number of images.
        num (int): Number of chips that are timed.
        repeats (int): Number of repeats; the fastest counts.
        seed (int): Seed of the images and of the choice of chips.

    Returns:
        dict[str, float]: ``chips_per_image`` of an epoch; ratios; and chips
        per second: ``decoded_whole``; ``kept``, with a cache of decoded images
        and an order by image; ``tiled_jpeg``, ``tiled_zstd`` and
        ``tiled_none``, from files of ``to_tiled.py`` in the same order;
        ``cut_before``, with chips as files and mmdet's pipeline.
    """
    cv2.setNumThreads(0)  # as in a worker
    torch.set_num_threads(1)
    init_default_scope('mmdet')
    with TemporaryDirectory() as folder:
        root = Path(folder)
        _write_images(root, size, images, seed)
        for name, compress in _TILED.items():
            convert_folder(
                root / 'jpeg',
                root / name,
                compress=compress,
                ann=root / 'jpeg.json',
                out_ann=root / f'{name}.json',
            )
        whole = _chips(root, 'jpeg')
        kept = _chips(root, 'jpeg', cache_mb=_KEPT_MB)
        tiled = {name: _chips(root, name) for name in _TILED}
        rows = list(itertools.islice(ChipSampler(whole, seed=seed), num))
        near = ChipSampler(whole, seed=seed, images_together=_TOGETHER)
        near = list(itertools.islice(near, num))
        pack = _cut_before(root, whole, rows)
        peer = Compose(_OF_TILES)
        starts: dict[str, Callable] = {
            name: partial(_drop_tiles, dataset)
            for name, dataset in tiled.items()
        }
        starts['kept'] = kept.pipeline.transforms[0].forget
        ways: dict[str, Callable] = dict(
            decoded_whole=lambda: [whole[row] for row in rows],
            kept=lambda: [kept[row] for row in near],
            **{
                name: lambda dataset=dataset: [dataset[row] for row in near]
                for name, dataset in tiled.items()
            },
            cut_before=lambda: [peer(dict(info)) for info in pack],
        )
        times = [  # alternating: the load of the machine is the same for all
            [
                timeit.timeit(way, starts.get(name, 'pass'), number=1)
                for name, way in ways.items()
            ]
            for _ in range(repeats + 1)  # the first is a warm-up
        ]
    best = (len(rows) / np.min(times[1:], 0)).tolist()
    rates = dict(zip(ways, best, strict=True))
    return dict(
        chips_per_image=len(whole) / images,
        **rates,
        kept_to_decoded_whole=rates['kept'] / rates['decoded_whole'],
        **{
            f'{name}_to_{peer}': rates[name] / rates[peer]
            for name in _TILED
            for peer in ('decoded_whole', 'cut_before')
        },
    )


def _drop_tiles(dataset: ChipDataset) -> None:
    """Begin an epoch that finds other images' tiles in its cache."""
    from sniper_mmdet.images.jpeg_tiles import KEPT  # needs rasterio

    dataset.pipeline.transforms[0].forget()
    tile = np.zeros((128, 128, 3), np.uint8)
    for number in range(int(KEPT.most / tile.nbytes) + 1):
        KEPT.put(('another image', number), tile.copy(), tile.nbytes)


def _chips(root: Path, kind: str, **load) -> ChipDataset:
    return ChipDataset(
        scales=[1.0],
        chip_size=_CHIP,
        pipeline=[
            dict(type='sniper_mmdet.LoadImageByWindow', **load),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(type='sniper_mmdet.CutChip'),
            dict(type='RandomFlip', prob=0.5),
            dict(type='sniper_mmdet.PackImage'),
        ],
        dataset=dict(
            type='CocoDataset',
            ann_file=str(root / f'{kind}.json'),
            data_prefix=dict(img=str(root / kind)),
            metainfo=dict(classes=('object',)),
        ),
    )


def _write_images(root: Path, size, images: int, seed: int) -> None:
    """Write JPEGs with the grain of photographs, and their annotations."""
    rng = np.random.default_rng(seed)
    (root / 'jpeg').mkdir()
    coco = CocoWriter(['object'])
    for number in range(images):
        width, height = size
        coarse = rng.integers(0, 255, (height // 40, width // 40, 3), np.uint8)
        image = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
        grain = rng.integers(0, 24, image.shape, np.uint8)
        name = f'{number}.jpg'
        cv2.imwrite(str(root / 'jpeg' / name), cv2.add(image, grain))
        entry = coco.add_image(name, width, height)
        sides = rng.integers(16, 100, (_BOXES, 2))
        corners = rng.integers(0, np.subtract(size, sides))
        boxes = np.concatenate([corners, corners + sides], 1)
        for box in boxes.tolist():
            coco.add_object(entry, name, 0, box)
    coco.write(root / 'jpeg.json')


def _cut_before(root: Path, dataset: ChipDataset, rows: list) -> list[dict]:
    """Write the same chips as files, and return inputs of mmdet's pipeline."""
    (root / 'chips').mkdir()
    infos = []
    for number, row in enumerate(rows):
        sample = dataset[row]
        path = str(root / f'chips/{number}.jpg')
        pixels = sample['inputs'].permute(1, 2, 0).numpy()
        cv2.imwrite(path, pixels)
        boxes = sample['data_samples'].gt_instances.bboxes.tensor.tolist()
        objects = [dict(bbox=b, bbox_label=0, ignore_flag=0) for b in boxes]
        height, width = pixels.shape[:2]
        infos.append(
            dict(
                img_path=path,
                img_id=number,
                height=height,
                width=width,
                instances=objects,
            )
        )
    return infos
