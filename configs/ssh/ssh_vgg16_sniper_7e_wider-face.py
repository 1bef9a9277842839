# This config was not trained here. Images are 1024 px wide; 17% of their faces
# are below 10 px high, 64% have 10 to 50 px. The finest level enlarges 5 px to
# 16.
_base_ = ['./ssh_vgg16_13e_wider-face.py', '../_base_/ssh_on_chips.py']

_scales = [(-1, 512), 1.667, 3.0]

model = dict(
    _base_.ssh_on_chips,
    scales=_scales,
    valid_ranges=[(80, None), (28, 150), (0, 50)],
)
train_dataloader = dict(
    _base_.chip_dataloader,
    _delete_=True,
    batch_size=4,
    dataset=dict(
        _base_.chip_dataloader.dataset,
        scales=_scales,
        valid_ranges=[(100, None), (32, 120), (0, 40)],
        dataset=dict(
            type='sniper_mmdet.WiderFaceDataset',
            data_root=_base_.data_root,
            ann_file='wider_face_split/wider_face_train_bbx_gt.txt',
            data_prefix=dict(img='WIDER_train/images/'),
            filter_cfg=dict(filter_empty_gt=False, min_size=32),
        ),
    ),
)
custom_hooks = _base_.chip_hooks

# 4 GPUs x 4 chips.
train_cfg = dict(max_epochs=7, val_interval=7)
optim_wrapper = dict(accumulative_counts=1)
param_scheduler = [dict(_base_.param_scheduler[0], begin=5.33)]
auto_scale_lr = dict(base_batch_size=16)
