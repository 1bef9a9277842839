# As released for OpenImages V4: 601 classes, two levels, no negative chips.
# There are two differences: the weights of Soft Sampling reach the gradients,
# and the network starts from ImageNet, because the detector from which the
# original starts is not published.
_base_ = [
    '../_base_/models/faster-rcnn_r101-dcn_c4c5_pyramid.py',
    '../_base_/datasets/openimages_chips.py',
    '../_base_/schedules/sniper_7e_released.py',
    'mmdet::_base_/default_runtime.py',
]

model = dict(
    # Settings of the authors' test.
    scales=[(512, 512), (768, 1024)],
    valid_ranges=[(240, None), (0, 300)],
    batch_size=[4, 2],
    backbone=dict(frozen_weights=False),
    rpn_head=dict(
        in_channels=1024,
        in_indices=(0,),
        anchor_generator=dict(scales=[3, 6, 12, 24]),
    ),
    roi_head=dict(
        type='sniper_mmdet.SoftSamplingReleasedRoIHead',
        soft_sampling=dict(
            iou_calculator=dict(type='sniper_mmdet.ReleasedOverlaps')
        ),
        # The sum over 300 RoIs per chip, divided by their number.
        bbox_head=dict(num_classes=601, loss_bbox=dict(loss_weight=1.0)),
    ),
    train_cfg=dict(
        rcnn=dict(
            assigner=dict(
                _delete_=True, type='sniper_mmdet.ReleasedSoftAssigner'
            )
        )
    ),
)

train_dataloader = dict(
    dataset=dict(
        scales=[(-1, 512), 1.0],
        # As released, the finer level does not train objects of 450 px or
        # more, which hardly fit a chip.
        valid_ranges=[(240, None), (0, 300)],
    )
)

train_cfg = dict(max_epochs=14)
optim_wrapper = dict(optimizer=dict(lr=0.075))
param_scheduler = [
    dict(type='MultiStepLR', by_epoch=True, milestones=[5, 12], gamma=0.2)
]
