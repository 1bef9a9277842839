"""Finds the checkpoint from which a run is resumed."""

import zipfile
from pathlib import Path

from .checkpoint_files import (
    CheckpointError,
    UntrustedError,
    load_from_local,
)


def checkpoint_to_resume(work_dir: str, path: str | None = None) -> str | None:
    """Check that a run can be resumed from a checkpoint; return its path.

    Weights are not read, so the check is fast.

    Args:
        work_dir (str): Work directory of the run. Its ``last_checkpoint``
            names the checkpoint.
        path (str, optional): Another checkpoint. Defaults to None.

    Returns:
        str: The path; None if ``work_dir`` has no checkpoint, so that the run
        starts from the beginning.

    Raises:
        CheckpointError: The checkpoint is missing, incomplete, or not from a
            run. The error names the newest other one that is usable.
    """
    pointer = Path(work_dir, 'last_checkpoint')
    if path is None and not pointer.is_file():
        if (found := _newest(Path(work_dir))) is None:
            return None
        raise CheckpointError(
            f'{pointer}, which names a checkpoint, is missing: --resume '
            f'{found} continues from the newest one there. Without --resume '
            'the run starts from the beginning.'
        )
    # A file that a crash has damaged may hold any bytes.
    named = path or pointer.read_text(errors='replace').strip()
    if '://' in named:
        return named
    try:
        if not named:
            raise CheckpointError(f'{pointer} is empty; it names a checkpoint')
        _require_run(named)
    except UntrustedError:
        raise
    except (CheckpointError, FileNotFoundError) as error:
        folder = Path(work_dir if path is None else Path(path).parent)
        other = _newest(folder, besides=named)
        advice = (
            f'there is no other checkpoint of a run in {folder}.'
            if other is None
            else f'--resume {other} continues from the newest other one.'
        )
        problem = str(error).rstrip('.')
        raise CheckpointError(f'{problem}: {advice}') from None
    return named


def _require_run(path: str) -> None:
    # Files of torch before 1.6 can only be read as a whole.
    mapped = Path(path).is_file() and zipfile.is_zipfile(path)
    found = load_from_local(path, map_location='cpu', mmap=mapped)
    if not isinstance(found, dict) or not {'meta', 'message_hub'} <= {*found}:
        raise CheckpointError(
            f'{path} has no meta and message_hub of a run; to start from its '
            f'weights, give --cfg-options load_from={path}'
        )


def _newest(folder: Path, besides: str = '') -> Path | None:
    """The newest other checkpoint of a folder that a run can resume from."""
    paths = [p for p in folder.glob('*.pth') if p.name != Path(besides).name]
    paths.sort(key=lambda p: p.stat().st_mtime, reverse=True)
    for path in paths:
        try:
            _require_run(str(path))
        except (CheckpointError, OSError):
            continue
        return path
    return None
