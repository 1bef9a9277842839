# The sample scenes of tools/dataset_converters/make_sample_data.py:
# 1000-1600 px, objects of 8-400 px, most of them small.
_base_ = './coco_chips.py'

data_root = 'data/sample/'
_data = dict(
    type='sniper_mmdet.SampleDataset',
    data_root=data_root,
    data_prefix=dict(img='images/'),
)

train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    dataset=dict(
        scales=[(-1, 512), 0.75, 1.5],
        valid_ranges=[(80, None), (28, 110), (0, 36)],
        chip_size=192,
        stride=(20, 24),
        dataset=dict(ann_file='train.json', **_data),
    ),
)
val_dataloader = dict(
    num_workers=1,
    dataset=dict(ann_file='val.json', **_data),
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'val.json')
test_evaluator = val_evaluator
