# The same training, tested on a pyramid with short sides of 500 to 1600 px;
# the largest level does not use the module of the largest faces.
_base_ = './ssh_vgg16_13e_wider-face.py'

model = dict(
    base=(800, 1200),
    scales=[500 / 800, 800 / 800, 1200 / 800, 1600 / 800],
    maps=[None, None, None, (0, 1)],
    # One NMS runs over all levels.
    test_cfg=dict(nms=None),
)
