"""Detections of a trained detector on its training images."""

import copy
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from mmdet.structures.bbox import bbox_overlaps
from mmengine.config import Config
from torch import Tensor, nn

from sniper_mmdet.chips.boxes import IN_REGION
from sniper_mmdet.datasets import image_id, image_keys, write_proposals
from sniper_mmdet.datasets.instances import (
    annotated_size,
    instance_boxes,
    is_region,
)
from sniper_mmdet.engine.build import build_image_dataset

from .inference import detect


def image_infos(cfg: Config, split: str = 'train') -> list[dict]:
    """``get_data_info`` of each image of a split, each image once.

    Images without a box are among them, whatever ``filter_cfg`` says: nobody
    may have labelled their objects.
    """
    cfg = copy.deepcopy(cfg)
    _keep_empty(cfg.get(f'{split}_dataloader'))
    dataset = build_image_dataset(cfg, split)
    dataset = getattr(dataset, 'dataset', dataset)
    infos = map(dataset.get_data_info, range(len(dataset)))
    return list({info['img_path']: info for info in infos}.values())


def _keep_empty(settings) -> None:
    """Let the datasets in some settings keep images without boxes."""
    if isinstance(settings, dict):
        if (settings.get('filter_cfg') or {}).get('filter_empty_gt'):
            settings['filter_cfg']['filter_empty_gt'] = False
        settings = settings.values()
    elif not isinstance(settings, (list, tuple)):
        return
    for part in settings:
        _keep_empty(part)


def found_on(
    model: nn.Module,
    infos: list[dict],
    score_thr: float,
    batch_size: int = 1,
) -> Iterator[tuple[dict, Tensor, Tensor, Tensor]]:
    """Yield each image's info, and boxes, scores and labels of detections."""
    paths = [info['img_path'] for info in infos]
    results = detect(model, paths, batch_size=batch_size, score_thr=score_thr)
    for info, result in zip(infos, results, strict=True):
        found = result.pred_instances
        yield info, found.bboxes, found.scores, found.labels


def write_scores(
    model: nn.Module,
    infos: list[dict],
    path: str | Path,
    score_thr: float = 0.05,
    num: int = 100,
    batch_size: int = 1,
) -> int:
    """Write the best detections of each image to a proposal file.

    Args:
        model (nn.Module): The detector, from :func:`.loading.load_trained`.
        infos (list[dict]): The images, from :func:`image_infos`.
        path (str | Path): File to write (.npz), for ``PackKnownLabels``.
        score_thr (float): Detections with a lower score are left out. Defaults
            to 0.05.
        num (int): Largest number of detections per image. Defaults to 100.
        batch_size (int): Number of images per batch. Defaults to 1.

    Returns:
        int: Number of detections.
    """
    boxes, scores, sizes = [], [], []
    for info, found, of, _ in found_on(model, infos, score_thr, batch_size):
        best = of.argsort(descending=True)[:num]
        boxes.append(found[best].numpy())
        scores.append(of[best].numpy())
        sizes.append(annotated_size(info))
    keys = image_keys([image_id(info) for info in infos])
    about = dict(score_thr=score_thr, num=num)
    write_proposals(str(path), keys, np.array(sizes), boxes, scores, about)
    return sum(map(len, scores))


def unexplained(boxes: Tensor, info: dict, iou_thr: float = 0.3) -> np.ndarray:
    """Find the detections (N,) that no annotated box explains, as bool.

    A box of any class explains the detections that overlap it. An ignored box
    or a group explains a detection of which more than half lies in it.

    Args:
        boxes (Tensor (N, 4)): Original pixels.
        info (dict): Info of the image.
        iou_thr (float): Least IoU at which a box explains a detection.
            Defaults to 0.3.
    """
    instances = info['instances']
    known = boxes.new_tensor(instance_boxes(instances, info['img_path']))
    if not len(boxes) or not len(known):
        return np.ones(len(boxes), bool)
    regions = [k for k, one in enumerate(instances) if is_region(one)]
    explained = (bbox_overlaps(boxes, known) >= iou_thr).any(1)
    lies_in = bbox_overlaps(boxes, known[regions], mode='iof') > IN_REGION
    return ~(explained | lies_in.any(1)).numpy()
