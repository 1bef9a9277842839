_base_ = '../baselines/dino-4scale_r18-slim_stock-ms_7e_bccd.py'

model = dict(
    _base_.pyramid,
    detector='DINO',
    bbox_head=dict(type='sniper_mmdet.RangeAwareDINOHead'),
)
train_dataloader = dict(_base_.chip_dataloader, _delete_=True)
val_dataloader = dict(_base_.image_dataloader, _delete_=True)
test_dataloader = val_dataloader
custom_hooks = _base_.chip_hooks

train_cfg = dict(max_epochs=9, val_interval=9)
