# The slim detector of the baselines with Soft Sampling.
# tools/analysis_tools/drop_experiment.py trains it on any data.
_base_ = [
    '../baselines/faster-rcnn_r18-slim_fpn_stock-ms_9e_deeppcb.py',
    '../_base_/soft_sampling.py',
]

model = _base_.soft_sampling
