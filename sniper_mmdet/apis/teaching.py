"""Teaches a detector new classes from images without boxes, in seconds."""

import copy
import os
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device

from sniper_mmdet.datasets.classes import read_categories
from sniper_mmdet.datasets.formats.class_folders import (
    LEAST_PICTURES,
    read_class_folders,
)
from sniper_mmdet.engine.build import load_config
from sniper_mmdet.engine.checkpoints import (
    build_detector,
    load_checkpoint,
    read_checkpoint,
    require_all,
    require_fit,
    trained_classes,
    weights_of,
)
from sniper_mmdet.models.roi_heads.decoupled_roi_head import last_of
from sniper_mmdet.utils.choices import check_choice
from sniper_mmdet.utils.errors import UserError
from sniper_mmdet.utils.files import write_whole
from sniper_mmdet.utils.progress import Progress

from .box_heads import decoupled_head
from .inference import class_names
from .new_class_solver import ClassRows, NewClassSolver, rows_of
from .roi_features import picture_features


class Taught(NamedTuple):
    """The result of :func:`teach`."""

    config: Path
    checkpoint: Path
    #: Classes of the new detector, in the order of its labels.
    classes: list[str]
    #: Number of images of each new class.
    pictures: dict[str, int]
    #: Share of held-out images that a classifier of the others gets right.
    accuracy: float
    seconds: float


def teach(
    config: str | Path,
    checkpoint: str | Path,
    folder: str | Path,
    out: str | Path,
    *,
    classes: Sequence[str] | None = None,
    instead: bool = False,
    solver: str = 'lbfgs',
    rois: str = 'objects',
    num_rois: int = 4,
    l2: float = 0.001,
    lr: float = 0.001,
    momentum: float = 0.9,
    batch_size: int = 100,
    epochs: int = 250,
    seed: int = 0,
    ann_file: str | Path | None = None,
    on_error: str = 'raise',
    cfg_options: dict | None = None,
) -> Taught:
    """Teach a detector new classes from folders of images.

    The detector finds objects of any class already. A linear classifier of
    their features learns the new classes (R-FCN-3000, section 4.4). It is
    added to the old classes, which do not change and compete with the new
    ones. The mean of its features, which the head has followed in training,
    stands for each old class. Files are written only if everything succeeds.

    Args:
        config (str | Path): Config of a two-stage detector with a
            :class:`DecoupledBBoxHead`.
        checkpoint (str | Path): Its weights.
        folder (str | Path): Images of the new classes, as FOLDER/CLASS/IMAGE.
        out (str | Path): Checkpoint to write (.pth). The config is written
            beside it, with the ending .py.
        classes (Sequence[str], optional): The folders to learn. Defaults to
            None: all.
        instead (bool): Whether only the new classes are detected. The old
            classes then still reject objects of no new class. Defaults to
            False.
        solver (str): 'lbfgs', or 'released': the original SGD, on the new
            classes alone. Defaults to 'lbfgs'.
        rois, num_rois: See :func:`picture_features`.
        l2 (float): See :func:`fit_new_classes`.
        lr, momentum, batch_size, epochs: Settings of the released solver, see
            :func:`train_few_shot`.
        seed (int): Seed of the random numbers. Defaults to 0.
        ann_file (str | Path, optional): A COCO file to test on; the classes
            get its order. Defaults to None.
        on_error (str): 'raise', or 'skip' images that cannot be read.
        cfg_options (dict, optional): Changes of the config.

    Raises:
        OSError: A file is missing, or cannot be read or written.
        ValueError: The detector or the classes cannot be used.

    Examples:
        .. code-block:: python

            taught = teach('config.py', 'weights.pth', 'toys/', 'toys.pth')
            model = init_detector(str(taught.config), str(taught.checkpoint))
    """
    started = time.monotonic()
    check_choice('solver', solver, 'lbfgs', 'released')
    check_choice('rois', rois, 'objects', 'whole')
    out = _free_path(out, config, checkpoint)
    pictures = read_class_folders(folder, classes)
    if solver == 'released' and (not instead or len(pictures) < 2):
        raise UserError(
            "solver 'released' trains on the new classes alone: it needs "
            'instead=True and at least two classes. Received: '
            f'instead={instead}, {", ".join(pictures)}.'
        )
    cfg = load_config(str(config), cfg_options)
    model, weights = _load(cfg, checkpoint)
    head = decoupled_head(model, config)
    old = list(class_names(model))
    twice = set() if instead else set(old) & set(pictures)
    if twice:
        raise UserError(
            f'{checkpoint} knows the class {min(twice)!r} already: choose the '
            'new ones with classes, or replace all old ones with instead.'
        )
    names = _in_order([*([] if instead else old), *pictures], ann_file)
    found = _features(model, pictures, rois, num_rois, on_error)
    # A class that is learnt again does not compete with its old row.
    kept = [k for k, name in enumerate(old) if name not in pictures]
    rows = rows_of(head)
    rows = rows.take([*kept, *range(len(old), len(rows.bias))])
    old = [old[k] for k in kept]
    solve = NewClassSolver(
        head, rows, solver, l2, (epochs, lr, momentum, batch_size), seed
    )
    learnt = solve(found)
    new = ClassRows(
        *learnt,
        np.stack([np.vstack(f).mean(0) for f in found]),
        np.array([float(len(f)) for f in found]),
        np.full(len(found), -1 if head.num_super > 1 else 0),
    )
    place = {name: k for k, name in enumerate(old)} if not instead else {}
    both = rows.and_these(new)
    place |= {name: len(rows.bias) + k for k, name in enumerate(pictures)}
    index = [place[name] for name in names]
    if solver == 'lbfgs':  # the old classes take part in the softmax
        detected = set(index)
        index += [k for k in range(len(rows.bias)) if k not in detected]
    both = both.take(index)
    if both.groups.max() + 1 != head.num_super > 1:
        raise UserError(
            f'the last of the {head.num_super} super-classes has no old class '
            'left, but needs one: learn the new classes beside the old ones, '
            "or instead of them by solver 'lbfgs'."
        )
    cfg = _with_classes(cfg, names, len(index) - len(names), both, ann_file)
    _write(cfg, weights, out, names, both)
    counts = dict(zip(pictures, map(len, found), strict=True))
    accuracy = solve.accuracy(found)
    seconds = time.monotonic() - started
    return Taught(
        out.with_suffix('.py'), out, names, counts, accuracy, seconds
    )


def _free_path(out, config, checkpoint) -> Path:
    out = Path(out)
    if out.suffix != '.pth' or not out.absolute().parent.is_dir():
        raise UserError(
            'out must be a .pth file in a folder that exists. Received: '
            f'{out}.'
        )
    read = {Path(path).resolve() for path in (config, checkpoint)}
    for path in (out, out.with_suffix('.py')):
        if path.resolve() in read:
            raise UserError(
                f'out must be another file than those read. Received: {path}.'
            )
    return out


def _load(
    cfg: Config, checkpoint: str | Path
) -> tuple[torch.nn.Module, dict[str, torch.Tensor]]:
    """Load the detector, with its config and training classes; its weights."""
    model = build_detector(cfg, torch.nn.Module)
    decoupled_head(model, cfg.filename)
    held = read_checkpoint(checkpoint)
    weights = weights_of(held)
    if not any(key.endswith('.fc_fine.weight') for key in weights):
        raise UserError(
            f'{checkpoint} has no fine branch: it was not trained with a '
            'sniper_mmdet.DecoupledBBoxHead, whose weights fc_fine it lacks.'
        )
    roi_head = getattr(model, 'detector', model).roi_head
    masks = last_of(getattr(roi_head, 'mask_head', None))
    if not getattr(masks, 'class_agnostic', True):
        raise UserError(
            f'{cfg.filename} has masks for its own classes only; the mask '
            'head must have class_agnostic=True.'
        )
    load_checkpoint(model, held, checkpoint)
    model.cfg = cfg
    model.dataset_meta = dict(classes=trained_classes(held))
    return model.to(get_device()).eval(), weights


def _in_order(names: list[str], ann_file) -> list[str]:
    """Sort classes as the COCO file does, whose order numbers the labels."""
    if ann_file is None:
        return names
    known = [category['name'] for category in read_categories(str(ann_file))]
    missing = [name for name in names if name not in known]
    if missing:
        raise UserError(
            f'{ann_file} has no category {missing[0]!r}. Received: '
            f'{", ".join(known[:10])}.'
        )
    return sorted(names, key=known.index)


def _features(
    model, pictures, rois, num_rois, on_error
) -> list[list[np.ndarray]]:
    """For each class, the features of the RoIs of each image."""
    which = {str(p): k for k, ps in enumerate(pictures.values()) for p in ps}
    found = [[] for _ in pictures]
    how = dict(rois=rois, num_rois=num_rois, on_error=on_error)
    # An error then starts on a new line.
    with closing(Progress(len(which))) as progress:
        for picture in picture_features(model, list(which), **how):
            progress.update()
            found[which[picture.path]].append(picture.features)
    for name, features in zip(pictures, found, strict=True):
        if len(features) < LEAST_PICTURES:
            raise UserError(
                f'the class {name!r} must have at least {LEAST_PICTURES} '
                f'images that can be read. Received: {len(features)}.'
            )
    return found


def _with_classes(
    cfg: Config,
    names: list[str],
    hidden: int,
    rows: ClassRows,
    ann_file: str | Path | None,
) -> Config:
    """Change the classes of a config, and its COCO file for tests if given."""
    cfg = copy.deepcopy(cfg)
    heads = cfg.model.roi_head.bbox_head
    for head in heads if isinstance(heads, list) else [heads]:
        head.update(num_classes=len(names), hidden_classes=hidden)
        if head.get('super_classes') is not None:
            head['super_classes'] = rows.groups.tolist()
    for name in ('val', 'test'):
        dataset = (cfg.get(f'{name}_dataloader') or {}).get('dataset')
        while dataset and 'dataset' in dataset:
            dataset = dataset.dataset
        if not dataset:
            continue
        for part in dataset.get('datasets', [dataset]):
            part.metainfo = dict(classes=tuple(names))
        if ann_file is None:
            continue
        root = dataset.get('data_root') or ''
        dataset.ann_file = os.path.relpath(ann_file, root or '.')
        metrics = cfg[f'{name}_evaluator']
        for metric in metrics if isinstance(metrics, list) else [metrics]:
            if 'ann_file' in metric:
                metric.ann_file = str(ann_file)
    return cfg


def _write(
    cfg: Config,
    weights: dict[str, torch.Tensor],
    out: Path,
    names: list[str],
    rows: ClassRows,
) -> None:
    """Check that the checkpoint fits its config, and write both."""
    weights = dict(weights)
    (name,) = (k for k in weights if k.endswith('.fc_fine.weight'))
    prefix = name.removesuffix('fc_fine.weight')
    for key, value in {
        'fc_fine.weight': rows.weight,
        'fc_fine.bias': rows.bias,
        'fine_means': rows.means,
        'fine_counts': rows.counts,
    }.items():
        weights[prefix + key] = torch.from_numpy(np.float32(value))
    missing, _ = require_fit(
        build_detector(cfg, torch.nn.Module), weights, out
    )
    require_all(missing, out)
    meta = dict(dataset_meta=dict(classes=tuple(names)))
    held = dict(meta=meta, state_dict=weights)
    text = cfg.pretty_text
    write_whole(out, lambda part: torch.save(held, part))
    config = out.with_suffix('.py')
    write_whole(config, lambda part: part.write_text(text))
