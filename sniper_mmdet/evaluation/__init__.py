from .coco import (
    RECALL_SIZES,
    average_precision,
    evaluate_boxes,
    false_positives,
    proposal_recall,
)
from .proposal_recall_metric import ProposalRecall

__all__ = [
    'ProposalRecall',
    'RECALL_SIZES',
    'average_precision',
    'evaluate_boxes',
    'false_positives',
    'proposal_recall',
]
