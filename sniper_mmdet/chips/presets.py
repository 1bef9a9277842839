"""The settings of the released SNIPER and AutoFocus."""

from .pyramid import ImagePyramid
from .settings import ChipSettings, FocusSettings

#: Training on COCO: ``sniper_res101_e2e.yml`` and ``main_train.py``.
RELEASED_COCO = ChipSettings(
    ImagePyramid([(-1, 512), 1.667, 3.0], [(120, None), (32, 150), (0, 80)]),
    chip_size=512,
    stride=(56, 59),
)

_TEST_SCALES = [(480, 512), (800, 1280), (1400, 2000)]
#: Levels and ranges of SNIPER in tests; the ranges are wider than in training.
RELEASED_COCO_TEST = ImagePyramid(
    _TEST_SCALES, [(75, None), (32, 180), (0, 90)]
)
#: Ranges of AutoFocus in tests; the finest range ends lower.
RELEASED_AUTOFOCUS_TEST = ImagePyramid(
    _TEST_SCALES, [(75, None), (32, 180), (0, 75)]
)

#: Sizes of boxes for FocusPixels, chip pixels. Between the first and the
#: second a box is positive. Up to the first, and from the second to the third,
#: it does not count.
RELEASED_FOCUS_SIZES = (5, 64, 90)
#: Settings of FocusChips for the coarsest level, and for the others.
RELEASED_FOCUS = (
    FocusSettings(threshold=0.02, min_size=256),
    FocusSettings(threshold=0.2, min_size=320),
)

#: The NMS that merges the detections of all levels.
SOFT_NMS = dict(
    type='soft_nms', method='gaussian', sigma=0.55, min_score=0.001
)
#: The NMS of each level. It only removes near duplicates: the NMS that merges
#: the levels decides on weak boxes and on close ones.
LEVEL_NMS = dict(
    score_thr=0.001, nms=dict(type='nms', iou_threshold=0.7), max_per_img=300
)
