_base_ = './ssh_mobilenetv2_stock-ms_8e_face-mask.py'

# As proposed by tools/analysis_tools/suggest_settings.py for these faces,
# chips of 384 px.
_scales = [1.2, 3.0]

model = dict(
    _base_.ssh_on_chips,
    scales=_scales,
    valid_ranges=[(66, None), (None, 96)],
    data_preprocessor=dict(
        batch_augments=[dict(type='BatchFixedSizePad', size=(384, 384))]
    ),
)
train_dataloader = dict(
    _base_.chip_dataloader,
    _delete_=True,
    batch_size=8,
    num_workers=1,
    dataset=dict(
        _base_.chip_dataloader.dataset,
        scales=_scales,
        valid_ranges=[(53, None), (None, 80)],
        chip_size=384,
        stride=(42, 44),
        dataset=dict(
            type='sniper_mmdet.FaceMaskDataset',
            data_root=_base_.data_root,
            ann_file='train.json',
            data_prefix=dict(img='images/'),
            filter_cfg=dict(filter_empty_gt=False),
        ),
    ),
)
custom_hooks = _base_.chip_hooks
