"""The heads that say what a detector's labels are."""

from torch import nn

from sniper_mmdet.models.roi_heads.decoupled_roi_head import last_of
from sniper_mmdet.utils.errors import UserError


def last_box_head(model: nn.Module) -> nn.Module | None:
    """The box head of a detector, of a cascade its last; None if it has none.

    That of one stage is its dense head.
    """
    detector = getattr(model, 'detector', model)
    head = getattr(getattr(detector, 'roi_head', detector), 'bbox_head', None)
    return last_of(head)


def decoupled_head(model: nn.Module, name: object = 'the model') -> nn.Module:
    """The head of a detector that tells objects and classes apart.

    Raises:
        UserError: It has none; ``name`` is what the error calls it.
    """
    head = last_box_head(model)
    if not getattr(head, 'with_fine', False):
        found = type(model if head is None else head).__name__
        raise UserError(
            f'{name} has no fine branch: its box head must be a '
            f'sniper_mmdet.DecoupledBBoxHead. Received: {found}.'
        )
    return head
