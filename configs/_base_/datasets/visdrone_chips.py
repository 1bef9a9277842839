# VisDrone-DET, trained on chips and tested on whole images.
# tools/dataset_converters/visdrone_to_coco.py writes the COCO files. The
# metric takes 500 detections per image: set max_per_img in the detector's
# test_cfg to that number.
_base_ = './coco_chips.py'

data_root = 'data/visdrone/'
dataset_type = 'sniper_mmdet.VisDroneDataset'

train_dataloader = dict(
    dataset=dict(
        # These levels are not tuned. Images have 480-2000 px, and half of the
        # objects are below 30 px; the last level trains them at up to 150 px.
        # The detector must have the same levels.
        scales=[(-1, 768), 1.25, 2.5],
        valid_ranges=[(120, None), (40, 160), (0, 60)],
        dataset=dict(
            type=dataset_type,
            data_root=data_root,
            ann_file='annotations/train.json',
            data_prefix=dict(img='VisDrone2019-DET-train/images/'),
        ),
    )
)
val_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations/val.json',
        data_prefix=dict(img='VisDrone2019-DET-val/images/'),
    )
)
test_dataloader = val_dataloader

val_evaluator = dict(
    _delete_=True,
    type='sniper_mmdet.VisDroneMetric',
    ann_file=data_root + 'annotations/val.json',
)
test_evaluator = val_evaluator
