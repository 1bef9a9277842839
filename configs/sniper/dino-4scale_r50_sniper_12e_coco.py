_base_ = [
    'mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py',
    '../_base_/any_detector.py',
]

model = dict(
    _base_.pyramid,
    detector='DINO',
    # Queries that resemble an ignored box are ignored, unless they match an
    # object.
    bbox_head=dict(type='sniper_mmdet.RangeAwareDINOHead'),
    test_cfg=dict(max_per_img=300),
)
train_dataloader = dict(_base_.chip_dataloader, batch_size=2, _delete_=True)
val_dataloader = dict(_base_.image_dataloader, _delete_=True)
test_dataloader = val_dataloader
custom_hooks = _base_.chip_hooks
