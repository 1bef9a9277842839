# The slim detector of the baselines with Soft Sampling.
_base_ = [
    '../baselines/faster-rcnn_r18-slim_fpn_stock-ms_4e_bccd.py',
    '../_base_/soft_sampling.py',
]

model = _base_.soft_sampling
