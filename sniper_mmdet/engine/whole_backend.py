"""Where mmengine, mmcv and mmdet write: files that are whole or not there."""

from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from sniper_mmdet.utils.files import write_whole


@register_backend('local', force=True, prefixes='')
class WholeBackend(LocalBackend):
    """mmengine's backend of this machine's files, each written whole.

    Checkpoints, results and pictures come this way. One that is cut off, by a
    full disk or a killed process, leaves what was there before.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes, and the folders that the file is in."""
        Path(filepath).parent.mkdir(parents=True, exist_ok=True)
        write_whole(filepath, lambda part: part.write_bytes(obj))

    def put_text(
        self, obj: str, filepath: str | Path, encoding: str = 'utf-8'
    ) -> None:
        """Write text, as :meth:`put` writes bytes."""
        self.put(obj.encode(encoding), filepath)
