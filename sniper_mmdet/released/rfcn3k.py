"""The tables of R-FCN-3000: links, configs, tensors, outputs."""

from sniper_mmdet.released import sniper

#: Links for a browser, by name, and the original's place for the file. None of
#: the links could be tested.
LINKS = dict(
    detector=(
        'https://drive.google.com/file/d/10QOmpklDcY2eO-Lfc3IjY0b9XcTEiYY8',
        'https://pan.baidu.com/s/1JdxL6B1K3HD_8DjWcrAOwQ',
        'output/chips_resnet101_3k/res101_mx_3k/fall11_whole/'
        'CRCNN-0007.params',
    ),
    devkit=(
        'https://drive.google.com/open?id=1hEG-GmMrvp--hWRU41RMBLB3gL-IdXs9',
        'https://pan.baidu.com/s/1b4CygPofSTEGR03Ny6_3VQ',
        'data/ILSVRC2014_devkit.tar',
    ),
    few_shot_images=(
        'https://drive.google.com/open?id=1fYsCF6q-bctZMNrLPQkNHJEVxL5LpnYM',
        'https://pan.baidu.com/s/13HmwE8NdksogxTJb_gFwiw',
        'demo/image.tar',
    ),
)
#: Configs by backbone, see :func:`sniper.backbone_of`.
CONFIGS = {
    'R-101': 'rfcn3k/rfcn3k_r101-dcn_c4_7e_imagenet3k',
    'R-50': 'rfcn3k/rfcn3k_r50-dcn_c4_7e_imagenet3k',
}
_HEAD = 'roi_head.bbox_head'
#: These and all further tables are as in ``sniper``.
PARAMETER = sniper.PARAMETER
KINDS = sniper.KINDS
DETECTOR = sniper.DETECTOR
UNUSED = sniper.UNUSED
MODULES = {
    r'conv_new_1': f'{_HEAD}.conv',
    r'conv_new_2': f'{_HEAD}.fine_conv.conv',
    r'conv_new_3': f'{_HEAD}.conv_fine',
    r'rfcn_cls': f'{_HEAD}.conv_cls',
    r'rfcn_bbox': f'{_HEAD}.conv_reg',
    **{
        pattern: place
        for pattern, place in sniper.MODULES.items()
        if not pattern.startswith('conv_new')
    },
}
CHANGES = sniper.CHANGES
CLASSIFIER = sniper.CLASSIFIER
OUTPUTS = {
    name: sniper.OUTPUTS[name] for name in ('rpn_cls_score', 'rpn_bbox_pred')
} | {
    'conv_new_1': (f'detector.{_HEAD}.conv', None),
    'rfcn_cls': (f'detector.{_HEAD}.conv_cls', None),
    'rfcn_bbox': (f'detector.{_HEAD}.conv_reg', None),
    'psroipooled_cls_rois': (f'detector.{_HEAD}.cls_pool', None),
    'psroipooled_loc_rois': (f'detector.{_HEAD}.reg_pool', None),
    'conv_new_2_relu': (f'detector.{_HEAD}.fine_conv', None),
    'conv_new_3': (f'detector.{_HEAD}.conv_fine', None),
    'roipooled_subcls_rois': (f'detector.{_HEAD}.fine_pool', None),
}


def config_of(shapes: dict[str, tuple]) -> str:
    """Return the path of a released network's config, ``configs/...``.

    Args:
        shapes (dict[str, tuple]): Shapes of its tensors, by the file's names.

    Raises:
        ValueError: No config has such a network.
    """
    names = {name.split(':', 1)[-1] for name in shapes}
    backbone = sniper.backbone_of(names)
    if 'rfcn_cls_weight' not in names or backbone not in CONFIGS:
        raise ValueError(
            f'no config of R-FCN-3000 has {backbone or "an unknown backbone"}'
            ' and these layers'
        )
    return f'configs/{CONFIGS[backbone]}.py'


def run_second_stage(model, features, rpn_outputs, rois) -> dict:
    """Run the second stage on RoIs (R, 5), half-open.

    Returns:
        dict[str, Tensor]: Outputs that no module has, by the original's names:
        means and probabilities.
    """
    head = model.detector.roi_head
    maps = head.maps(features)
    logits, deltas = head.bbox_head.objects(maps, rois)
    fine = head.bbox_head.classes(maps, rois)
    (rpn_scores,), _ = rpn_outputs
    return {
        'rpn_cls_prob_reshape': rpn_scores.unflatten(1, (-1, 2))
        .softmax(2)
        .flip(2)
        .transpose(1, 2)
        .flatten(1, 2),
        'cls_score_reshape': logits,
        'bbox_pred_reshape': deltas,
        'cls_prob': logits.softmax(1),
        'subcls_score_reshape': fine,
        'subcls_prob': fine.softmax(1),
        'fewshot_image_feature': maps.features.mean((2, 3)),
        'fewshot_roi_feature': head.bbox_head.roi_features(maps, rois),
    }
