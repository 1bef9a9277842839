# MMDetection's Faster R-CNN for OpenImages with Soft Sampling; boxes of groups
# are ignored.
_base_ = [
    'mmdet::openimages/faster-rcnn_r50_fpn_32xb2-1x_openimages.py',
    '../_base_/soft_sampling.py',
]

model = _base_.soft_sampling
train_dataloader = dict(dataset=dict(pipeline=_base_.openimages_pipeline))
