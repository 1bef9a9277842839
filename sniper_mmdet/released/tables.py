"""Choice of the tables for a network or a file of the originals."""

from collections.abc import Collection
from types import ModuleType

from sniper_mmdet.models import PyramidDetector, RFCN3k, SSHHead
from sniper_mmdet.released import rfcn3k, sniper, ssh


def tables_of_model(model: PyramidDetector) -> ModuleType:
    """Return the tables of a built network."""
    detector = getattr(model, 'detector', model)
    if isinstance(detector, RFCN3k):
        return rfcn3k
    head = getattr(detector, 'bbox_head', None)
    return ssh if isinstance(head, SSHHead) else sniper


def tables_of_names(names: Collection[str]) -> ModuleType:
    """Return the tables of a file, by the names of its tensors."""
    if names and all(map(ssh.PARAMETER.fullmatch, names)):
        return ssh
    is_rfcn3k = any('rfcn_' in name for name in names)
    return rfcn3k if is_rfcn3k else sniper
