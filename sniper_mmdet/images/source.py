"""What gives pixels of an image, region by region."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sniper_mmdet.utils.image import read_image, resize


class ImageError(OSError):
    """An image that cannot be read, and why, in a sentence."""


class ImageSource(ABC):
    """Gives regions of an image file, resized.

    It is copied to another process by its path: what is open stays here.

    Attributes:
        path (str): The file.
        shape (tuple[int]): (height, width, 3), as that of an array.
        pixels_read (int): How many were read so far, of the file or of its
            overviews, each time that they were.
        bytes_read (int): What they take in the file, so far as is known.
    """

    path: str
    shape: tuple[int, int, int]
    pixels_read: int = 0
    bytes_read: int = 0

    @abstractmethod
    def read(
        self, region: Sequence[float], size: tuple[int, int]
    ) -> np.ndarray:
        """A region, resized.

        Args:
            region (Sequence[float]): (x1, y1, x2, y2), original pixels, in
                the image.
            size (tuple[int]): (width, height) that it is resized to.

        Returns:
            ndarray: uint8 (height, width, 3), BGR.

        Raises:
            ImageError: It cannot be read.
        """

    def anew(self) -> 'ImageSource':
        """The same, of which nothing was read; both share what is open."""
        other = object.__new__(type(self))
        vars(other).update(vars(self), pixels_read=0, bytes_read=0)
        return other

    @abstractmethod
    def close(self) -> None:
        """Close the file; it is opened again when more is read."""


class WholeImage(ImageSource):
    """An image that is decoded whole, when it is first needed.

    Args:
        path (str | Path): What OpenCV reads.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        self._pixels = None

    @property
    def pixels(self) -> np.ndarray:
        """ndarray: uint8 (H, W, 3), BGR."""
        if self._pixels is None:
            self._pixels = read_image(self.path)
            self.pixels_read += self._pixels.shape[0] * self._pixels.shape[1]
            self.bytes_read += Path(self.path).stat().st_size
        return self._pixels

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.pixels.shape

    def read(self, region, size):
        left, top, right, bottom = (round(float(v)) for v in region)
        return resize(self.pixels[top:bottom, left:right], size)

    def close(self):
        self._pixels = None

    def __getstate__(self) -> dict:
        return dict(self.__dict__, _pixels=None)
