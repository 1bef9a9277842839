from .expanded_mobilenet_v2 import ExpandedMobileNetV2
from .preact_resnet import PreActResNet
