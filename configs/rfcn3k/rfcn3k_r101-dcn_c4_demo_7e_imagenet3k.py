# Settings of the original's demo: hard NMS of each class, scores above 0.4.
_base_ = './rfcn3k_r101-dcn_c4_7e_imagenet3k.py'

model = dict(
    data_preprocessor=dict(pad_size_divisor=16),
    test_cfg=dict(
        rcnn=dict(
            score_thr=0.4,
            nms=dict(_delete_=True, type='nms', iou_threshold=0.5),
            max_per_img=-1,
        )
    ),
)
