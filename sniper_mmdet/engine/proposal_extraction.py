"""Runs a detector over a dataset and saves its proposals."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from zlib import crc32

import numpy as np
import torch
from mmengine.dist import barrier, broadcast_object_list, get_dist_info
from mmengine.logging import print_log
from torch import nn
from torch.utils.data import BatchSampler, DataLoader

from sniper_mmdet.chips import FocusedPass
from sniper_mmdet.datasets import proposals
from sniper_mmdet.utils.errors import UserError
from sniper_mmdet.utils.files import claimed
from sniper_mmdet.utils.progress import Progress

from .checkpoints import modules_after_proposals
from .whole_images import WholeImages

#: Largest number of images of a part, which an interrupted process loses.
_PART = 64


def extract_proposals(
    model: nn.Module,
    images: WholeImages,
    path: str,
    num: int = 300,
    iou_threshold: float = 0.7,
    batch_size: int = 1,
    num_workers: int = 2,
    config: str = '',
    focused: FocusedPass | None = None,
    seed: Sequence[int] = (),
    former: proposals.ProposalFile | None = None,
) -> proposals.ProposalFile:
    """Write the proposals of all images to one file, with all processes.

    An existing file is used again if the weights, the images, the settings and
    ``config`` are the same, which each file records. So are the parts of an
    interrupted extraction, in ``{path}.parts``. All processes must see both.

    Args:
        model (PyramidDetector): The detector, in training or test mode; its
            mode does not change.
        images (WholeImages): The images.
        path (str): The file.
        num (int): Proposals per image and level. Defaults to 300.
        iou_threshold (float): IoU threshold of the NMS over all levels.
            Defaults to 0.7.
        batch_size (int): Images per batch. Defaults to 1.
        num_workers (int): Processes that read images, per process. Defaults to
            2.
        config (str): Text of other settings that change the proposals.
            Defaults to ''.
        focused (FocusedPass, optional): Where an AutoFocus looks. Defaults to
            None: everywhere.
        seed (Sequence[int]): Seed of the random places. Defaults to ().
        former (ProposalFile, optional): Proposals of the images that are left
            out here, see :class:`WholeImages`. Defaults to None: these have no
            proposals.

    Raises:
        FileError: Another extraction writes the file at the same time.
        ValueError: An image cannot be read.
    """
    is_first = get_dist_info()[0] == 0
    settings = dict(num=num, iou_threshold=iou_threshold)
    if focused is not None:
        settings['focused'] = focused
    size = max(min(_PART, len(images) // 16), batch_size)
    folder, lock = Path(f'{path}.parts'), Path(f'{path}.lock')
    parts = {
        folder / f'{start:09d}.npz': range(len(images))[start : start + size]
        for start in range(0, len(images), size)
    }
    found = [None]
    if is_first:
        about = _about(model, images, settings, config, seed, former)
        found = [(about, _is_of(path, about))]
    broadcast_object_list(found)
    about, made = found[0]
    if made:
        print_log(f'{path} exists already, of the same weights', 'current')
        if is_first and folder.exists():
            with suppress(OSError), claimed(lock, path):
                shutil.rmtree(folder)
        return proposals.ProposalFile(path)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with claimed(lock, path) if is_first else nullcontext():
        of_parts = dict(about, part=size)
        found = [_pending(parts, of_parts) if is_first else None]
        broadcast_object_list(found)  # no process writes before this
        work = {part: parts[part] for part in found[0]}
        loader, ends = _share(images, work, batch_size, num_workers)

        def propose(images, keys):
            more = {}
            if focused is not None:
                more['seeds'] = [(*seed, crc32(key.encode())) for key in keys]
            return model.propose(images, **settings, **more)

        training = model.training
        model.eval()
        try:
            _write_parts(loader, ends, propose, of_parts)
        finally:
            model.train(training)
        barrier()
        if is_first:
            if _pending(parts, of_parts):
                raise UserError(
                    f'{folder}: another extraction wrote there at the same '
                    'time. Run this one again, alone.'
                )
            if images.left_out:
                parts[_keep(former, images.left_out, folder)] = ()
            proposals.join_proposals(path, list(parts), about)
            shutil.rmtree(folder)
        barrier()
        file = proposals.ProposalFile(path)
        barrier()  # no other process overwrites it before
    return file


def _share(
    images: WholeImages,
    parts: dict[Path, Sequence[int]],
    batch_size: int,
    num_workers: int,
) -> tuple[DataLoader, dict[int, Path]]:
    """A loader of this process's parts, and the ends for _write_parts."""
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
        generator=torch.Generator(),  # leaves the global generator alone
    )
    return loader, ends


def _write_parts(
    loader: DataLoader, ends: dict[int, Path], propose: Callable, about: dict
) -> None:
    """Write parts; ``ends`` has the last batch of each."""
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
    read = [(img, key) for key, img, _ in batch if img is not None]
    found = iter(propose(*zip(*read, strict=True)) if read else [])
    rows = []
    for key, img, _ in batch:
        size, boxes, scores = (0, 0), np.zeros((0, 4)), np.zeros(0)
        if img is not None:
            result, size = next(found), img.shape[1::-1]
            boxes = np.clip(result.bboxes.cpu().numpy(), 0, size * 2)
            scores = result.scores.cpu().numpy()
        rows.append((key, size, boxes, scores))
    return rows


def _keep(former, keys: Sequence[str], folder: Path) -> Path:
    """Write a part with the former proposals of images, or with none."""
    places = {key: i for i, key in enumerate(former.keys)} if former else {}
    rows = []
    for place in map(places.get, keys):
        if place is None:
            rows.append(((0, 0), np.zeros((0, 4)), np.zeros(0)))
        else:
            span = slice(*former.offsets[place : place + 2])
            found = former.boxes[span], former.scores[span]
            rows.append((former.sizes[place], *found))
    sizes, boxes, scores = zip(*rows, strict=True)
    path = folder / 'kept.npz'
    proposals.write_proposals(path, keys, np.array(sizes), boxes, scores, {})
    return path


def _about(
    model, images, settings: dict, config: str, seed: Sequence[int], former
) -> dict:
    """All that the proposals depend on, to recognise them."""
    unused = modules_after_proposals(model)
    if 'focused' in settings:
        unused = tuple(name for name in unused if name != 'focus_head.')
        settings = dict(settings, focused=str(settings['focused']))
        settings['seed'] = list(seed)
    if images.left_out:
        about = json.dumps(former and former.about)
        settings = dict(settings, former=_short(about.encode()))
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
        others=_short(others.encode()),
    )


def _short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _is_of(path: str | Path, about: dict) -> bool:
    """Test whether a proposal file is readable and records the same."""
    try:
        return proposals.ProposalFile(path).about == about
    except (OSError, ValueError):
        return False


def _pending(parts: Iterable[Path], about: dict) -> list[Path]:
    """Parts that are missing, or from another extraction."""
    return [part for part in parts if not _is_of(part, about)]
