"""Which feature maps of a detector answer."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import nn


class AnsweringMaps:
    """Leaves out what a detector's head gives on some of its maps.

    The head is the one that sees the maps, a two-stage detector's RPN. What
    it gives on a map that is left out becomes a map without cells, which
    heads of mmdet read as one where nothing is found.

    Args:
        detector (nn.Module): Of mmdet.
        maps (Sequence, optional): Indices of the maps that answer at each
            level of a pyramid, or None for all. None: all at each.
        num_levels (int): Of the pyramid.

    Raises:
        ValueError: Not one entry a level, or an entry that is neither None
            nor indices, at least one; or the detector has no such head.
    """

    def __init__(
        self,
        detector: nn.Module,
        maps: Sequence[Sequence[int] | None] | None,
        num_levels: int,
    ) -> None:
        self.maps, self._now = maps, None
        if maps is None:
            return
        if len(maps) != num_levels:
            raise ValueError(
                f'maps has {len(maps)} entries for {num_levels} scales; '
                f'there must be one a scale. Received: {maps}.'
            )
        for own in maps:
            if own is not None and not _are_indices(own):
                raise ValueError(
                    'maps must give indices of feature maps, from 0 on, or '
                    f'None, for each level. Received: {maps}.'
                )
        if any(own is not None for own in maps):
            names = 'rpn_head', 'bbox_head'
            head = next((h for n in names if (h := _part(detector, n))), None)
            if head is None:
                raise ValueError(
                    'maps needs a detector whose rpn_head or bbox_head sees '
                    f'feature maps. Received: {type(detector).__name__}.'
                )
            head.register_forward_hook(self._leave_out)

    @contextmanager
    def of(self, level: int) -> Iterator[None]:
        """In it, only the maps of a level of the pyramid answer."""
        self._now = None if self.maps is None else self.maps[level]
        try:
            yield
        finally:
            self._now = None

    def _leave_out(self, head: nn.Module, inputs, outputs: Sequence):
        if self._now is None:
            return outputs
        return tuple(
            [
                x if k in self._now else x[..., :0, :]
                for k, x in enumerate(of_maps)
            ]
            for of_maps in outputs
        )


def _part(detector: nn.Module, name: str) -> nn.Module | None:
    part = getattr(detector, name, None)
    return part if isinstance(part, nn.Module) else None


def _are_indices(own: Sequence[int]) -> bool:
    return (
        isinstance(own, (tuple, list))
        and len(own) > 0
        and all(type(index) is int and index >= 0 for index in own)
    )
