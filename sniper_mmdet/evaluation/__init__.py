"""Measures beyond MMDetection's: metrics of test runs, and their matching.

A metric gathers and names; the counting is in functions of arrays.
"""

from sniper_mmdet.moved import getattr_of

from .coco import (
    RECALL_SIZES,
    average_precision,
    evaluate_boxes,
    false_positives,
    proposal_recall,
)
from .openimages_metric import OpenImagesMetric
from .pixels_metric import PixelsMetric
from .proposal_recall_metric import ProposalRecallMetric
from .visdrone_metric import VisDroneMetric

__getattr__ = getattr_of(__name__)
