"""Pictures of detections: which hook draws them, their names, their errors."""

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmdet.datasets import CocoDataset, VOCDataset
from mmdet.engine.hooks import DetVisualizationHook
from mmdet.structures import DetDataSample
from mmdet.visualization import DetLocalVisualizer
from mmengine.config import Config
from mmengine.runner import Runner
from mmengine.structures import InstanceData

from sniper_mmdet.engine import DetectionVisualizationHook
from sniper_mmdet.engine.build import build_runner
from sniper_mmdet.engine.hooks import ChipVisualizationHook


def sample(path, label=0):
    found = DetDataSample(metainfo=dict(img_path=str(path)))
    found.pred_instances = InstanceData(
        bboxes=torch.tensor([[4.0, 4, 30, 20]]),
        scores=torch.tensor([0.9]),
        labels=torch.tensor([label]),
    )
    return found


class Plain:
    """A data set of the user's own, which says nothing of its files."""


def folder_of(path):
    return SimpleNamespace(data_prefix=dict(img=str(path)), metainfo={})


@pytest.fixture
def visualizer():
    return DetLocalVisualizer.get_instance('test_detection_hook')


@pytest.fixture
def test(tmp_path, visualizer):
    """Test on images; returns the pictures by name."""

    def run(dataset, *samples, meta=None, **settings):
        visualizer.dataset_meta = meta or dict(classes=['a'], palette=None)
        runner = SimpleNamespace(
            visualizer=visualizer,
            test_dataloader=SimpleNamespace(dataset=dataset),
            work_dir=str(tmp_path),
            timestamp='now',
        )
        hook = DetectionVisualizationHook(
            draw=True, test_out_dir='shown', **settings
        )
        hook.before_test(runner)
        hook.after_test_iter(runner, 0, None, samples)
        shown = tmp_path / 'now/shown'
        return {
            path.relative_to(shown).as_posix(): cv2.imread(str(path))
            for path in shown.rglob('*.*')
        }

    return run


@pytest.fixture
def images(tmp_path):
    """Writes images; returns their samples."""

    def write(*names, size=(40, 50)):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), np.full((*size, 3), 90, np.uint8))
        return [sample(tmp_path / name) for name in names]

    return write


@pytest.mark.parametrize(
    'make, names',
    [
        (folder_of, ['1/a.png', '2/a.png', 'a.png']),
        (
            lambda root: SimpleNamespace(dataset=folder_of(root)),
            ['1/a.png', '2/a.png', 'a.png'],
        ),
        (
            lambda root: SimpleNamespace(
                datasets=[folder_of(root / '1'), folder_of(root / '2')]
            ),
            ['a.png', 'a-2.png', 'a-3.png'],
        ),
        (lambda root: Plain(), ['a.png', 'a-2.png', 'a-3.png']),
        (lambda root: folder_of(''), ['a.png', 'a-2.png', 'a-3.png']),
    ],
    ids=['folder', 'repeated', 'joined', 'own', 'nowhere'],
)
def test_images_of_one_name_in_several_folders(
    test, images, tmp_path, make, names
):
    samples = images('in/1/a.png', 'in/2/a.png', 'in/a.png')
    assert set(test(make(tmp_path / 'in'), *samples)) == set(names)


def test_no_process_takes_a_name_of_another(
    test, images, tmp_path, monkeypatch
):
    where = 'sniper_mmdet.engine.hooks.detection_visualization_hook.'
    monkeypatch.setattr(f'{where}get_world_size', lambda: 2)
    folders = [folder_of(tmp_path / name) for name in ('in/1', 'in/2')]
    for sample in images('in/1/a.png', 'in/2/a.png'):
        shown = test(SimpleNamespace(datasets=folders), sample)
    assert set(shown) == {'1/a.png', '2/a.png'}


@pytest.mark.parametrize(
    'palette', [d.METAINFO['palette'] for d in (CocoDataset, VOCDataset)]
)
def test_more_classes_than_colors(test, images, palette):
    meta = dict(classes=[f'c{i}' for i in range(1203)], palette=palette)
    (found,) = images('a.jpg')
    found.pred_instances.labels[:] = 1202
    (picture,) = test(Plain(), found, meta=meta).values()
    assert (abs(picture.astype(int) - 90) > 20).any()


def test_errors_end_nothing_and_cost_no_other_picture(test, images, log):
    good, *bad = images('in/a.png', 'in/b.png', 'in/c.png', 'in/e.ppm')
    bad[0].pred_instances.labels[:] = 7  # of one class
    Path(bad[1].img_path).write_text('broken')
    nowhere = sample('no/such.png')
    unnamed = DetDataSample()
    found = test(Plain(), *bad, nowhere, unnamed, good)
    assert set(found) == {'a.png', 'e.ppm.jpg'}
    for name in ('b.png', 'c.png', 'no/such.png', 'test_img'):
        assert f'{name} could not be drawn: ' in log.text
    assert log.text.count('could not be drawn') == 4


def test_a_large_image_is_drawn_smaller(test, images):
    """Annotations are to the left of what is found, as in mmdet's."""
    samples = images('a.png', size=(200, 400))
    (picture,) = test(Plain(), *samples, max_pixels=20000).values()
    assert picture.shape == (100, 2 * 200, 3)


def test_validation_draws_each_interval(images, visualizer, monkeypatch):
    """Of more classes than colours, too."""
    steps = []
    (found,) = images('a.png')
    found.pred_instances.labels[:] = 99
    meta = dict(classes=[*map(str, range(100))], palette=[(0, 0, 9)])
    visualizer.dataset_meta = meta
    runner = SimpleNamespace(visualizer=visualizer, iter=3)
    hook = DetectionVisualizationHook(draw=True, interval=2)

    def record(name, image, step):
        steps.append((name, step, image.shape))

    monkeypatch.setattr(visualizer, 'add_image', record)
    hook.before_val(runner)
    for batch in range(4):
        hook.after_val_iter(runner, batch, None, [found])
    assert steps == [
        ('val_img', 4, (40, 2 * 50, 3)),
        ('val_img', 6, (40, 2 * 50, 3)),
    ]


def test_chips_that_cannot_be_drawn_end_no_training(visualizer, log):
    hook = ChipVisualizationHook()
    hook._due = True
    runner = SimpleNamespace(visualizer=visualizer, epoch=2)
    hook.before_train_iter(runner, 0, dict(inputs=None, data_samples=[]))
    assert 'the chips of epoch 3 could not be drawn: TypeError' in log.text


class OwnHook(DetVisualizationHook):
    pass


class Built:
    """What is asked of a runner when it is built."""

    model = torch.nn.Module()

    def __init__(self, cfg):
        self.default_hooks = cfg.get('default_hooks')

    def register_hook(self, hook):
        pass


@pytest.mark.parametrize(
    'kind, ours',
    [
        ('DetVisualizationHook', True),
        ('mmdet.DetVisualizationHook', True),
        (DetVisualizationHook, True),
        ('GroundingVisualizationHook', False),
        (OwnHook, False),
        (None, False),
    ],
)
def test_mmdets_hook_is_replaced_by_ours(monkeypatch, kind, ours):
    monkeypatch.setattr(Runner, 'from_cfg', Built)
    hook = dict(type=kind, draw=True)
    hooks = {} if kind is None else dict(visualization=hook)
    built = build_runner(Config(dict(default_hooks=hooks))).default_hooks
    if ours:
        hook['type'] = 'sniper_mmdet.DetectionVisualizationHook'
    assert built == hooks
    build_runner(Config(dict(default_hooks=None)))
    build_runner(Config())
