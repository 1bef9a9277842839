"""NMS of any number of boxes, by neighbourhood."""

import numpy as np
import torch
from mmcv.ops import batched_nms
from torch import Tensor

from sniper_mmdet.chips.neighbours import overlap_groups


def nms_by_neighbourhood(
    boxes: Tensor, scores: Tensor, labels: Tensor, nms: dict
) -> tuple[Tensor, Tensor]:
    """mmcv's ``batched_nms`` in a time linear in the number of boxes.

    Boxes that do not overlap have no influence on each other. NMS therefore
    runs on one group of overlapping boxes of a class after the other, and its
    time is quadratic in the size of a group. The result is that of all boxes
    together; IoUs near 0.5 may differ by rounding.

    Args:
        boxes (Tensor): (N, 4), x1, y1, x2, y2.
        scores, labels (Tensor): (N,).
        nms (dict): Config of NMS, as for ``batched_nms``.

    Returns:
        tuple: Boxes with new scores (K, 5), by falling score, and their
        indices (K,).
    """
    known = dict(nms)
    alone = known.pop('class_agnostic', False)
    order = torch.arange(len(boxes))
    if 'min_score' in known:  # the first box of all would drop it
        enough = (scores >= known['min_score']).cpu()
        enough[int(scores.argmax())] = True
        order = order[enough]
    kinds = torch.zeros_like(labels) if alone else labels
    reach = boxes[order].detach().cpu().numpy()
    # With an offset, boxes that touch overlap.
    reach[:, 2:] += known.get('offset', 0)
    groups = overlap_groups(reach, kinds[order].cpu().numpy())
    by_group = order[torch.from_numpy(np.argsort(groups, kind='stable'))]
    sizes = np.bincount(groups)
    dets, kept = [], []
    single = torch.from_numpy(np.repeat(sizes, sizes) == 1)
    own = by_group[single].to(boxes.device)
    dets.append(torch.cat([boxes[own], scores[own, None]], 1))
    kept.append(own)
    for group in by_group.split(sizes.tolist()):
        if len(group) > 1:
            group = group.to(boxes.device)
            # Relative to their own corner, floats are most exact.
            corner = boxes[group, :2].amin(0).repeat(2)
            found, keep = batched_nms(
                boxes[group] - corner,
                scores[group],
                torch.zeros_like(labels[group]),
                known,
                class_agnostic=True,
            )
            kept.append(group[keep])
            dets.append(torch.cat([boxes[kept[-1]], found[:, 4:]], 1))
    dets, kept = torch.cat(dets), torch.cat(kept)
    falling = dets[:, 4].argsort(descending=True, stable=True)
    return dets[falling], kept[falling]
