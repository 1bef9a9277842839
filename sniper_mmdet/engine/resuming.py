"""Which checkpoint a run goes on from."""

from pathlib import Path

from .checkpoint_files import (
    CheckpointError,
    UntrustedError,
    load_from_local,
)


def checkpoint_to_resume(work_dir: str, path: str | None = None) -> str | None:
    """See that a run can go on from a checkpoint; returns its path.

    Weights are not read: it takes no time.

    Args:
        work_dir (str): Of the run. Its ``last_checkpoint`` names the
            checkpoint.
        path (str, optional): Another checkpoint. Defaults to None.

    Returns:
        str: None if ``work_dir`` knows of no checkpoint: the run starts anew.

    Raises:
        CheckpointError: It is not there, not whole or no run's; names the
            newest other one that is.
    """
    pointer = Path(work_dir, 'last_checkpoint')
    if path is None and not pointer.is_file():
        return None
    named = pointer.read_text().strip() if path is None else path
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
            else f'--resume {other} goes on from the newest other one there.'
        )
        problem = str(error).rstrip('.')
        raise CheckpointError(f'{problem}: {advice}') from None
    return named


def _require_run(path: str) -> None:
    found = load_from_local(path, map_location='cpu', mmap=True)
    if not isinstance(found, dict) or not {'meta', 'message_hub'} <= {*found}:
        raise CheckpointError(
            f'{path} has no meta and message_hub of a run; as weights to '
            f'start from, it is given by --cfg-options load_from={path}'
        )


def _newest(folder: Path, besides: str) -> Path | None:
    """The newest other checkpoint of a folder that a run can go on from."""
    paths = [p for p in folder.glob('*.pth') if p.name != Path(besides).name]
    paths.sort(key=lambda p: p.stat().st_mtime, reverse=True)
    for path in paths:
        try:
            _require_run(str(path))
        except (CheckpointError, OSError):
            continue
        return path
    return None
