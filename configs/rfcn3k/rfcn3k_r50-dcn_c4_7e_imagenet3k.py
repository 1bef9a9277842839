_base_ = './rfcn3k_r101-dcn_c4_7e_imagenet3k.py'

model = dict(
    backbone=dict(
        depth=50,
        init_cfg=dict(
            checkpoint='data/pretrained_model/resnet_mx_50_imgnet.pth'
        ),
    )
)
