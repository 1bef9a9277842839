"""Detectors that a version of MMDetection builds but cannot run."""

import mmdet
from mmdet.models.layers import DinoTransformerDecoder
from torch import nn


def require_runnable(detector: nn.Module) -> None:
    """Check that mmdet can run the channels of a DINO-like detector.

    The decoder of mmdet 3.3 always encodes a box by 512 numbers. The layer
    that reads them expects twice the number of channels.

    Raises:
        ValueError: The number of channels does not fit; the first image would
            end in an error.
    """
    decoder = getattr(detector, 'decoder', None)
    if not isinstance(decoder, DinoTransformerDecoder):
        return
    channels = decoder.embed_dims
    reads = decoder.ref_point_head.layers[0].in_features
    if reads == 2 * channels != 512:
        raise ValueError(
            f'{type(detector).__name__} of mmdet {mmdet.__version__} has 256 '
            'channels (embed_dims); others need onedl-mmdetection 3.5.1. '
            f'Received: {channels}.'
        )
