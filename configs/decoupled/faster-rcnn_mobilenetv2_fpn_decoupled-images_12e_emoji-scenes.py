# 60 classes, of which 12 have only images without boxes, with image-level
# labels; training takes one such image for two with boxes.
_base_ = './faster-rcnn_mobilenetv2_fpn_decoupled_12e_emoji-scenes.py'

_type = 'sniper_mmdet.EmojiScenesDataset'
_boxes = dict(_base_.train_dataloader.dataset, type=_type)

model = dict(roi_head=dict(bbox_head=dict(num_classes=60)))

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            _boxes,
            dict(
                type='sniper_mmdet.ImageLabelDataset',
                data_root=_base_.data_root,
                data_prefix=dict(img='image_level/'),
                folders=_base_.novel_classes,
                like=_type,
                pipeline=_base_.train_pipeline,
            ),
        ],
    )
)
_test = dict(type=_type, ann_file='test_all.json')
val_dataloader = dict(dataset=_test)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=_base_.data_root + 'test_all.json')
test_evaluator = val_evaluator
