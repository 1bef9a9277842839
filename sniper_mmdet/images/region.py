"""A part of an image as an image source."""

from collections.abc import Sequence

from .source import ImageSource


class Region(ImageSource):
    """A region of an image source; its pixels begin at the region's corner.

    Args:
        source (:obj:`ImageSource`): Source of the whole image, which stays
            open.
        region (Sequence[int]): (x1, y1, x2, y2), original pixels.
    """

    def __init__(self, source: ImageSource, region: Sequence[int]) -> None:
        left, top, right, bottom = self.region = tuple(region)
        self.source = source
        self.path = source.path
        self.shape = bottom - top, right - left, 3
        self._before = source.pixels_read, source.bytes_read

    @property
    def pixels_read(self) -> int:
        return self.source.pixels_read - self._before[0]

    @property
    def bytes_read(self) -> int:
        return self.source.bytes_read - self._before[1]

    def read(self, region, size):
        left, top = self.region[:2]
        x1, y1, x2, y2 = region
        moved = x1 + left, y1 + top, x2 + left, y2 + top
        return self.source.read(moved, size)

    def close(self):
        """Do nothing: the source of the whole image owns the open file."""
