"""Run a detector over a data set and keep its proposals."""

import hashlib
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext, suppress
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
from sniper_mmdet.utils.errors import UserError
from sniper_mmdet.utils.files import claimed
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
    was cut off, its parts in ``{path}.parts``; each says what it is of. All
    processes must see both.

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
        FileError: Another extraction into the file is going on.
        ValueError: An image cannot be read.
    """
    is_first = get_dist_info()[0] == 0
    settings = dict(num=num, iou_threshold=iou_threshold)
    size = max(min(_PART, len(images) // 16), batch_size)
    folder, lock = Path(f'{path}.parts'), Path(f'{path}.lock')
    parts = {
        folder / f'{start:09d}.npz': range(len(images))[start : start + size]
        for start in range(0, len(images), size)
    }
    found = [None]
    if is_first:
        about = _about(model, images, settings, config)
        found = [(about, _is_of(path, about))]
    broadcast_object_list(found)
    about, made = found[0]
    if made:
        print_log(f'{path} is there already, of the same weights', 'current')
        if is_first and folder.exists():
            with suppress(OSError), claimed(lock, path):
                shutil.rmtree(folder)
        return proposals.ProposalFile(path)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with claimed(lock, path) if is_first else nullcontext():
        of_parts = dict(about, part=size)
        found = [_pending(parts, of_parts) if is_first else None]
        broadcast_object_list(found)  # till then no process writes
        work = {part: parts[part] for part in found[0]}
        loader, ends = _share(images, work, batch_size, num_workers)
        training = model.training
        model.eval()
        try:
            propose = partial(model.propose, **settings)
            _write_parts(loader, ends, propose, of_parts)
        finally:
            model.train(training)
        barrier()
        if is_first:
            if _pending(parts, of_parts):
                raise UserError(
                    f'{folder}: another extraction wrote there meanwhile. '
                    'Run this again, alone.'
                )
            proposals.join_proposals(path, list(parts), about)
            shutil.rmtree(folder)
        barrier()
        file = proposals.ProposalFile(path)
        barrier()  # till then no other process writes over it
    return file


def _share(
    images: WholeImages,
    parts: dict[Path, Sequence[int]],
    batch_size: int,
    num_workers: int,
) -> tuple[DataLoader, dict[int, Path]]:
    """This process's share of parts: what loads it, and as _write_parts."""
    rank, world_size = get_dist_info()
    batches, ends = [], {}
    for part in list(parts)[rank::world_size]:
        batches += BatchSampler(parts[part], batch_size, drop_last=False)
        ends[len(batches) - 1] = part
    loader = DataLoader(
        images,
        batch_sampler=batches,
        num_workers=min(num_workers, len(batches)),
        collate_fn=list,
        generator=torch.Generator(),  # draws nothing from the global one
    )
    return loader, ends


def _write_parts(
    loader: DataLoader, ends: dict[int, Path], propose: Callable, about: dict
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
                proposals.write_proposals(ends[number], *found, about)
                rows = []
    finally:
        progress.close()


def _propose(propose: Callable, batch: Sequence, on_error: str) -> list[tuple]:
    """Key, size, boxes and scores of each image of a batch."""
    for _, _, error in batch:
        if error and on_error == 'raise':
            raise UserError(error)
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


def _is_of(path: str | Path, about: dict) -> bool:
    """Whether a proposal file can be read, and says the same."""
    try:
        return proposals.ProposalFile(path).about == about
    except (OSError, ValueError):
        return False


def _pending(parts: Iterable[Path], about: dict) -> list[Path]:
    """Parts that are not there, or of another extraction."""
    return [part for part in parts if not _is_of(part, about)]
