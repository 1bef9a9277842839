"""The mask head of the released networks."""

from mmcv.cnn import build_conv_layer
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmengine.model import BaseModule
from torch import Tensor, nn

from sniper_mmdet.registry import MODELS


@MODELS.register_module()
class TwoWayMaskHead(FCNMaskHead):
    """An FCNMaskHead with two maps per class: no object, and object.

    A softmax over the two is the sigmoid of their difference. The head returns
    the difference; everything else is the parent's. The deconvolution has no
    bias.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        logits = self.conv_logits
        self.conv_logits = build_conv_layer(
            self.predictor_cfg, logits.in_channels, 2 * logits.out_channels, 1
        )
        self.upsample.bias = None

    def init_weights(self) -> None:
        # The parent's init_weights needs a bias.
        BaseModule.init_weights(self)
        for module in (self.upsample, self.conv_logits):
            nn.init.kaiming_normal_(module.weight, mode='fan_out')
        nn.init.zeros_(self.conv_logits.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (R, num_classes, h, w) of the object."""
        without, within = super().forward(x).chunk(2, dim=1)
        return within - without
