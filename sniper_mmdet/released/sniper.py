"""The tables of SNIPER and AutoFocus: archives, configs, tensors, outputs."""

import re
from collections.abc import Iterable

import numpy as np

from sniper_mmdet.released import reordering as order

#: By name: the link, the archive, and the folder into which it is unpacked. No
#: checksums are known.
ARCHIVES = dict(
    detectors=('https://bit.ly/3j6mAXJ', 'sniper_models.tar.gz', 'output'),
    pretrained=('https://bit.ly/2WgSJ6b', 'pretrained_model.tar.gz', 'data'),
    proposals=('https://bit.ly/3j8SOl7', 'proposals.tar.gz', 'data'),
)
#: Folder where configs look for pretrained networks.
PRETRAINED = 'data/pretrained_model'
_FOCUS = 'autofocus/faster-rcnn'
#: Configs of detectors by backbone, rows of the classifier and further heads;
#: those of classification networks by backbone. Released COCO detectors of
#: SNIPER were trained on train2014 and val2014.
CONFIGS = {
    ('R-101',): 'sniper/faster-rcnn_r101-dcn_c4c5_sniper_7e_coco',
    ('R-50',): 'sniper/faster-rcnn_r50-dcn_c4c5_sniper_7e_coco',
    ('MobileNetV2',): 'sniper/faster-rcnn_mobilenetv2_sniper_7e_coco',
    ('R-101', 81): 'sniper/faster-rcnn_r101-dcn_c4c5_sniper_7e_coco-trainval',
    ('R-101', 21): 'sniper/faster-rcnn_r101-dcn_c4c5_sniper_7e_voc0712',
    ('R-101', 81, 'mask'): 'sniper/mask-rcnn_r101-dcn_c4c5_sniper_7e_coco',
    ('R-50', 81): 'sniper/faster-rcnn_r50-dcn_c4c5_sniper_7e_coco',
    ('MobileNetV2', 81): 'sniper/faster-rcnn_mobilenetv2_sniper_7e_coco',
    ('R-101', 81, 'focus'): f'{_FOCUS}_r101-dcn_c4c5_autofocus_7e_coco',
    ('R-101', 21, 'focus'): f'{_FOCUS}_r101-dcn_c4c5_autofocus_7e_voc0712',
    ('R-101', 81, 'mask', 'focus'): (
        'autofocus/mask-rcnn_r101-dcn_c4c5_autofocus_7e_coco'
    ),
    ('R-50', 81, 'focus'): f'{_FOCUS}_r50-dcn_c4c5_autofocus_7e_coco',
    ('MobileNetV2', 81, 'focus'): f'{_FOCUS}_mobilenetv2_autofocus_7e_coco',
}
#: Kinds of tensors with other names in PyTorch.
KINDS = dict(gamma='weight', beta='bias')
KINDS |= dict(moving_mean='running_mean', moving_var='running_var')
#: Pattern of a name: layer, kind of layer within it, kind of tensor.
PARAMETER = re.compile(
    rf'(.+?)(?:-(conv2d|batchnorm))?_({"|".join(["weight", "bias", *KINDS])})'
)
#: Part of a name that only detectors have.
DETECTOR = 'rpn_'
#: Module in the detector by a regular expression of the tensor's name without
#: 'arg:', 'aux:' and its last word, the kind. The value is a template of
#: ``Match.expand``, or a function of the match. The first match counts.
MODULES = {
    r'(bn_data|conv0|bn0)': r'backbone.\1',
    r'stage(\d)_unit(\d+)_(bn[123]|conv[123]|sc|offset)': lambda m: (
        f'backbone.stage{m[1]}.{int(m[2]) - 1}.{m[3]}'
    ),
    r'first-3x3-conv': 'backbone.conv1',
    r'last-1x1-conv': 'backbone.conv2',
    r'seq-(\d)-block(\d)-(exp|depthwise|linear)': lambda m: (
        f'backbone.layer{int(m[1]) + 1}.{m[2]}.'
        f'{m[3].replace("exp", "expand")}_conv'
    ),
    r'rpn_conv_3x3': 'rpn_head.rpn_conv',
    r'rpn_cls_score': 'rpn_head.rpn_cls',
    r'rpn_bbox_pred': 'rpn_head.rpn_reg',
    r'conv_new_1': 'roi_head.reduction.conv',
    r'offset': 'roi_head.bbox_roi_extractor.offset',
    r'fc_new_1': 'roi_head.bbox_head.shared_fcs.0',
    r'fc_new_2': 'roi_head.bbox_head.shared_fcs.1',
    r'cls_score': 'roi_head.bbox_head.fc_cls',
    r'bbox_pred': 'roi_head.bbox_head.fc_reg',
    r'mask_offset': 'roi_head.mask_roi_extractor.offset',
    r'mask_conv_3x3_(\d)': lambda m: (
        f'roi_head.mask_head.convs.{int(m[1]) - 1}.conv'
    ),
    r'mask_deconv': 'roi_head.mask_head.upsample',
    r'mask_out': 'roi_head.mask_head.conv_logits',
    r'conv_new_2': 'focus_head.convs.0.conv',
    r'conv_new_3': 'focus_head.convs.1.conv',
    r'conv_new_out': 'focus_head.out',
}
#: Conversion of a tensor's values, by its name without 'arg:' and 'aux:'.
CHANGES = dict(
    # fix_gamma: MXNet takes gamma for 1, whatever the file says.
    bn_data_gamma=np.ones_like,
    rpn_cls_score_weight=order.object_first,
    rpn_cls_score_bias=order.object_first,
    cls_score_weight=order.background_last,
    cls_score_bias=order.background_last,
)
#: Regular expression of the layers of a classifier after the backbone.
CLASSIFIER = r'(bn1|fc\d*|pred.*|.*fullyconnected\d*)_[a-z_]+'
#: Regular expression of tensors that are not needed: there are none.
UNUSED = r'(?!)'
#: Modules by the name of the original's output, and its layout.
OUTPUTS = {
    'rpn_cls_score': (
        'detector.rpn_head.rpn_cls',
        order.backgrounds_first,
    ),
    'rpn_bbox_pred': ('detector.rpn_head.rpn_reg', None),
    'conv_new_1_relu': ('detector.roi_head.reduction', None),
    'offset': ('detector.roi_head.bbox_roi_extractor.offset', None),
    'deformable_roi_pool': ('detector.roi_head.bbox_roi_extractor', None),
    'cls_score': (
        'detector.roi_head.bbox_head.fc_cls',
        order.background_first,
    ),
    'bbox_pred': ('detector.roi_head.bbox_head.fc_reg', None),
    'mask_offset': ('detector.roi_head.mask_roi_extractor.offset', None),
    'mask_out': ('detector.roi_head.mask_head.conv_logits', None),
    'conv_new_out': ('focus_head.out', None),
}


def backbone_of(names: Iterable[str]) -> str | None:
    """Return the backbone of a network, by the names of its tensors."""
    names = list(names)
    if any(name.startswith('first-3x3-conv') for name in names):
        return 'MobileNetV2'
    units = {re.match(r'stage3_unit\d+_|', name)[0] for name in names}
    return {6: 'R-50', 23: 'R-101'}.get(len(units - {''}))


def config_of(shapes: dict[str, tuple]) -> str:
    """Return the path of a released network's config, ``configs/...``.

    Args:
        shapes (dict[str, tuple]): Shapes of its tensors, by the file's names.

    Raises:
        ValueError: No config has such a network.
    """
    shapes = {name.split(':', 1)[-1]: shape for name, shape in shapes.items()}
    network = (backbone_of(shapes) or 'an unknown backbone',)
    if 'rpn_cls_score_weight' in shapes:
        network += (shapes.get('cls_score_weight', (0,))[0],)
        for head, layer in (('mask', 'mask_out'), ('focus', 'conv_new_out')):
            if f'{layer}_weight' in shapes:
                network += (head,)
    if network not in CONFIGS:
        backbone, *rest = map(str, network)
        parts = rest and [f'{rest[0]} rows of cls_score', *rest[1:]]
        raise ValueError(f'no config has {", ".join([backbone, *parts])}')
    return f'configs/{CONFIGS[network]}.py'
