"""Proposals from the parts of images where a focus head looks."""

from collections.abc import Callable, Sequence

import numpy as np
from mmengine.structures import InstanceData

from sniper_mmdet.chips import FocusedPass, FocusSettings

from .box_proposals import best_proposals, merge_proposals
from .focused_image import FocusedImage


def propose_focused(
    images: Sequence[FocusedImage],
    look: Callable[[Sequence[FocusedImage], int], None],
    steps: Sequence[FocusSettings],
    focused: FocusedPass,
    seeds: Sequence,
    num: int,
    iou_threshold: float,
) -> list[InstanceData]:
    """Propose boxes in parts of images, for :meth:`AutoFocus.propose`.

    Args:
        images (Sequence[FocusedImage]): Images, at which nothing has looked
            yet.
        look (Callable): Adds to images the proposals of their chips at a
            level, and fills the level's maps.
        steps (Sequence[FocusSettings]): Settings of testing.
        focused (FocusedPass): Settings of where to look.
        seeds (Sequence): Seeds of the random places, one per image.
        num (int): Number of best proposals per image and level.
        iou_threshold (float): Threshold of the NMS over all levels.
    """
    rngs = list(map(np.random.default_rng, seeds))
    levels = [[] for _ in images]
    for level, step in enumerate((*steps, None)):
        look(images, level)
        for image, found, rng in zip(images, levels, rngs, strict=True):
            if image.found:
                found.append(
                    best_proposals(InstanceData.cat(image.found), num)
                )
                image.found = []
            if step is not None:
                seen = image.maps[level], image.sizes, image.chips
                chips = focused.chips(*seen, step, image.stride, rng)
                image.chips.append(chips)
    results = []
    for image, found in zip(images, levels, strict=True):
        results.append(merge_proposals(found, iou_threshold))
        seen = image.looked_at()
        results[-1].set_metainfo(
            {key: sum(seen[key]) for key in ('pixels', 'pyramid_pixels')}
        )
    return results
