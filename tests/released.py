"""The released networks' weights by name, and cases of their outputs."""

import json
import zlib
from pathlib import Path

import numpy as np

#: Configs by the name of the network's case.
CONFIGS = dict(
    resnet101_autofocus='autofocus/faster-rcnn_r101-dcn_c4c5_autofocus_7e_coco',
    resnet101_mask_autofocus=(
        'autofocus/mask-rcnn_r101-dcn_c4c5_autofocus_7e_coco'
    ),
    resnet50='sniper/faster-rcnn_r50-dcn_c4c5_sniper_7e_coco',
    mobilenetv2='sniper/faster-rcnn_mobilenetv2_sniper_7e_coco',
)
#: What MXNet 1.9.1 gave for `data`, `rois` and the weights below: some
#: channels of each output, `NETWORK.OUTPUT`, at all of its cells; and the
#: shapes of the weights, `NETWORK.shapes`, json.
OUTPUTS = Path(__file__).parent / 'test_released/released_outputs.npz'
#: Which channels: every so many.
STEPS = {
    'cat4': 192,
    'last-1x1-conv-relu6': 80,
    'conv_new_1_relu': 16,
    'deformable_roi_pool': 29,
    'rpn_cls_score': 3,
    'rpn_bbox_pred': 5,
    'mask_offset': 7,
    'mask_out': 53,
}
_DRAWN = dict(
    moving_mean=('normal', 0, 0.2),
    moving_var=('uniform', 0.5, 1.5),
    gamma=('uniform', 0.5, 1.2),
    beta=('normal', 0, 0.1),
    bias=('normal', 0, 0.05),
)


def weights(name: str, shape: tuple, salt: int = 0) -> np.ndarray:
    """A tensor of those networks, a function of its name, 'arg:...'."""
    name = name.split(':')[1]
    seed = (zlib.crc32(name.encode()) + salt) & 0xFFFFFFFF
    rng = np.random.RandomState(seed)
    if name == 'bn_data_moving_var':
        return rng.uniform(3000, 5000, shape).astype(np.float32)
    if name == 'bn_data_gamma':
        return np.ones(shape, np.float32)
    for kind, (law, *parameters) in _DRAWN.items():
        if name.endswith(kind):
            values = getattr(rng, law)(*parameters, shape)
            return values.astype(np.float32)
    spread = np.sqrt(2 / float(np.prod(shape[1:])))
    values = rng.normal(0, 1, shape) * spread
    return (values * _gain(name)).astype(np.float32)


def _gain(name: str) -> float:
    if name in ('offset_weight', 'mask_offset_weight'):
        return 0.3
    if 'offset' in name:
        return 0.6
    if name.endswith('_conv3_weight'):
        return 0.3
    if name.endswith('_sc_weight'):
        return 0.7
    if name.startswith(('conv_new_1', 'rpn_conv')):
        return 0.5
    # A mean over 49 maps leaves a seventh of their spread.
    return {'rfcn_cls_weight': 8, 'rfcn_bbox_weight': 4}.get(name, 1)


def shapes_of(path: Path) -> dict[str, tuple]:
    """Shapes by name, 'arg:...' and 'aux:...', of a network's json file."""
    shapes = json.loads(path.read_text())
    return {
        f'{kind}:{name}': shape
        for kind, key in (('arg', 'args'), ('aux', 'aux'))
        for name, shape in shapes[key].items()
    }
