# As released: fp16 with a scale of 100, and in fp32 what comes before the
# first normalisation and after both maps are put together.
_base_ = [
    './faster-rcnn_r101-dcn_c4c5_sniper_7e_coco.py',
    '../_base_/schedules/half_precision.py',
]

optim_wrapper = dict(
    _base_.half_precision_static,
    # An RPN alone (rpn_only) is a bbox_head.
    float32=['backbone.(bn_data|conv0)', '(rpn|bbox)_head', '(roi_head)?'],
)
