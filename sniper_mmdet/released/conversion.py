"""Conversion of the originals' files to checkpoints of configs."""

import os
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.runner import save_checkpoint

from sniper_mmdet.engine.build import load_config
from sniper_mmdet.registry import MODELS
from sniper_mmdet.released.caffemodel import read_caffemodel
from sniper_mmdet.released.mxnet_params import read_params
from sniper_mmdet.released.tables import tables_of_model, tables_of_names
from sniper_mmdet.released.weights import Conversion, convert


def read_released(path: str | Path) -> dict[str, np.ndarray]:
    """Read the tensors of an original file; without a suffix it is MXNet's."""
    is_caffe = Path(path).suffix == '.caffemodel'
    return read_caffemodel(path) if is_caffe else read_params(path)


def convert_file(
    path: str | Path,
    out: str | Path,
    config: str | Path,
    options: dict | None = None,
    ignore: Iterable[str] = (),
    tables: ModuleType | None = None,
    class_shift: bool = False,
) -> Conversion:
    """Convert a .params or .caffemodel file to a checkpoint of a config.

    The checkpoint (.pth) has the class names of the config's test data, which
    mmdet's inference needs. ``options`` override the config's settings. For
    ``ignore`` and ``tables`` see :func:`~.weights.convert`; the default tables
    are those of the config's network. ``class_shift`` assigns output c to
    class c + 1, and the last output to class 0: for weights that were trained
    with the shift of the original R-FCN-3000.

    Raises:
        OSError: There is no such file, or the checkpoint cannot be written.
        ValueError: The file is of another kind, or contradicts itself;
            MismatchError if it does not fit the detector.
    """
    cfg = load_config(str(config), options)
    params = read_released(path)
    model = MODELS.build(cfg.model)
    tables = tables or tables_of_model(model)
    places = model.state_dict()
    try:
        shapes = {name: value.shape for name, value in places.items()}
        done = convert(params, shapes, ignore, tables)
    except ValueError as error:
        error.args = (
            f'{path} does not fit {config}: {error} Is it another network? '
            'Otherwise --ignore names tensors to leave out.',
        )
        raise
    meta = _dataset_meta(cfg)
    if class_shift:
        first, *rest = meta['classes']
        meta['classes'] = (*rest, first)
    checkpoint = dict(
        meta=dict(source=Path(path).name, dataset_meta=meta),
        state_dict={k: torch.from_numpy(v) for k, v in done.state.items()},
    )
    save_checkpoint(checkpoint, str(out))
    return done


def convert_released(
    path: Path, out: Path, root: Path
) -> tuple[str, str | None, str]:
    """Convert an original file to a checkpoint of its config.

    ``root`` is the folder that holds ``configs``.

    Returns:
        tuple: The result, 'converted', 'unknown' (no config has such a
        network) or 'failed'; the config's path, if there is one; and a text
        with details.
    """
    result = 'failed'
    try:
        shapes = {k: v.shape for k, v in read_released(path).items()}
        result = 'unknown'
        tables = tables_of_names(shapes)
        config = os.path.relpath(root / tables.config_of(shapes))
    except ValueError as error:
        return result, None, str(error)
    try:
        done = convert_file(path, out, config)
    except Exception as error:  # other files shall still be converted
        return 'failed', config, f'{type(error).__name__}: {error}'
    return 'converted', config, f'{done.counts}\nwrote {out}'


def _dataset_meta(cfg: Config) -> dict:
    """Return the classes and colours of a config's test data."""
    dataset = (cfg.get('test_dataloader') or {}).get('dataset') or {}
    while 'dataset' in dataset or 'datasets' in dataset:
        dataset = dataset.get('dataset') or dataset.datasets[0]
    kind = DATASETS.get(dataset.get('type', ''))
    meta = getattr(kind, 'METAINFO', {})
    return {**meta, **(dataset.get('metainfo') or {})}
