"""The heads that define a detector's labels."""

from torch import nn

from sniper_mmdet.models.roi_heads.decoupled_roi_head import last_of
from sniper_mmdet.utils.errors import UserError


def last_box_head(model: nn.Module) -> nn.Module | None:
    """The box head of a detector; None if it has none.

    It is the last box head of a cascade, and the dense head of a one-stage
    detector.
    """
    detector = getattr(model, 'detector', model)
    head = getattr(getattr(detector, 'roi_head', detector), 'bbox_head', None)
    return last_of(head)


def decoupled_head(model: nn.Module, name: object = 'the model') -> nn.Module:
    """The head of a detector that scores objects apart from their classes.

    Raises:
        UserError: The detector, called ``name`` in the error, has no such
            head.
    """
    head = last_box_head(model)
    if not getattr(head, 'with_fine', False):
        found = type(model if head is None else head).__name__
        raise UserError(
            f'{name} has no fine branch: its box head must be a '
            f'sniper_mmdet.DecoupledBBoxHead. Received: {found}.'
        )
    return head
