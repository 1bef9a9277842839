from .clamped_deform_conv import ClampedDeformConv2d
from .deform_roi_pool import deform_roi_pool
from .max_roi_pool import max_roi_pool
from .roi_pools import MaxRoIPool, PositionSensitiveRoIPool
