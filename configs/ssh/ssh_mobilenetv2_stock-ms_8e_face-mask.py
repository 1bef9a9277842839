# COCO-format data. Street photographs of 400 px, faces of about 23 px, most of
# them masked. MMDetection's own training: whole images, resized at random.
_base_ = [
    '../_base_/models/ssh_mobilenetv2.py',
    '../_base_/ssh_on_chips.py',
    '../_base_/datasets/chips.py',
    '../_base_/datasets/stock_multi-scale.py',
    '../_base_/schedules/adamw_pretrained.py',
    'mmdet::_base_/default_runtime.py',
]

data_root = 'data/faces/face_mask/'
_data = dict(
    type='sniper_mmdet.FaceMaskDataset',
    data_root=data_root,
    data_prefix=dict(img='images/'),
)

model = dict(
    scales=[(640, 1333)],
    exact=False,
    max_per_img=200,
    bbox_head=dict(gt_offset=0),
    # Most anchors of module 2 cross the border of so small an image.
    train_cfg=dict(allowed_border=-1),
    # The AP counts weak detections too.
    test_cfg=dict(score_thr=0.01),
)
# Updates of 4 images, as in the other stock trainings; 4 at once need 17 GB.
train_dataloader = dict(
    batch_size=2, dataset=dict(ann_file='train.json', **_data)
)
optim_wrapper = dict(accumulative_counts=2)
val_dataloader = dict(
    _base_.image_dataloader,
    _delete_=True,
    num_workers=1,
    dataset=dict(
        ann_file='val.json',
        test_mode=True,
        pipeline=_base_.image_pipeline,
        **_data,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'val.json')
test_evaluator = val_evaluator

train_cfg = dict(max_epochs=8, val_interval=8)
