"""A DINO that the installed mmdet cannot run is refused where it is built."""

import pytest
import torch
from mmdet.models.layers import DinoTransformerDecoder
from torch import nn

from sniper_mmdet.models.detectors.runnable import require_runnable


class Detector(nn.Module):
    def __init__(self, channels):
        super().__init__()
        attention = dict(embed_dims=channels, num_heads=8)
        self.decoder = DinoTransformerDecoder(
            num_layers=1,
            return_intermediate=False,
            layer_cfg=dict(
                self_attn_cfg=attention,
                cross_attn_cfg=dict(attention, num_levels=1),
                ffn_cfg=dict(embed_dims=channels, feedforward_channels=8),
            ),
            post_norm_cfg=None,
        )

    def run(self):
        channels = self.decoder.embed_dims
        return self.decoder(
            query=torch.zeros(1, 3, channels),
            value=torch.zeros(1, 16, channels),
            key_padding_mask=None,
            self_attn_mask=None,
            reference_points=torch.full((1, 3, 4), 0.5),
            spatial_shapes=torch.tensor([[4, 4]]),
            level_start_index=torch.tensor([0]),
            valid_ratios=torch.ones(1, 1, 2),
            reg_branches=None,
        )


@pytest.mark.parametrize('channels', [64, 256, 512])
def test_refused_is_what_does_not_run(channels):
    detector = Detector(channels)
    try:
        detector.run()
    except RuntimeError:
        with pytest.raises(ValueError, match=f'Received: {channels}'):
            require_runnable(detector)
        assert channels != 256
    else:
        require_runnable(detector)


@pytest.mark.parametrize(
    ('reads', 'channels', 'runs'),
    [
        (128, 64, False),  # mmdet 3.3
        (256, 64, True),  # onedl-mmdetection 3.5.1
        (512, 256, True),
        (1024, 256, True),
        (1024, 512, False),
    ],
)
def test_both_lines(reads, channels, runs):
    detector = Detector(channels)
    detector.decoder.ref_point_head.layers[0] = nn.Linear(reads, channels)
    if runs:
        require_runnable(detector)
    else:
        with pytest.raises(ValueError, match='others need onedl-mmdetection'):
            require_runnable(detector)


def test_other_detectors_pass():
    require_runnable(nn.Linear(1, 1))
