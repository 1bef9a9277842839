"""The tables of SSH, a face detector in Caffe: archives, tensors, outputs."""

import re

import numpy as np

from sniper_mmdet.released import reordering as order

#: As in ``sniper``. The first archive holds data/SSH_models/SSH.caffemodel,
#: the other one data/imagenet_models/VGG16.caffemodel.
ARCHIVES = {
    'ssh': ('https://bit.ly/3j6ofwl', 'SSH_models.tar.gz', 'data'),
    'ssh-pretrained': (
        'https://bit.ly/3DakVbi',
        'imagenet_models.tar.gz',
        'data',
    ),
}
#: Pattern of a name: layer, nothing, number of the blob.
PARAMETER = re.compile(r'(.+?)()\.([01])')
KINDS = {'0': 'weight', '1': 'bias'}
#: Part of a name that only detectors have.
DETECTOR = 'ssh_'
_MODULES = {
    '3x3': 'conv3x3.conv',
    'dimred': 'context_module.conv5x5_1.conv',
    '5x5': 'context_module.conv5x5_2.conv',
    '7x7-1': 'context_module.conv7x7_2.conv',
    '7x7': 'context_module.conv7x7_3.conv',
}
MODULES = {
    r'conv(\d)_(\d)': lambda m: (
        f'backbone.stages.{int(m[1]) - 1}.{int(m[2]) - 1}.conv'
    ),
    r'conv4_128': 'neck.laterals.0.conv',
    r'conv5_128': 'neck.laterals.1.conv',
    r'conv5_128_up': 'neck.upsample',
    r'conv4_fuse_final': 'neck.fusion.conv',
    r'm(\d)@ssh_(3x3|dimred|5x5|7x7-1|7x7)': lambda m: (
        f'neck.ssh_module{int(m[1]) - 1}.{_MODULES[m[2]]}'
    ),
    r'm(\d)@ssh_cls_score': lambda m: f'bbox_head.cls_convs.{int(m[1]) - 1}',
    r'm(\d)@ssh_bbox_pred': lambda m: f'bbox_head.reg_convs.{int(m[1]) - 1}',
}
CHANGES = {
    f'm{module}@ssh_cls_score.{blob}': order.object_first
    for module in (1, 2, 3)
    for blob in (0, 1)
}
CLASSIFIER = r'fc\d+(_.*)?\.[01]'
#: Tensors that a file of the training network, which mines anchors, has twice.
UNUSED = r'm\d@ssh_.*_ohem\.[01]'


def _probabilities(scores: np.ndarray) -> np.ndarray:
    """Return the original's probabilities from mmdet's scores (2 * A, ...)."""
    pairs = order.backgrounds_first(scores).reshape(2, -1, *scores.shape[1:])
    exp = np.exp(pairs - pairs.max(0))
    return (exp / exp.sum(0)).reshape(scores.shape)


#: As in ``sniper``, by the blob's name without '_output'.
OUTPUTS = {
    'conv5_3': ('detector.backbone.stages.4', None),
    'conv5_128_crop': ('detector.neck.upsample', None),
    'conv4_fuse_final': ('detector.neck.fusion', None),
    'pool6': ('detector.neck.pool', None),
    **{
        f'm{module}@ssh_{output}': (
            f'detector.bbox_head.{part}_convs.{module - 1}',
            change,
        )
        for module in (1, 2, 3)
        for output, part, change in (
            ('cls_score', 'cls', order.backgrounds_first),
            ('cls_prob_reshape', 'cls', _probabilities),
            ('bbox_pred', 'reg', None),
        )
    },
}


def config_of(shapes: dict[str, tuple]) -> str:
    """Return the path of a released network's config, ``configs/...``.

    A VGG-16 for ImageNet belongs to the config that starts from it.

    Raises:
        ValueError: No config has such a network.
    """
    first, last = (shapes.get(f'conv{n}.0') for n in ('1_1', '5_3'))
    if first != (64, 3, 3, 3) or last != (512, 512, 3, 3):
        raise ValueError('no config has a network that is no VGG-16')
    return 'configs/ssh/ssh_vgg16_13e_wider-face.py'
