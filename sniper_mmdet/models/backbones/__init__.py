from .expanded_mobilenet_v2 import ExpandedMobileNetV2
from .plain_vgg import PlainVGG
from .preact_resnet import PreActResNet
