"""Metrics that MMDetection lacks, and the matching behind them.

A metric class collects results and names values. Functions of arrays count.
"""

from sniper_mmdet import registry  # imports mmdet first, quietly
from sniper_mmdet.moved import getattr_of

from .coco import (
    RECALL_SIZES,
    average_precision,
    evaluate_boxes,
    false_positives,
    proposal_recall,
)
from .face_sets import fddb_curves, rate_at, voc_curve
from .openimages_metric import OpenImagesMetric
from .pixels_metric import PixelsMetric
from .proposal_recall_metric import ProposalRecallMetric
from .visdrone_metric import VisDroneMetric
from .wider_face import average_precision_of, best_faces, wider_curves
from .wider_face_metric import WiderFaceMetric, read_wider_faces
from .wider_results import read_wider_results, write_wider_result

__getattr__ = getattr_of(__name__)
