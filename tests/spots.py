"""A detector of bright spots, and images with them."""

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from sniper_mmdet.apis import detect


def config(content):
    return Config(content, cfg_text=' ', filename='spot.py')


class SpotDetector:
    """Finds the bright spot of each image; counts what it is asked."""

    dataset_meta = dict(classes=('spot', 'other'))

    def __init__(self, *load):
        init_default_scope('mmdet')
        pipeline = [
            *(load or [dict(type='LoadImageFromFile')]),
            dict(type='PackDetInputs', meta_keys=('img_id', 'img_path')),
        ]
        loader = dict(dataset=dict(pipeline=pipeline))
        self.cfg = config(dict(test_dataloader=loader))
        self.batches = []

    def test_step(self, data):
        assert not torch.is_grad_enabled()
        self.batches.append(len(data['inputs']))
        for pixels, sample in zip(*data.values(), strict=True):
            y, x = (pixels[0] > 128).nonzero().T
            box = torch.stack([x.min(), y.min(), x.max() + 1, y.max() + 1])
            sample.pred_instances = InstanceData(
                bboxes=box[None].repeat(2, 1).float(),
                scores=torch.tensor([0.9, 0.2]),
                labels=torch.tensor([0, 1]),
            )
        return data['data_samples']


def spot(left, top=20, size=(60, 100)):
    """A black image with a bright spot, 8 pixels wide, 16 high."""
    image = np.zeros((*size, 3), np.uint8)
    image[top : top + 16, left : left + 8] = 255
    return image


def box(result):
    return result.pred_instances.bboxes[0].tolist()


def quiet(*args, **kwargs):
    return detect(*args, progress=False, **kwargs)
