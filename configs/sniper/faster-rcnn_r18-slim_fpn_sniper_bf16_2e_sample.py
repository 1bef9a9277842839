# The quick start in bfloat16, which also works on a CPU.
_base_ = [
    './faster-rcnn_r18-slim_fpn_sniper_2e_sample.py',
    '../_base_/schedules/half_precision.py',
]

optim_wrapper = _base_.bfloat16
