# Half precision for any config. A config inherits this file beside its own
# base and takes one of the three settings; the optimizer, its learning rate,
# clipping and paramwise_cfg stay those of the base:
#
#   _base_ = [
#       './faster-rcnn_r50_fpn_sniper_7e_coco.py',
#       '../_base_/schedules/half_precision.py',
#   ]
#   optim_wrapper = _base_.half_precision
#
# `optim_wrapper.float32` sets another list of modules that stay in fp32.
#
# Settings for a step on more chips than a GPU holds, in any precision, for a
# config or --cfg-options:
#
#   optim_wrapper.accumulative_counts=4
#       One step for four batches: 20 chips a GPU are batches of 5. Choose the
#       learning rate for all 20; --auto-scale-lr counts one batch, and so do
#       schedules in iterations (warm-up). BatchNorm that is trained sees 5.
#   model.backbone.with_cp=True
#       Activations of the backbone's blocks are computed again for the
#       gradients instead of being kept. Gradients stay as they are, but
#       BatchNorm that is trained meets each batch twice: its running
#       statistics move as with momentum 1 - (1 - m)**2. Halve
#       norm_cfg.momentum, or use norm_eval=True, which nothing happens to.
#       PreActResNet sees to that itself.

# As released: the first convolution, the outputs of the RPN, and the head of
# fully connected layers. In addition: operators without a kernel for bfloat16
# (RoI pooling, mmcv's deformable convolutions), and losses. An expression that
# matches nothing in a detector has no effect.
_float32 = [
    'backbone.(conv0|conv1|stem|patch_embed)',
    '(rpn_head|bbox_head).rpn_(cls|reg)',
    r'roi_head.(bbox_head|\w+_roi_extractor)',
    '(Modulated)?DeformConv2dPack',
    r'.*\.loss_\w+',
]
_type = 'sniper_mmdet.HalfPrecisionOptimWrapper'

half_precision = dict(
    type=_type, dtype='float16', loss_scale='dynamic', float32=_float32
)
# The scale of the released code, which divided its learning rate by the scale.
# Here the gradients are divided before they are used.
half_precision_static = dict(
    type=_type, dtype='float16', loss_scale=100.0, float32=_float32
)
# bfloat16 needs no scale.
bfloat16 = dict(type=_type, dtype='bfloat16', float32=_float32)
