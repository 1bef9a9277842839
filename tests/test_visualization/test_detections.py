"""What mmdet's visualizer is given: colours for all, a bounded image."""

import numpy as np
import pytest
import torch
from mmdet.datasets import CocoDataset, VOCDataset
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import PolygonMasks
from mmdet.visualization import DetLocalVisualizer, get_palette
from mmengine.structures import InstanceData, PixelData

from sniper_mmdet.visualization import at_most, with_palette

COCO, VOC = (d.METAINFO['palette'] for d in (CocoDataset, VOCDataset))


def detections(labels, masks=None):
    count = len(labels)
    found = InstanceData(
        bboxes=torch.tensor([[10.0, 20, 40, 60]]).repeat(count, 1),
        scores=torch.linspace(0.9, 0.5, count),
        labels=torch.tensor(labels),
    )
    if masks is not None:
        found.masks = masks
    sample = DetDataSample()
    sample.pred_instances = found
    return sample


@pytest.mark.parametrize('count', [3, 100, 365, 1203])
@pytest.mark.parametrize(
    'palette',
    [
        *(COCO, VOC, tuple(VOC), np.array(VOC), [], None),
        *('coco', 'voc', 'citys', 'random', 'green', (1, 2, 3)),
    ],
    ids=lambda palette: type(palette).__name__,
)
def test_each_class_has_a_color(count, palette):
    names = [f'c{i}' for i in range(count)]
    meta = with_palette(dict(classes=names, palette=palette))
    colors = get_palette(meta['palette'], count)
    assert len(colors) >= count
    assert all(len(color) == 3 for color in colors if color != 'green')
    if len(np.shape(palette)) == 2:  # its own stay
        own = min(count, len(palette))
        assert np.array_equal(colors[:own], list(palette)[:own])


def test_a_label_beyond_the_palette_is_drawn():
    visualizer = DetLocalVisualizer('test_detections')
    meta = dict(classes=[f'c{i}' for i in range(100)], palette=COCO)
    image = np.zeros((80, 80, 3), np.uint8)
    for given, fails in ((meta, True), (with_palette(meta), False)):
        visualizer.dataset_meta = given
        try:
            visualizer.add_datasample('', image, detections([99]))
        except AssertionError:
            assert fails
        else:
            assert not fails and visualizer.get_image().any()


def test_a_small_image_stays_as_it_is():
    image, sample = np.zeros((80, 100, 3), np.uint8), detections([0, 1, 2])
    sample.set_metainfo(dict(img_path='a.jpg'))
    drawn = at_most(image, sample, 0.6, 8000)
    assert drawn[0] is image and drawn[1].img_path == 'a.jpg'
    # The likeliest is drawn over the others.
    assert drawn[1].pred_instances.labels.tolist() == [1, 0]
    assert sample.pred_instances.labels.tolist() == [0, 1, 2]


@pytest.mark.parametrize('boxes', [torch.clone, HorizontalBoxes])
def test_a_large_image_is_drawn_smaller(boxes):
    image = np.zeros((200, 400, 3), np.uint8)
    masks = torch.zeros(3, 200, 400, dtype=torch.bool)
    masks[:, 20:60, 10:40] = True
    sample = detections([0, 1, 2], masks)
    truth = sample.gt_instances = InstanceData()
    truth.bboxes = boxes(torch.tensor([[100.0, 100, 300, 200]]))
    truth.labels = torch.tensor([1])
    corners = np.array([100.0, 100, 300, 100, 300, 200])
    truth.masks = PolygonMasks([[corners]], 200, 400)
    image, drawn = at_most(image, sample, 0.6, 20000)
    assert image.shape == (100, 200, 3)
    found = drawn.pred_instances
    assert found.labels.tolist() == [1, 0]  # of 0.5, 0.7 and 0.9
    assert found.bboxes.tolist() == [[5, 10, 20, 30]] * 2
    array = found.masks.to_ndarray()
    assert array.shape == (2, 100, 200) and array[0].sum() == 15 * 20
    assert array[0, 10:30, 5:20].all()
    truth = drawn.gt_instances
    assert truth.bboxes.tolist() == [[50, 50, 150, 100]]
    assert truth.masks.masks[0][0].max() == 150
    # What was given is as it was, for whoever evaluates it.
    assert sample.pred_instances.masks.shape == (3, 200, 400)
    assert len(sample.pred_instances) == 3


def test_pixels_of_segmentation_are_left_alone():
    image, sample = np.zeros((80, 100, 3), np.uint8), detections([0])
    sample.pred_sem_seg = PixelData(sem_seg=torch.zeros(1, 80, 100))
    assert at_most(image, sample, 0.3, 100)[0] is image


def test_nothing_found_and_extreme_shapes():
    masks = torch.zeros(0, 1, 9000, dtype=torch.bool)
    sample = detections([], masks)
    image, drawn = at_most(np.zeros((1, 9000, 3), np.uint8), sample, 0.3, 100)
    assert image.shape[0] == 1 and len(drawn.pred_instances) == 0
