from .hard_anchor_sampler import HardAnchorSampler
from .ignored_boxes import (
    IgnoresByIoU,
    annotated,
    are_inside,
    by_kind,
    hand_on,
    hand_on_of,
    resembles,
)
from .last_pixel_coder import LastPixelBoxCoder
from .range_aware_assigner import (
    RangeAwareAssigner,
    RangeAwareATSSAssigner,
    RangeAwareDynamicSoftLabelAssigner,
    RangeAwareSimOTAAssigner,
    RangeAwareTaskAlignedAssigner,
    RangeAwareUniformAssigner,
)
from .range_aware_multi_instance_assigner import (
    RangeAwareMultiInstanceAssigner,
)
from .range_aware_place_assigners import (
    RangeAwareApproxMaxIoUAssigner,
    RangeAwareCenterRegionAssigner,
    RangeAwareRegionAssigner,
)
from .released_box_coder import ReleasedBoxCoder
from .released_overlaps import ReleasedOverlaps, ReleasedSoftAssigner
from .rounded_anchor_generator import RoundedAnchorGenerator
from .soft_weights import (
    BY_OVERLAP,
    OverlapWeights,
    ScoreWeights,
    background_weights,
    build_weights,
    known_objects,
    soft_weights,
)
from .verified_classes import (
    SILENT,
    silence_unverified,
    verified_classes,
    verified_of_batch,
)
