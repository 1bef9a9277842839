"""R-FCN-3000."""

from mmdet.structures import DetDataSample, SampleList
from mmengine.structures import InstanceData
from torch import Tensor

from sniper_mmdet.registry import MODELS

from .near_nms import nms_by_neighbourhood
from .released_faster_rcnn import ReleasedFasterRCNN


@MODELS.register_module()
class RFCN3k(ReleasedFasterRCNN):
    """The released detector of 3,130 classes (CVPR 2018).

    It differs from its parent in NMS. The second stage gives all pairs of a
    RoI and a class, and NMS, class by class, runs here because it uses
    original pixels. ``test_cfg.rcnn.nms`` is a config for mmcv's
    ``batched_nms``. Beyond ``max_per_img`` it keeps detections whose score
    equals that of the last one. In training a chip has its first 100 boxes of
    at least 10 px on both sides, ``train_cfg.max_gts`` and
    ``train_cfg.min_gt_side``.
    """

    def loss(
        self, batch_inputs: Tensor, batch_data_samples: SampleList
    ) -> dict:
        samples = [self._with_large_boxes(one) for one in batch_data_samples]
        return super().loss(batch_inputs, samples)

    def _with_large_boxes(self, sample: DetDataSample) -> DetDataSample:
        boxes = sample.gt_instances
        sides = boxes.bboxes[:, 2:] - boxes.bboxes[:, :2]
        large = (sides >= self.train_cfg.min_gt_side).all(1)
        # A clone holds the same instances.
        sample = sample.clone()
        sample.gt_instances = boxes[large][: self.train_cfg.max_gts]
        return sample

    def predict(
        self,
        batch_inputs: Tensor,
        batch_data_samples: SampleList,
        rescale: bool = True,
    ) -> SampleList:
        found = super().predict(batch_inputs, batch_data_samples, rescale)
        for sample in found:
            sample.pred_instances = self._best(sample.pred_instances)
        return found

    def _best(self, found: InstanceData) -> InstanceData:
        cfg = self.test_cfg.rcnn
        if not len(found):
            return found
        # mmcv's batched_nms shifts each class: with thousands of classes,
        # coordinates would run out of digits.
        dets, kept = nms_by_neighbourhood(
            found.bboxes, found.scores, found.labels, cfg.nms
        )
        found = found[kept]
        found.scores = dets[:, -1]
        if 0 <= cfg.max_per_img < len(found):
            least = found.scores[: cfg.max_per_img].amin()
            found = found[found.scores >= least]
        return found
