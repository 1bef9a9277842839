"""Pictures of what AutoFocus looked at, by their pixels."""

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from sniper_mmdet.visualization import draw_focus

TITLE = 22


def result(**fields):
    sample = DetDataSample()
    sample.pred_instances = InstanceData(
        bboxes=torch.tensor([[20.0, 20, 60, 50], [100, 60, 140, 90]]),
        scores=torch.tensor([0.9, 0.8]),
        labels=torch.tensor([0, 1]),
        levels=torch.tensor([0, 1]),
    )
    probability = np.zeros((4, 6), np.float32)
    probability[2, 3] = 1  # cells of 32x32 original pixels
    probability[3, 3] = 0.49  # below the threshold
    focus = dict(
        sizes=[[96, 64], [192, 128]],
        chips=[np.array([[0, 0, 96, 64]]), np.array([[96, 64, 128, 96]])],
        pixels=[96 * 64, 32 * 32],
        pyramid_pixels=[96 * 64, 192 * 128],
        probabilities=[probability],
        thresholds=[0.5],
        labels=dict(stride=16, sizes=(5, 64, 90), precedence='positive'),
    )
    sample.set_field(dict(focus, **fields), 'focus')
    return sample


def panels(sample, **kwargs):
    image = np.full((128, 192, 3), 120, np.uint8)
    picture = draw_focus(image, sample, **kwargs)
    assert picture.shape[0] == 128 + TITLE
    return np.split(picture[TITLE:], 2, 1)


def test_a_panel_a_level():
    coarse, fine = panels(result(), height=128)
    assert coarse.shape == fine.shape == (128, 192, 3)
    # Of the coarse level everything was looked at; a cell is red.
    assert coarse[110, 20].tolist() == [120] * 3
    blue, green, red = coarse[80, 112].tolist()
    assert red > 200 and blue == green < 50
    assert coarse[60, 112].tolist() == [120] * 3
    assert coarse[112, 112].tolist() == [120] * 3
    # Of the fine one a chip, with its border.
    assert fine[20, 20].tolist() == [40] * 3
    assert fine[70, 104].tolist() == [120] * 3
    assert fine[66, 110].tolist() == [0, 200, 255]


def test_detections_are_drawn_at_their_level():
    green = [60, 220, 60]
    coarse, fine = panels(result(), height=128)
    assert coarse[35, 20].tolist() == green != fine[35, 20].tolist()
    assert fine[75, 140].tolist() == green != coarse[75, 140].tolist()
    coarse, fine = panels(result(), height=128, score_thr=0.85)
    assert coarse[35, 20].tolist() == green != fine[75, 140].tolist()


def test_a_level_that_was_not_looked_at():
    none = np.zeros((0, 4), int)
    coarse, fine = panels(
        result(chips=[np.array([[0, 0, 96, 64]]), none], pixels=[6144, 0]),
        height=128,
        score_thr=1,
    )
    assert (fine[:, :-1] == 40).all()


def test_other_detectors():
    sample = result()
    del sample.focus
    with pytest.raises(ValueError, match='no field focus'):
        draw_focus(np.zeros((10, 10, 3), np.uint8), sample)
