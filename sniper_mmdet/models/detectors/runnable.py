"""Detectors that a version of MMDetection builds and cannot run."""

import mmdet
from mmdet.models.layers import DinoTransformerDecoder
from torch import nn


def require_runnable(detector: nn.Module) -> None:
    """See that a DINO, or the like, has channels that its mmdet can run.

    The decoder of mmdet 3.3 encodes a box by 512 numbers, whatever the layer
    expects that reads them: twice the number of channels.

    Raises:
        ValueError: It does not; else the first image would end in an error.
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
