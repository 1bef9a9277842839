"""Classes that people verified in an image, as present or absent.

A class that nobody looked for may be present: a head with a sigmoid per class
learns nothing about it.
"""

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor, nn

#: A logit whose sigmoid is 0, also in half precision. As background it costs
#: nothing, and a score that it replaces has no gradient.
SILENT = -1e4


def verified_classes(
    labels: Tensor,
    metainfo: dict,
    num_classes: int,
    related: Tensor | None = None,
) -> Tensor:
    """Whether each class is known to be present or absent in an image.

    The ancestors of a present class are present, the descendants of an absent
    class are absent, as OpenImages expands its labels. A class that no image
    of the dataset shows is absent everywhere: untrained, it would be found
    everywhere.

    Args:
        labels (Tensor (N,)): Labels of the image's boxes; below 0: no class.
        metainfo (dict): Metainfo of the sample. ``verified_labels`` says by
            the index of a class whether it is present; without it all classes
            are verified. ``unseen_classes``, if there, are the classes that no
            image shows.
        num_classes (int): Number of classes, C.
        related (Tensor (C, C), optional): Bool, whether the class of the
            column is that of the row or an ancestor of it. Defaults to None:
            no hierarchy.

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
    unseen = labels.new_zeros(num_classes, dtype=torch.bool)
    unseen[list(metainfo.get('unseen_classes', ()))] = True
    if related is not None:
        # Boxes of other classes train their ancestors.
        unseen &= ~related[~unseen].any(0)
    return present | absent | unseen


def silence_unverified(
    scores: Tensor, verified: Tensor, images: Tensor | None = None
) -> Tensor:
    """Make logits of classes that are not verified cost nothing.

    Args:
        scores (Tensor): Logits of maps (B, A * C, H, W), where the class
            changes fastest, or of RoIs (N, C).
        verified (Tensor (B, C)): bool.
        images (Tensor (N,), optional): The image of each RoI.

    Returns:
        Tensor: Logits, of the same shape.
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
    """Return :func:`verified_classes` of each image, (B, C).

    Args:
        labels (Sequence[Tensor]): Labels of each image's boxes.
        metas (Sequence[dict]): Metainfo of the samples.
        num_classes (int): Number of classes, C.
        loss (nn.Module): Loss of classes; one that trains ancestors has the
            hierarchy.
    """
    if not any('verified_labels' in meta for meta in metas):
        # Python shows a warning once.
        warnings.warn(
            'verified_only learns all classes, since no image of the batch '
            'has verified_labels: they need image_level_ann_file in the '
            'dataset, and PackKnownLabels as the last transform.',
            stacklevel=2,
        )
    related = getattr(loss, 'related', None)
    return torch.stack(
        [
            verified_classes(own, meta, num_classes, related)
            for own, meta in zip(labels, metas, strict=True)
        ]
    )
