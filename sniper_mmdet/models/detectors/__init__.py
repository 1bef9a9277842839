from .autofocus import AutoFocus
from .pyramid_detector import PyramidDetector
from .released_faster_rcnn import ReleasedFasterRCNN
from .rfcn3k import RFCN3k
