"""A full disk at each place that writes: one sentence, the old file kept."""

from pathlib import Path

import cv2
import mmcv
import mmengine
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from mmdet.structures import DetDataSample
from mmengine.runner import save_checkpoint
from mmengine.structures import InstanceData

import sniper_mmdet.engine  # noqa: F401  mmengine's files become whole
from sniper_mmdet.apis.coco_results import CocoResults
from sniper_mmdet.datasets import proposals, tiling
from sniper_mmdet.datasets.formats.coco import CocoWriter
from sniper_mmdet.datasets.synthetic import sample_data
from sniper_mmdet.utils.files import FileError, write_figure

#: Bytes that a file can have on the disk that is full, and beyond.
ROOM = 5000


def picture(seed):
    return np.random.default_rng(seed).integers(0, 255, (60, 90, 3), np.uint8)


def write_coco(seed):
    coco = CocoWriter(['a'])
    for i in range(ROOM // 50):
        coco.add_image(f'{seed}{i}.jpg', 100 + seed, 100)
    coco.write(Path('new/a.json'))


def write_results(seed):
    found = InstanceData(
        bboxes=torch.rand(ROOM // 50, 4) + seed,
        scores=torch.rand(ROOM // 50),
        labels=torch.zeros(ROOM // 50, dtype=torch.long),
    )
    sample = DetDataSample(pred_instances=found)
    sample.set_metainfo(dict(img_path='a.jpg', ori_shape=(50, 50)))
    with CocoResults('new/a.json', ['a']) as results:
        results.add(sample)


def write_figure_(seed):
    figure = Figure()
    figure.add_subplot().imshow(picture(seed))
    write_figure('a.png', figure)


def rows(seed):
    boxes = np.full((ROOM // 10, 4), seed, np.float32)
    return ['1 a.jpg'], [(9, 9)], [boxes], [boxes[:, 0]], dict(seed=seed)


def join_proposals(seed):
    for number in 10, 11, 12, 20, 21, 22:
        boxes = np.full((150, 4), number, np.float32)
        found = [f'{number} a.jpg'], [(9, 9)], [boxes], [boxes[:, 0]]
        proposals.write_proposals(f'parts/{number}.npz', *found, {})
    parts = [f'parts/{seed}{i}.npz' for i in range(3)]
    proposals.join_proposals('a.npz', parts, dict(seed=seed))


def tile(seed):
    coco = CocoWriter(['a'])
    Path('images').mkdir(exist_ok=True)
    for i in range(4):
        cv2.imwrite(f'images/{i}.png', picture(i)[:20, :30])
        coco.add_image(f'{i}.png', 30, 20)
    coco.write(Path('ann.json'))
    tiling.tile_images('ann.json', 'images', 'out', (2, 2), seed)


def draw_scenes(seed):
    size = dict(train=1, val=1, size=(200, 260), objects=(3, 6), max_size=80)
    settings = sample_data.SampleSettings(seed=seed, **size)
    sample_data.write_sample_data(Path('out'), settings, overwrite=True)


WRITERS = {
    'annotations': write_coco,
    'results': write_results,
    'figure': write_figure_,
    'proposals': lambda seed: proposals.write_proposals('a.npz', *rows(seed)),
    'joined proposals': join_proposals,
    'scenes': tile,
    'sample data': draw_scenes,
    "mmengine's checkpoint": lambda seed: save_checkpoint(
        dict(a=torch.full((ROOM,), seed)), 'new/a.pth'
    ),
    "mmengine's json": lambda seed: mmengine.dump([seed] * ROOM, 'a.json'),
    "mmengine's pickle": lambda seed: mmengine.dump(picture(seed), 'a.pkl'),
    "mmcv's picture": lambda seed: mmcv.imwrite(picture(seed), 'a/b.png'),
}


def files():
    found = (path for path in Path().rglob('*') if path.is_file())
    return {str(path): path.read_bytes() for path in found}


@pytest.mark.parametrize('name', WRITERS)
def test_what_was_there_is_kept(name, tmp_path, monkeypatch, full_disk):
    monkeypatch.chdir(tmp_path)
    write = WRITERS[name]
    write(1)
    before = files()
    with full_disk(ROOM), pytest.raises(FileError) as error:
        write(2)
    assert ' cannot be written: File too large' in str(error.value)
    assert '.part-' not in str(error.value)
    assert '\n' not in str(error.value)
    assert files() == before
    write(2)
    assert files().keys() == before.keys() and files() != before
