"""Which classes of an image somebody looked for, and found or not.

What nobody looked for is not known to be absent: a head with a sigmoid for
each class learns nothing of it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

#: A logit whose sigmoid is 0 in half precision, too: as background it costs
#: nothing, and a score that it replaces has no gradient.
SILENT = -1e4


def verified_classes(
    labels: Tensor,
    metainfo: dict,
    num_classes: int,
    related: Tensor | None = None,
) -> Tensor:
    """Which classes of an image are known to be present or absent.

    A class that is present has ancestors that are, one that is absent has
    descendants that are, as OpenImages expands its labels.

    Args:
        labels (Tensor (N,)): Of the image's boxes; below 0: of none.
        metainfo (dict): Of the sample; ``verified_labels`` of it tells by
            index of a class whether it is present. All classes are verified
            where there is none.
        num_classes (int): C.
        related (Tensor (C, C), optional): Bool, whether the class of a
            column is the row's or its ancestor. Defaults to None: no
            hierarchy.

    Returns:
        Tensor (C,): bool.
    """
    found = metainfo.get('verified_labels')
    if found is None:
        return labels.new_ones(num_classes, dtype=torch.bool)
    present = labels.new_zeros(num_classes, dtype=torch.bool)
    absent = present.clone()
    present[labels[labels >= 0]] = True
    for index, is_present in found.items():
        (present if is_present else absent)[int(index)] = True
    if related is not None:
        present = related[present].any(0)
        absent = related[:, absent].any(1)
    return present | absent


def silence_unverified(
    scores: Tensor, verified: Tensor, images: Tensor | None = None
) -> Tensor:
    """Replace logits of classes that are not verified by silent ones.

    Args:
        scores (Tensor): Of maps (B, A * C, H, W), the class changing fastest;
            or of RoIs (N, C).
        verified (Tensor (B, C)): bool.
        images (Tensor (N,), optional): The image of each RoI.

    Returns:
        Tensor: Of the same shape.
    """
    if images is not None:
        return scores.masked_fill(~verified[images.long()], SILENT)
    mask = ~verified.repeat(1, scores.shape[1] // verified.shape[1])
    return scores.masked_fill(mask[:, :, None, None], SILENT)


def verified_of_batch(
    labels: Sequence[Tensor],
    metas: Sequence[dict],
    num_classes: int,
    loss: nn.Module,
) -> Tensor:
    """:func:`verified_classes` of each image, (B, C).

    Args:
        labels (Sequence[Tensor]): Of each image's boxes.
        metas (Sequence[dict]): Metainfo of the samples.
        num_classes (int): C.
        loss (nn.Module): Of classes; one that trains ancestors has the
            hierarchy.
    """
    related = getattr(loss, 'related', None)
    return torch.stack(
        [
            verified_classes(own, meta, num_classes, related)
            for own, meta in zip(labels, metas, strict=True)
        ]
    )
