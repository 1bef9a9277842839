"""Resumes runs whose epochs have another number of iterations."""

import heapq
import warnings
from collections.abc import Iterator, Sequence

from mmengine.optim import OptimWrapperDict
from mmengine.optim.scheduler.param_scheduler import _ParamScheduler

from .checkpoint_files import CheckpointError

#: Parts of a scheduler's state that are not settings: its place and values.
_PLACE = {'last_step', '_global_step', '_last_value', 'base_values', 'verbose'}


def resume_at(runner, checkpoint: dict, iteration: int) -> None:
    """Move a checkpoint to the same place in epochs of another length.

    Call it in ``after_load_checkpoint`` of an epoch-based run, whose
    schedulers are built but not yet loaded. With another batch size or number
    of processes an epoch has another number of iterations. The checkpoint
    holds the iteration, and the settings and places of schedules, in
    iterations of the former run. They become those of the present run at this
    place. A schedule whose settings do not depend on the length of an epoch,
    such as a warm-up of 1,000 iterations, keeps its place.

    Args:
        runner (Runner): Runner of the resumed run.
        checkpoint (dict): The checkpoint; it is changed.
        iteration (int): Iterations before the place, with the present epochs.

    Raises:
        CheckpointError: Another schedule depends on validation results, so
            that the place does not determine its value.
    """
    info = checkpoint['message_hub'].get('runtime_info', {})
    length = len(runner.train_dataloader)
    # A run without a RuntimeInfoHook does not record it.
    ends = runner.max_iters, info.get('max_iters', runner.max_iters)
    before = ends[1] // info.get('max_epochs', runner.max_epochs)
    if length == before:
        return
    # Another hook has already moved it.
    info.update(max_iters=ends[0], max_epochs=runner.max_epochs)
    epoch = checkpoint['meta']['epoch']
    checkpoint['meta']['iter'] = iteration
    for schedulers, states, wrapper, saved in _parts(runner, checkpoint):
        moved, times = False, []
        for scheduler, state in zip(schedulers, states, strict=False):
            if scheduler.by_epoch:
                times.append((epoch, 1))
            elif _settings(scheduler.state_dict(), ends[0]) == _settings(
                state, ends[1]
            ):
                scheduler.end = state['end']
                times.append((state['_global_step'], before))
            else:
                moved = True
                times.append((iteration, length))
        if not moved:
            continue
        if any(getattr(one, 'need_val_args', False) for one in schedulers):
            raise CheckpointError(
                f'an epoch has {length} iterations, {before} in the run that '
                'is resumed. A schedule that counts them cannot be moved if '
                'another one depends on validation: resume with the batch '
                'size and the number of processes of that run.'
            )
        _step(schedulers, times)
        states[:] = [one.state_dict() for one in schedulers]
        _copy_values(schedulers, wrapper, saved)
    runner.logger.info(
        f'An epoch has {length} iterations, {before} before: the run and its '
        f'schedules continue after {iteration} of {runner.max_iters}.'
    )


def _parts(runner, checkpoint: dict) -> Iterator[tuple]:
    """Schedulers, their states, optimizer and its state, by optimizer."""
    if not runner.param_schedulers or 'param_schedulers' not in checkpoint:
        return
    parts = (
        runner.param_schedulers,
        checkpoint['param_schedulers'],
        runner.optim_wrapper,
        checkpoint.get('optimizer'),
    )
    if isinstance(runner.optim_wrapper, OptimWrapperDict):
        for name in runner.optim_wrapper.keys():
            yield tuple(part and part[name] for part in parts)
    else:
        yield parts


def _settings(state: dict, end: int) -> dict:
    """Settings of a scheduler that may depend on the length of an epoch."""
    kept = {k: v for k, v in state.items() if k not in _PLACE}
    # Without an end of its own it ends with the training.
    kept['end'] = None if state['end'] == end else state['end']
    return {k: v for k, v in kept.items() if not callable(v)}


def _step(
    schedulers: Sequence[_ParamScheduler],
    times: Sequence[tuple[int, int]],
) -> None:
    """Step schedulers as in a run; ``times`` has (steps, steps per epoch).

    A value is a product of the former ones, so each step is needed.
    """

    def places(order: int, steps: int, per_epoch: int):
        by_epoch = schedulers[order].by_epoch
        return ((k / per_epoch, by_epoch, order) for k in range(1, steps + 1))

    every = [places(order, *time) for order, time in enumerate(times)]
    with warnings.catch_warnings():
        # torch warns of schedule steps without an optimizer step.
        warnings.simplefilter('ignore', UserWarning)
        for _, _, order in heapq.merge(*every):
            schedulers[order].step()


def _copy_values(
    schedulers: Sequence[_ParamScheduler], wrapper, saved: dict | None
) -> None:
    """Copy the scheduled values from an optimizer to a saved state."""
    if saved is None:
        return
    names = {one.param_name for one in schedulers}
    names |= {f'initial_{name}' for name in names}
    names |= {'betas'} & {'betas' for name in names if name == 'momentum'}
    groups = [*saved['param_groups'], saved.get('base_param_settings')]
    for group, now in zip(groups, wrapper.param_groups, strict=False):
        group.update({k: v for k, v in now.items() if k in names})
