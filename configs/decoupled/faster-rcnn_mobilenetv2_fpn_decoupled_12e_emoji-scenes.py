# Objectness, and 48 classes of emoji; tools/teach.py adds other classes.
_base_ = [
    './faster-rcnn_mobilenetv2_fpn_plain_12e_emoji-scenes.py',
    '../_base_/models/decoupled.py',
]

model = _base_.decoupled

# Other configs test these classes, or learn them from images without boxes.
novel_classes = (
    'clown-face',
    'cowboy-hat-face',
    'pig-face',
    'fox',
    'strawberry',
    'pineapple',
    'sailboat',
    'helicopter',
    'pool-8-ball',
    'yo-yo',
    'handbag',
    'glasses',
)
