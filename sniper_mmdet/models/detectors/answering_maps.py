"""Choice of the feature maps on which a detector detects."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import nn


class AnsweringMaps:
    """Drops the outputs of a detector's head on some feature maps.

    The head is the one that sees the maps, which in a two-stage detector is
    the RPN. Its output on a dropped map becomes a map without cells, where
    heads of mmdet find nothing.

    Args:
        detector (nn.Module): A detector of mmdet.
        maps (Sequence, optional): For each level of a pyramid the indices of
            the maps to keep, or None for all. None: all maps at all levels.
        num_levels (int): Number of levels of the pyramid.

    Raises:
        ValueError: The number of entries is not that of the levels, an entry
            is neither None nor at least one index, or the detector has no such
            head. An index that the head has no map for raises it when the
            level is tested.
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
                f'there must be one per scale. Received: {maps}.'
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
        """A context in which only the maps of one level are used."""
        self._now = None if self.maps is None else self.maps[level]
        try:
            yield
        finally:
            self._now = None

    def _leave_out(self, head: nn.Module, inputs, outputs: Sequence):
        if self._now is None:
            return outputs
        count = len(outputs[0])
        if max(self._now) >= count:
            raise ValueError(
                f'maps must give indices below {count}, the number of feature '
                f'maps that the {type(head).__name__} sees. Received: '
                f'{self.maps}.'
            )
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
