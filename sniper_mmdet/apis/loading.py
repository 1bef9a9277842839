"""Loading of trained detectors for :func:`detect`."""

from pathlib import Path

from mmdet.apis import init_detector
from mmengine.config import Config
from mmengine.device import get_device
from torch import nn

from sniper_mmdet.engine.checkpoints import read_weights, require_fit


def load_trained(
    config: str | Path | Config,
    checkpoint: str | Path,
    device: str | None = None,
    cfg_options: dict | None = None,
) -> nn.Module:
    """Build a detector by mmdet's ``init_detector``, and check its weights.

    Args:
        config (str | Path | Config): The config, its file, or a name as
            'mmdet::retinanet/retinanet_r18_fpn_1x_coco.py'.
        checkpoint (str | Path): File of its weights.
        device (str, optional): Device of the detector. Defaults to None: a
            GPU if there is one.
        cfg_options (dict, optional): Settings that override the config's.
            Defaults to None.

    Raises:
        FileNotFoundError: There is no such config or checkpoint.
        ValueError: The checkpoint belongs to another detector.
    """
    files = [checkpoint]
    if not isinstance(config, Config):
        config = str(config)
        if config.startswith('mmdet::'):
            # Such a config can be inherited from, but not read.
            config = Config.fromstring(f'_base_ = {config!r}', '.py')
        else:
            files.insert(0, config)
    for path in files:
        if not Path(path).is_file():
            raise FileNotFoundError(f'{path} does not exist.')
    where = dict(device=device or get_device(), cfg_options=cfg_options or {})
    model = init_detector(config, str(checkpoint), **where)
    require_fit(model, read_weights(checkpoint), checkpoint)
    return model
