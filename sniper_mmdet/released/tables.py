"""Which paper's tables a network or a file of the originals goes by."""

from collections.abc import Iterable
from types import ModuleType

from sniper_mmdet.released import rfcn3k, sniper


def tables_of_model(cfg: dict) -> ModuleType:
    """Those of a config's ``model``."""
    detector = cfg.get('detector', cfg.get('type'))
    if not isinstance(detector, str):
        detector = detector['type']
    kind = detector.rsplit('.', 1)[-1]
    return rfcn3k if kind == rfcn3k.DETECTOR else sniper


def tables_of_names(names: Iterable[str]) -> ModuleType:
    """Those of a file's tensors, by their names."""
    is_rfcn3k = any('rfcn_' in name for name in names)
    return rfcn3k if is_rfcn3k else sniper
