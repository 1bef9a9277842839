"""Run a detector over a data set and keep its proposals."""

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmcv.transforms import Compose, LoadImageFromFile
from mmengine.dist import barrier, broadcast_object_list, get_dist_info
from mmengine.logging import print_log
from mmengine.utils import ProgressBar
from torch import nn
from torch.utils.data import DataLoader, Dataset

from sniper_mmdet.datasets.proposals import (
    ProposalFile,
    image_id,
    image_keys,
    join_proposals,
    write_proposals,
)

from .checkpoints import modules_after_proposals

#: Images of a part, at most: what a process loses when it is cut off.
_PART = 64


class WholeImages(Dataset):
    """The images of a data set, as its own pipeline loads them, each once.

    Items are tuples ``(key, image, error)``: what a proposal file calls the
    image, and uint8 (H, W, 3), or None and why it cannot be read.

    Args:
        dataset (ChipDataset | BaseDataset): Of mmdet; of a ChipDataset, the
            images that its chips are cut from.
        on_error (str, optional): 'raise', or 'skip': an image that cannot be
            read is logged, and has no proposals. Defaults to None: as the
            ChipDataset has it, else 'raise'.
    """

    def __init__(self, dataset, on_error: str | None = None) -> None:
        first = dataset
        while not hasattr(first, 'pipeline'):  # of wrapped data sets
            inner = getattr(first, 'datasets', None)
            first = inner[0] if inner else first.dataset
        loading = [
            t
            for t in first.pipeline.transforms
            if type(t).__name__.startswith('LoadImage')
        ]
        self.load = Compose(loading or [LoadImageFromFile()])
        self.dataset = getattr(dataset, 'dataset', dataset)
        self.on_error = on_error or getattr(dataset, 'on_error', 'raise')
        ids = [
            image_id(self.dataset.get_data_info(i))
            for i in range(len(self.dataset))
        ]
        self.paths = [path for _, path in ids]
        first = {}
        for index, key in enumerate(image_keys(ids)):
            first.setdefault(key, index)
        self.keys, self.indices = list(first), list(first.values())

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, index: int) -> tuple[str, np.ndarray | None, str]:
        info = self.dataset.get_data_info(self.indices[index])
        try:
            loaded = self.load(info)
            if loaded is None:
                raise OSError('it cannot be read as an image')
            image = np.asarray(loaded['img'], np.uint8)
            return self.keys[index], image, ''
        except Exception as error:  # whatever decoders raise
            reason = f'{info["img_path"]}: {type(error).__name__}: {error}'
            return self.keys[index], None, reason


def extract_proposals(
    model: nn.Module,
    images: WholeImages,
    path: str,
    num: int = 300,
    iou_threshold: float = 0.7,
    batch_size: int = 1,
    num_workers: int = 2,
    config: str = '',
) -> ProposalFile:
    """Write the proposals of all images to one file, on all processes.

    What is there already is used again if the weights, the images, the
    settings and ``config`` are the same: the file, or, where an extraction
    was cut off, its parts in ``{path}.parts``. All processes must see both.

    Args:
        model (PyramidDetector): In training mode or not; its mode is kept.
        images (WholeImages): What to look at.
        path (str): The file.
        num (int): Proposals an image and level. Defaults to 300.
        iou_threshold (float): NMS over all levels. Defaults to 0.7.
        batch_size (int): Images run together. Defaults to 1.
        num_workers (int): That read images, a process. Defaults to 2.
        config (str): Whatever else decides on the proposals: proposals that
            were made with another are made anew. Defaults to ''.

    Raises:
        ValueError: An image cannot be read.

    Returns:
        ProposalFile: What was written.
    """
    rank, world_size = get_dist_info()
    settings = dict(num=num, iou_threshold=iou_threshold)
    about = [_about(model, images, settings, config) if rank == 0 else None]
    broadcast_object_list(about)
    parts = Path(f'{path}.parts')
    made = _is_made(path, about[0])
    barrier()  # no process writes before all have looked
    if made:
        print_log(f'{path} is there already, of the same weights', 'current')
        if rank == 0:
            shutil.rmtree(parts, ignore_errors=True)
        return ProposalFile(path)
    size = max(min(_PART, len(images) // 16), batch_size)
    starts = range(0, len(images), size)
    names = [str(parts / f'{start:09d}.npz') for start in starts]
    if rank == 0:
        _prepare(parts, dict(about[0], part=size))
    barrier()
    pending = [k for k, name in enumerate(names) if not os.path.exists(name)]
    barrier()  # no process writes before all have looked
    _extract(
        model,
        images,
        {
            names[k]: range(starts[k], min(starts[k] + size, len(images)))
            for k in pending[rank::world_size]
        },
        settings,
        batch_size,
        num_workers,
    )
    barrier()
    if rank == 0:
        join_proposals(path, names, about[0])
        shutil.rmtree(parts)
    barrier()
    return ProposalFile(path)


def _extract(model, images, parts, settings, batch_size, num_workers) -> None:
    """Write parts, given as their files and which images they hold."""
    batches, ends = [], {}
    for name, chunk in parts.items():
        batches += [
            list(chunk[k : k + batch_size])
            for k in range(0, len(chunk), batch_size)
        ]
        ends[len(batches) - 1] = name
    loader = DataLoader(
        images,
        batch_sampler=batches,
        num_workers=min(num_workers, len(batches)),
        collate_fn=list,
        generator=torch.Generator(),  # draws nothing from the global one
    )
    bar = None
    if get_dist_info()[0] == 0 and batches:
        bar = ProgressBar(sum(map(len, batches)))
    training = model.training
    model.eval()
    try:
        rows = []
        for number, batch in enumerate(loader):
            rows += _propose(model, batch, settings, images.on_error)
            if bar:
                bar.update(len(batch))
            if number in ends:
                keys, sizes, boxes, scores = zip(*rows, strict=True)
                write_proposals(
                    ends[number], keys, np.array(sizes), boxes, scores, {}
                )
                rows = []
    finally:
        model.train(training)
        if bar:
            bar.file.write('\n')


def _propose(
    model, batch: Sequence, settings: dict, on_error: str
) -> list[tuple]:
    """Key, size, boxes and scores of each image of a batch."""
    for _, _, error in batch:
        if error and on_error == 'raise':
            raise ValueError(error)
        if error:
            print_log(f'no proposals for {error}', 'current')
    images = [img for _, img, _ in batch if img is not None]
    found = iter(model.propose(images, **settings) if images else [])
    rows = []
    for key, img, _ in batch:
        if img is None:
            rows.append((key, (0, 0), np.zeros((0, 4)), np.zeros(0)))
            continue
        height, width = img.shape[:2]
        result = next(found)
        boxes = result.bboxes.cpu().numpy()
        boxes = np.clip(boxes, 0, np.tile((width, height), 2))
        rows.append((key, (width, height), boxes, result.scores.cpu().numpy()))
    return rows


def _about(model, images, settings: dict, config: str) -> dict:
    """What the proposals are made of, to tell them from others."""
    unused = modules_after_proposals(model)
    weights = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        if not name.startswith(unused):
            weights.update(name.encode())
            tensor = tensor.detach().cpu().contiguous()
            weights.update(tensor.view(-1).view(torch.uint8).numpy().tobytes())
    others = hashlib.sha256()
    for text in (config, repr(images.load), *images.paths, *images.keys):
        others.update(text.encode())
    pyramid = getattr(model, 'pyramid', None)
    return dict(
        settings,
        scales=str(pyramid and pyramid.scales),
        images=len(images),
        weights=weights.hexdigest()[:16],
        others=others.hexdigest()[:16],
    )


def _is_made(path: str, about: dict) -> bool:
    try:
        return ProposalFile(path).about == about
    except (OSError, ValueError):
        return False


def _prepare(parts: Path, about: dict) -> None:
    """Make the folder of parts; those of another extraction are dropped."""
    note = parts / 'about.json'
    if parts.exists():
        try:
            same = json.loads(note.read_text()) == about
        except (OSError, ValueError):
            same = False
        if same:
            return
        print_log(f'{parts}: of another extraction, dropped', 'current')
        shutil.rmtree(parts)
    parts.mkdir(parents=True)
    note.write_text(json.dumps(about))
