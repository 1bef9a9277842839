# A baseline of SNIPER: a small DINO in plain MMDetection, trained on whole
# images, resized at random, and tested at the middle scale. It needs
# onedl-mmdetection 3.5.1: the DINO of mmdet 3.3 has 256 channels, whatever a
# config says.
_base_ = [
    'mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py',
    '../_base_/slim_bccd.py',
    '../_base_/schedules/slim.py',
]

_channels = 64
_attn = dict(embed_dims=_channels)
_ffn = dict(embed_dims=_channels, feedforward_channels=256)

model = dict(
    num_queries=100,
    backbone=_base_.slim_backbone,
    neck=dict(in_channels=[64, 128, 256], out_channels=_channels),
    encoder=dict(
        num_layers=2, layer_cfg=dict(self_attn_cfg=_attn, ffn_cfg=_ffn)
    ),
    decoder=dict(
        num_layers=3,
        layer_cfg=dict(
            self_attn_cfg=_attn, cross_attn_cfg=_attn, ffn_cfg=_ffn
        ),
    ),
    positional_encoding=dict(num_feats=_channels // 2),
    bbox_head=dict(num_classes=3, embed_dims=_channels),
    test_cfg=dict(max_per_img=100),
)
train_dataloader = dict(_base_.stock_dataloader, _delete_=True)
val_dataloader = dict(_base_.stock_test_dataloader, _delete_=True)
test_dataloader = val_dataloader
val_evaluator = dict(_base_.bccd_evaluator, _delete_=True)
test_evaluator = val_evaluator

train_cfg = dict(max_epochs=7, val_interval=7)
optim_wrapper = dict(_base_.slim_optimizer, _delete_=True)
param_scheduler = _base_.slim_schedule
