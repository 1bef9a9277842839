# The OpenImages challenge of 2019, 500 classes, from its csv files.
_base_ = './openimages_chips.py'

_data = dict(
    label_file='annotations/challenge-2019-classes-description-500.csv',
    hierarchy_file='annotations/challenge-2019-label500-hierarchy.json',
)
_files = 'annotations/challenge-2019-'

train_dataloader = dict(
    dataset=dict(
        dataset=dict(
            ann_file=_files + 'train-detection-bbox.csv',
            image_level_ann_file=_files
            + 'train-detection-human-imagelabels.csv',
            **_data,
        )
    )
)
val_dataloader = dict(
    dataset=dict(
        ann_file=_files + 'validation-detection-bbox.csv',
        image_level_ann_file=_files
        + 'validation-detection-human-imagelabels.csv',
        **_data,
    )
)
test_dataloader = val_dataloader
