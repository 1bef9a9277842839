from .decoupled_bbox_head import DecoupledBBoxHead, DecoupledPooledBBoxHead
from .decoupled_roi_head import DecoupledCascadeRoIHead, DecoupledRoIHead
from .deform_roi_extractor import DeformRoIExtractor
from .range_aware_multi_instance_roi_head import (
    RangeAwareMultiInstanceRoIHead,
)
from .range_aware_sparse_roi_head import RangeAwareSparseRoIHead
from .released_roi_head import ReleasedRoIHead
from .rfcn3k_bbox_head import RFCN3kBBoxHead
from .rfcn3k_few_shot_bbox_head import RFCN3kFewShotBBoxHead
from .rfcn3k_roi_head import RFCN3kRoIHead
from .soft_sampling_roi_head import (
    SoftSampling,
    SoftSamplingCascadeRoIHead,
    SoftSamplingDecoupledCascadeRoIHead,
    SoftSamplingDecoupledRoIHead,
    SoftSamplingReleasedRoIHead,
    SoftSamplingRoIHead,
)
from .two_way_mask_head import TwoWayMaskHead
