_base_ = './faster-rcnn_r101-dcn_c4c5_sniper_7e_coco.py'

model = dict(
    backbone=dict(
        depth=50,
        init_cfg=dict(
            checkpoint='data/pretrained_model/resnet_mx_50_imgnet.pth'
        ),
    )
)
