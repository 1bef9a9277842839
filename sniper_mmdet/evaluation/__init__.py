from .coco import (
    RECALL_SIZES,
    average_precision,
    evaluate_boxes,
    false_positives,
    proposal_recall,
)

__all__ = [
    'RECALL_SIZES',
    'average_precision',
    'evaluate_boxes',
    'false_positives',
    'proposal_recall',
]
