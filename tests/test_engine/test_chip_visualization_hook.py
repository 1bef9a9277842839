"""Pictures of trained chips, and what backends get of a whole run."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import recorder
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.config import Config
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from test_chip_mining_hook import config, proposals_in_a_corner
from tiny import ROOT, sample_options

from sniper_mmdet.engine import ChipVisualizationHook
from sniper_mmdet.engine.hooks import chip_visualization_hook
from sniper_mmdet.engine.hooks.chip_visualization_hook import draw_batch

pytestmark = pytest.mark.usefixtures('fast_configs')
TITLE = 22
# BGR
GREEN, GREY = [60, 220, 60], [150, 150, 150]
ORANGE, MAGENTA = [0, 200, 255], [255, 80, 255]


def sample(trained=None, ignored=None, boxes=torch.clone, **meta):
    found = DetDataSample(metainfo=meta)
    for name, given in (
        ('gt_instances', trained),
        ('ignored_instances', ignored),
    ):
        instances = InstanceData()
        if given is not None:
            instances.bboxes = boxes(torch.Tensor(given).reshape(-1, 4))
        setattr(found, name, instances)
    return found


def batch(*samples, size=(300, 280)):
    image = torch.full((3, *size), 90, dtype=torch.uint8)
    image[0] = 200  # blue
    return dict(
        inputs=[image.clone() for _ in samples], data_samples=[*samples]
    )


def colors(picture, color):
    """Where a picture is of a colour: bool (H, W)."""
    return (picture == color).all(-1)


@pytest.mark.parametrize('kind', [torch.clone, HorizontalBoxes])
def test_boxes_of_a_chip(kind):
    data = batch(
        sample(
            [[20.0, 30, 60, 70]],
            [[100.0, 110, 150, 160], [200, 10, 260, 40]],
            kind,
            chip=dict(level=1, positive=True),
        )
    )
    picture = draw_batch(data)
    assert picture.shape == (300 + TITLE, 280, 3)
    chip = picture[TITLE:]
    assert chip[5, 5].tolist() == [200, 90, 90]
    ys, xs = np.nonzero(colors(chip, GREEN))
    # Half open: the last row and column are inside the box.
    assert (xs.min(), ys.min(), xs.max(), ys.max()) == (20, 30, 59, 69)
    assert len(xs) == 4 * 39
    assert colors(chip, GREY).sum() == 4 * 49 + 2 * (59 + 29)
    assert colors(chip, ORANGE).sum() > 4 * 270
    assert not colors(chip, MAGENTA).any()
    chip = draw_batch(data, draw_ignored=False)[TITLE:]
    assert not colors(chip, GREY).any()


@pytest.mark.parametrize('trained', [None, ()])
def test_a_negative_chip_without_boxes(trained):
    bare = sample(trained, chip=dict(level=0, positive=False))
    chip = draw_batch(batch(bare))[TITLE:]
    assert colors(chip, MAGENTA).sum() > 4 * 270
    assert not (colors(chip, GREEN) | colors(chip, GREY)).any()


def test_a_sample_that_says_little():
    """No field chip, and no instances at all."""
    chip = draw_batch(batch(DetDataSample()))[TITLE:]
    assert (chip[:, :-1] == [200, 90, 90]).all()


def test_chips_side_by_side():
    first = sample([[20.0, 30, 60, 70]])
    others = [sample() for _ in range(4)]
    picture = draw_batch(batch(first, *others), num=4)
    assert picture.shape == (2 * (300 + TITLE), 2 * 280, 3)
    assert colors(picture, GREEN)[:322, :280].sum() == 4 * 39
    assert colors(picture, GREEN).sum() == 4 * 39
    data = batch(first, *others)
    data['inputs'][1] = data['inputs'][1][:, :100].float() + 500
    picture = draw_batch(data, num=3)
    assert (picture[TITLE : TITLE + 100, 280:-1] == 255).all()
    assert not picture[TITLE + 100 : 322, 280:].any()
    assert not picture[322:, 280:].any()
    # All inputs of a size may come as one tensor.
    data = batch(first, *others)
    data['inputs'] = torch.stack(data['inputs'])
    assert draw_batch(data, 5).shape == (2 * 322, 3 * 280, 3)


def test_small_chips_are_enlarged_with_their_boxes():
    data = batch(sample([[10.0, 20, 30, 40]]), size=(64, 64))
    picture = draw_batch(data)
    assert picture.shape == (256 + TITLE, 256, 3)
    ys, xs = np.nonzero(colors(picture[TITLE:], GREEN))
    assert (xs.min(), ys.min(), xs.max(), ys.max()) == (40, 80, 119, 159)


@pytest.mark.parametrize(
    'settings, sentence',
    [
        (dict(num_chips=0), 'num_chips must be .* number. Received: 0.'),
        (dict(interval=-1), 'interval must be .* number. Received: -1.'),
        (dict(interval=1.5), 'Received: 1.5.'),
    ],
)
def test_wrong_settings(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        ChipVisualizationHook(**settings)


def pictures(work_dir):
    return {
        path.name: cv2.imread(str(path))
        for path in Path(work_dir).rglob('vis_image/*')
    }


def run(cfg, **hook):
    cfg.custom_hooks.append(
        dict(type='sniper_mmdet.ChipVisualizationHook', **hook)
    )
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


def test_chips_of_a_run_are_drawn_as_trained(tiny_scenes, tmp_path):
    """Positive and negative ones, of the first batch of every other epoch."""
    file = proposals_in_a_corner(tiny_scenes, tmp_path / 'proposals.npz')
    (tmp_path / 'run').mkdir()
    cfg = config(
        tiny_scenes,
        tmp_path / 'run',
        **{
            'train_dataloader.batch_size': 12,
            'train_dataloader.num_workers': 1,
        },
    )
    data = cfg.train_dataloader.dataset
    data.proposals, data.negatives = file, dict(min_proposals=5)
    # The hook packs what it needs itself.
    del data.pipeline[-1].meta_keys
    run(cfg, num_chips=9, interval=2)
    found = pictures(tmp_path)
    assert set(found) == {'chips_1.png', 'chips_3.png'}
    seen = recorder.read(tmp_path / 'run')
    for epoch in (0, 2):
        rows = next(rows for at, _, rows in seen if at == epoch)
        chips = [json.loads(row)['chip'] for row in rows][:9]
        picture = found[f'chips_{epoch + 1}.png']
        h, w = np.array(picture.shape[:2]) // 3
        borders = [
            [
                bool(colors(picture[y : y + h, x : x + w], color).any())
                for color in (ORANGE, MAGENTA)
            ]
            for y in range(0, 3 * h, h)
            for x in range(0, 3 * w, w)
        ]
        assert borders == [
            [chip['positive'], not chip['positive']] for chip in chips
        ]
        assert len({chip['positive'] for chip in chips}) == 2
        # Every positive chip trains a box.
        assert colors(picture, GREEN).sum() > 20


def test_other_processes_draw_nothing(tiny_scenes, tmp_path, monkeypatch):
    monkeypatch.setattr(
        chip_visualization_hook, 'is_main_process', lambda: False
    )
    monkeypatch.delattr(chip_visualization_hook, 'draw_batch')
    run(config(tiny_scenes, tmp_path, **{'train_cfg.max_epochs': 1}))
    assert not pictures(tmp_path)


def test_a_loop_without_epochs(tiny_scenes, tmp_path):
    cfg = config(tiny_scenes, tmp_path, **{'train_dataloader.num_workers': 1})
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=3)
    del cfg.train_dataloader.dataset.pipeline[-1].meta_keys
    run(cfg)
    ((name, picture),) = pictures(tmp_path).items()
    assert name == 'chips_1.png'
    assert colors(picture, GREEN).any()


def test_what_backends_get_of_a_run(tiny_scenes, tmp_path):
    """Losses, metrics, chips and pixels as scalars, chips as pictures."""
    pytest.importorskip(
        'tensorboard',
        reason='tensorboard is not installed: requirements/optional.txt',
    )
    from tensorboard.backend.event_processing.event_accumulator import (
        EventAccumulator,
    )

    cfg = Config.fromfile(
        ROOT / 'configs/autofocus/'
        'faster-rcnn_r18-slim_fpn_autofocus_3e_sample.py'
    )
    scales, ranges = [0.5, 0.75, 1.0], [(32, None), (16, 80), (0, 64)]
    cfg.merge_from_dict(
        sample_options(
            **{
                'work_dir': str(tmp_path),
                'experiment_name': str(tmp_path),
                'visualizer.name': str(tmp_path),
                'model.focus_head.in_channels': 32,
                'model.scales': scales,
                'model.valid_ranges': ranges,
                'train_dataloader.dataset.scales': scales,
                'train_dataloader.dataset.valid_ranges': ranges,
                'train_cfg.max_epochs': 2,
                'train_cfg.val_interval': 2,
                # Another way to add a hook, which the command line knows.
                'default_hooks.chips.type': (
                    'sniper_mmdet.ChipVisualizationHook'
                ),
                'default_hooks.chips.num_chips': 1,
            }
        )
    )
    for loader in ('train', 'val'):
        data = cfg[f'{loader}_dataloader'].dataset
        data.get('dataset', data).data_root = f'{tiny_scenes}/'
    cfg.val_evaluator[0].ann_file = f'{tiny_scenes}/val.json'
    cfg.train_dataloader.sampler.epoch_size = 4
    cfg.visualizer.vis_backends = [
        dict(type='LocalVisBackend'),
        dict(type='TensorboardVisBackend'),
    ]
    Runner.from_cfg(cfg).train()

    (folder,) = tmp_path.glob('2*/vis_data')
    events = EventAccumulator(str(folder))
    events.Reload()
    steps = {
        tag: [event.step for event in events.Scalars(tag)]
        for tag in events.Tags()['scalars']
    }
    for tag in ('loss', 'loss_rpn_cls', 'loss_cls', 'loss_focus', 'lr'):
        assert steps[tag] == [1, 2, 3, 4]
    for tag in ('coco/bbox_mAP', 'pixels/share', 'pixels/share_level2'):
        assert steps[tag] == [2]
    for tag in ('level0_positive', 'level2_positive', 'image', 'mpixels'):
        assert steps[f'chips/{tag}'] == [1, 2]
    images = events.Images('chips')
    assert [image.step for image in images] == [1, 2]
    local = pictures(tmp_path)
    assert set(local) == {'chips_1.png', 'chips_2.png'}
    (shown,) = (
        cv2.imdecode(np.frombuffer(image.encoded_image_string, np.uint8), 1)
        for image in images[:1]
    )
    assert np.array_equal(shown, local['chips_1.png'])
    # The file has the same as TensorBoard.
    lines = (folder / 'scalars.json').read_text().splitlines()
    kept = {}
    for line in map(json.loads, lines):
        for key in line.keys() - {'step'}:
            kept.setdefault(key, []).append(line['step'])
    assert kept == steps
