"""The detector of the released networks."""

from mmdet.models.detectors import FasterRCNN
from mmdet.structures import DetDataSample, SampleList
from torch import Tensor

from sniper_mmdet.registry import MODELS


@MODELS.register_module()
class ReleasedFasterRCNN(FasterRCNN):
    """A Faster or Mask R-CNN with the box convention of the originals.

    Only the released networks need it: all other detectors train on chips as
    they are.

    The original takes the last pixel of a box as its end, and resizes that: at
    a scale ``s`` its boxes end ``s - 1`` pixels before the objects, at the
    right and at the bottom (after them, if s < 1). This detector trains with
    such boxes and corrects its detections in original pixels. Inside, all
    boxes are mmdet's half-open ones.
    """

    def loss(
        self, batch_inputs: Tensor, batch_data_samples: SampleList
    ) -> dict:
        samples = [_shortened(sample) for sample in batch_data_samples]
        return super().loss(batch_inputs, samples)

    def predict(
        self,
        batch_inputs: Tensor,
        batch_data_samples: SampleList,
        rescale: bool = True,
    ) -> SampleList:
        found = super().predict(batch_inputs, batch_data_samples, rescale)
        for sample in found if rescale else ():
            boxes = sample.pred_instances.bboxes
            scale = boxes.new_tensor(sample.scale_factor)
            sizes = boxes.new_tensor(sample.ori_shape[1::-1])
            boxes[:, 2:] = (boxes[:, 2:] + 1 - 1 / scale).minimum(sizes)
        return found


def _shortened(sample: DetDataSample) -> DetDataSample:
    shortened = sample.clone()
    for name in ('gt_instances', 'ignored_instances'):
        # A clone holds the same instances.
        boxes = sample.get(name).clone()
        excess = [0, 0, *(scale - 1 for scale in sample.scale_factor)]
        boxes.bboxes = boxes.bboxes - boxes.bboxes.new_tensor(excess)
        setattr(shortened, name, boxes)
    return shortened
