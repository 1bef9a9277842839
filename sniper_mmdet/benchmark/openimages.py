"""Measures time and memory until OpenImages is ready for training.

:func:`benchmark_openimages` watches the memory of the process
``python -m sniper_mmdet.benchmark.openimages FOLDER``.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from .meters import memory

_CLASSES = 601
#: Boxes and verified labels per image of V4.
_BOXES, _LABELS = 8.4, 5
_BLOCK = 100000


def benchmark_openimages(
    num_rows: int, seed: int = 0, folder: str | None = None
) -> dict[str, float]:
    """Seconds and memory from csv files to the first chips, per process.

    Files of random boxes are written into ``folder`` first. Images have no
    pixels; their sizes are in a cache, as after their headers were read once.

    Returns:
        dict: Seconds, and the peak of private memory of the process, without
        the pages of mapped files. ``first_`` is a run without a cache,
        ``again_`` a run with the cache. ``_read_s`` is the time of the dataset
        alone; ``_ready_s`` includes all boxes of the ChipDataset and the chips
        of the first epoch; ``epoch_s`` is the pause between two epochs;
        ``class_aware_s`` is what the class-aware sampler adds to it.
    """
    result = dict(rows=num_rows)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        path = Path(temporary)
        result['images'] = write_synthetic(path, num_rows, seed)
        size = sum(one.stat().st_size for one in path.glob('*.csv'))
        result['csv_mb'] = size / 2**20
        for run in ('first', 'again'):
            command = [sys.executable, '-m', __name__, temporary]
            child = subprocess.Popen(
                command, stdout=subprocess.PIPE, text=True
            )
            peak = 0
            while child.poll() is None:
                peak = max(peak, memory('RssAnon', child.pid) or 0)
                time.sleep(0.02)
            if child.returncode:
                raise ChildProcessError('reading failed: see the error above.')
            told = json.loads(child.stdout.read().splitlines()[-1])
            for name, value in told.items():
                result[f'{run}_{name}'] = value
            result[f'{run}_private_mb'] = peak / 2**20
        kept = sum(one.stat().st_size for one in path.glob('*.npz'))
        result['kept_mb'] = kept / 2**20
    return result


def seconds_of_reading(folder: str) -> dict[str, float]:
    """Seconds of each step, see :func:`benchmark_openimages`."""
    from mmengine.registry import init_default_scope

    from sniper_mmdet.datasets import ClassAwareChipSampler, image_index
    from sniper_mmdet.registry import DATASETS

    init_default_scope('mmdet')
    # The images have no pixels: these are the sizes of their headers.
    image_index.image_size = lambda path: (1024, 768)
    start = time.perf_counter()
    config = dict(
        type='sniper_mmdet.OpenImagesDataset',
        data_root=folder,
        ann_file='boxes.csv',
        data_prefix=dict(img='images'),
        label_file='classes.csv',
        image_level_ann_file='labels.csv',
        group_of='ignore',
    )
    inner = DATASETS.build(config)
    seconds = dict(read_s=time.perf_counter() - start)
    dataset = DATASETS.build(
        dict(
            type='sniper_mmdet.ChipDataset',
            dataset=inner,
            scales=[(-1, 512), 1.667, 3.0],
            valid_ranges=[(120, None), (32, 150), (0, 80)],
        )
    )
    seconds['chips'] = len(dataset)
    seconds['ready_s'] = time.perf_counter() - start
    begin = time.perf_counter()
    sampler = ClassAwareChipSampler(dataset, seed=0)
    sampler.set_epoch(1)
    assert len(sampler.table)
    seconds['epoch_s'] = time.perf_counter() - begin
    begin = time.perf_counter()
    next(iter(sampler))
    seconds['class_aware_s'] = time.perf_counter() - begin
    return seconds


def write_synthetic(folder: Path, num_rows: int, seed: int) -> int:
    """Write csv files of random boxes and labels; return the image count."""
    from sniper_mmdet.datasets.formats.openimages import BOX_FIELDS

    rng = np.random.default_rng(seed)
    num_images = max(round(num_rows / _BOXES), 1)
    mids = [f'/m/0{k:04d}' for k in range(_CLASSES)]
    names = [f'{mid},class {k}\n' for k, mid in enumerate(mids)]
    (folder / 'classes.csv').write_text(''.join(names))
    (folder / 'images').mkdir()
    ids = [f'{k:016x}' for k in range(num_images)]
    for name in ids:
        (folder / f'images/{name}.jpg').touch()
    # Some images have one box, some dozens. Rows are sorted, as published.
    image = np.sort(rng.integers(0, num_images, num_rows))
    with (folder / 'boxes.csv').open('w') as file:
        file.write(','.join(BOX_FIELDS) + '\n')
        for start in range(0, num_rows, _BLOCK):
            own = image[start : start + _BLOCK]
            size = np.exp(rng.uniform(-3.5, 0, (len(own), 2)))
            first = rng.uniform(0, 1, (len(own), 2)) * (1 - size)
            last = first + size
            # A few classes have most of the boxes.
            label = (_CLASSES * rng.random(len(own)) ** 4).astype(int)
            group = (rng.random(len(own)) < 0.06).astype(int)
            columns = first[:, 0], last[:, 0], first[:, 1], last[:, 1]
            rows = zip(
                own.tolist(),
                label.tolist(),
                *(column.tolist() for column in columns),
                group.tolist(),
                strict=True,
            )
            file.writelines(
                f'{ids[i]},xclick,{mids[k]},1,{a:.6f},{b:.6f},{c:.6f},'
                f'{d:.6f},0,0,{g},0,0\n'
                for i, k, a, b, c, d, g in rows
            )
    with (folder / 'labels.csv').open('w') as file:
        file.write('ImageID,Source,LabelName,Confidence\n')
        for start in range(0, num_images, _BLOCK):
            own = ids[start : start + _BLOCK]
            label = rng.integers(0, _CLASSES, (len(own), _LABELS)).tolist()
            file.writelines(
                f'{name},verification,{mids[k]},{n % 2}\n'
                for name, of in zip(own, label, strict=True)
                for n, k in enumerate(of)
            )
    return num_images


if __name__ == '__main__':
    print(json.dumps(seconds_of_reading(sys.argv[1])))
