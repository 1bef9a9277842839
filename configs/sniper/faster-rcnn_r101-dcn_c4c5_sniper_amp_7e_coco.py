# As released: fp16 with a scale of 100. The layers before the first
# normalisation, and those after the concatenation of both maps, are in fp32.
_base_ = [
    './faster-rcnn_r101-dcn_c4c5_sniper_7e_coco.py',
    '../_base_/schedules/half_precision.py',
]

optim_wrapper = dict(
    _base_.half_precision_static,
    # An RPN alone (rpn_only) has the name bbox_head.
    float32=['backbone.(bn_data|conv0)', '(rpn|bbox)_head', '(roi_head)?'],
)
