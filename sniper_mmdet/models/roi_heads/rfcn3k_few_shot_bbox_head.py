"""The head of R-FCN-3000 for classes learned from few images."""

from mmengine.model import BaseModule, normal_init
from torch import Tensor, nn

from sniper_mmdet.registry import MODELS

from .rfcn3k_bbox_head import DecoupledMaps, RFCN3kBBoxHead


@MODELS.register_module()
class RFCN3kFewShotBBoxHead(RFCN3kBBoxHead):
    """An RFCN3kBBoxHead whose classes are those of a linear classifier.

    It differs from its parent in the second branch: a layer ``fc`` sees each
    RoI's mean of the maxima of the head's input. The layer can learn from
    whole images without boxes (the original's few-shot demo, which keeps
    P(object) x P(class) > 0.5 after NMS of 0.45).
    """

    def __init__(self, *args, in_channels: int = 3072, **kwargs) -> None:
        super().__init__(*args, in_channels=in_channels, **kwargs)
        del self.fine_conv, self.conv_fine, self.fine_pool
        self.fc = nn.Linear(in_channels, self.num_classes)

    def init_weights(self) -> None:
        BaseModule.init_weights(self)
        normal_init(self.fc, std=0.01)

    def classes(self, maps: DecoupledMaps, rois: Tensor) -> Tensor:
        """Return logits (R, num_classes)."""
        return self.fc(self.roi_features(maps, rois))
