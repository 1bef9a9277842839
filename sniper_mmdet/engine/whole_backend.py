"""Makes mmengine, mmcv and mmdet write files whole or not at all."""

from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from sniper_mmdet.utils.files import write_whole


@register_backend('local', force=True, prefixes='')
class WholeBackend(LocalBackend):
    """mmengine's backend for local files, which writes each file whole.

    Checkpoints, results and images are written by it. If a full disk or a
    killed process interrupts a write, the former file stays.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes, and create the folders of the file."""
        Path(filepath).parent.mkdir(parents=True, exist_ok=True)
        write_whole(filepath, lambda part: part.write_bytes(obj))

    def put_text(
        self, obj: str, filepath: str | Path, encoding: str = 'utf-8'
    ) -> None:
        """Write text, as :meth:`put` writes bytes."""
        self.put(obj.encode(encoding), filepath)
