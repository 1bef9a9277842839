_base_ = [
    'mmdet::cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py',
    '../_base_/any_detector.py',
]

# Assigners of the RPN and of the three stages.
training = _base_.model.train_cfg
stages = [training.rpn, *training.rcnn]
for stage, iou in zip(stages, [0.3, 0.5, 0.6, 0.7], strict=True):
    stage.assigner.type = 'sniper_mmdet.RangeAwareAssigner'
    stage.assigner.ignore_iou_thr = iou

model = dict(
    _base_.pyramid,
    detector='CascadeRCNN',
    train_cfg=training,
    test_cfg=dict(rpn=dict(max_per_img=300), rcnn=_base_.level_nms),
)
train_dataloader = dict(_base_.chip_dataloader, _delete_=True)
val_dataloader = dict(_base_.image_dataloader, _delete_=True)
test_dataloader = val_dataloader
custom_hooks = _base_.chip_hooks
