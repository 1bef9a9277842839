"""Run a detector over a data set and keep its proposals."""

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from mmcv.transforms import Compose, LoadImageFromFile
from mmengine.dist import barrier, broadcast_object_list, get_dist_info
from mmengine.logging import print_log
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, Dataset

from sniper_mmdet.datasets import proposals
from sniper_mmdet.utils.progress import Progress

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
        infos = map(self.dataset.get_data_info, range(len(self.dataset)))
        ids = list(map(proposals.image_id, infos))
        self.paths = [path for _, path in ids]
        first = {}
        for index, key in enumerate(proposals.image_keys(ids)):
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
) -> proposals.ProposalFile:
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
        config (str): Whatever else decides on the proposals. Defaults to ''.

    Raises:
        ValueError: An image cannot be read.
    """
    rank, world_size = get_dist_info()
    settings = dict(num=num, iou_threshold=iou_threshold)
    found = [_about(model, images, settings, config) if rank == 0 else None]
    broadcast_object_list(found)
    about, folder = found[0], Path(f'{path}.parts')
    made = _is(about, lambda: proposals.ProposalFile(path).about)
    barrier()  # no process writes before all have looked
    if made:
        print_log(f'{path} is there already, of the same weights', 'current')
        if rank == 0:
            shutil.rmtree(folder, ignore_errors=True)
        return proposals.ProposalFile(path)
    size = max(min(_PART, len(images) // 16), batch_size)
    parts = {
        folder / f'{start:09d}.npz': range(len(images))[start : start + size]
        for start in range(0, len(images), size)
    }
    if rank == 0:
        _prepare(folder, dict(about, part=size))
    barrier()
    pending = [part for part in parts if not part.exists()]
    barrier()  # no process writes before all have looked
    batches, ends = [], {}
    for part in pending[rank::world_size]:
        batches += BatchSampler(parts[part], batch_size, drop_last=False)
        ends[len(batches) - 1] = part
    loader = DataLoader(
        images,
        batch_sampler=batches,
        num_workers=min(num_workers, len(batches)),
        collate_fn=list,
        generator=torch.Generator(),  # draws nothing from the global one
    )
    training = model.training
    model.eval()
    try:
        _write_parts(loader, ends, partial(model.propose, **settings))
    finally:
        model.train(training)
    barrier()
    if rank == 0:
        proposals.join_proposals(path, list(parts), about)
        shutil.rmtree(folder)
    barrier()
    return proposals.ProposalFile(path)


def _write_parts(
    loader: DataLoader, ends: dict[int, Path], propose: Callable
) -> None:
    """Write parts, given as the batch that each ends with."""
    progress = Progress(sum(map(len, loader.batch_sampler)))
    rows = []
    try:
        for number, batch in enumerate(loader):
            rows += _propose(propose, batch, loader.dataset.on_error)
            progress.update(len(batch))
            if number in ends:
                keys, sizes, *found = zip(*rows, strict=True)
                found = keys, np.array(sizes), *found
                proposals.write_proposals(ends[number], *found, about={})
                rows = []
    finally:
        progress.close()


def _propose(propose: Callable, batch: Sequence, on_error: str) -> list[tuple]:
    """Key, size, boxes and scores of each image of a batch."""
    for _, _, error in batch:
        if error and on_error == 'raise':
            raise ValueError(error)
        if error:
            print_log(f'no proposals for {error}', 'current')
    images = [img for _, img, _ in batch if img is not None]
    found = iter(propose(images) if images else [])
    rows = []
    for key, img, _ in batch:
        size, boxes, scores = (0, 0), np.zeros((0, 4)), np.zeros(0)
        if img is not None:
            result, size = next(found), img.shape[1::-1]
            boxes = np.clip(result.bboxes.cpu().numpy(), 0, size * 2)
            scores = result.scores.cpu().numpy()
        rows.append((key, size, boxes, scores))
    return rows


def _about(model, images, settings: dict, config: str) -> dict:
    """What the proposals are made of, to tell them from others."""
    unused = modules_after_proposals(model)
    weights = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        if not name.startswith(unused):
            tensor = tensor.cpu().contiguous().view(-1).view(torch.uint8)
            weights.update(name.encode() + tensor.numpy().tobytes())
    others = ''.join([config, repr(images.load), *images.paths, *images.keys])
    pyramid = getattr(model, 'pyramid', None)
    return dict(
        settings,
        scales=str(pyramid and pyramid.scales),
        images=len(images),
        weights=weights.hexdigest()[:16],
        others=hashlib.sha256(others.encode()).hexdigest()[:16],
    )


def _is(about: dict, read: Callable[[], dict]) -> bool:
    """Whether a file can be read, and says the same."""
    try:
        return read() == about
    except (OSError, ValueError):
        return False


def _prepare(folder: Path, about: dict) -> None:
    """Make the folder of parts; those of another extraction are dropped."""
    note = folder / 'about.json'
    if _is(about, lambda: json.loads(note.read_text())):
        return
    if folder.exists():
        print_log(f'{folder}: of another extraction, dropped', 'current')
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    note.write_text(json.dumps(about))
