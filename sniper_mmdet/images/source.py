"""Image sources: pixels of an image, region by region."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sniper_mmdet.utils.errors import UserError
from sniper_mmdet.utils.image import read_image, resize


class ImageError(OSError):
    """An image cannot be read; the text is a sentence for the user."""


class ImageSource(ABC):
    """Reads resized regions of an image file.

    A copy for another process has the path only: open files stay here.

    Attributes:
        path (str): The file.
        shape (tuple[int]): (height, width, 3), like that of an array.
        pixels_read (int): Number of pixels that were read so far, from the
            file or its overviews; pixels that are read twice count twice.
        bytes_read (int): Number of bytes of these in the file, if known.
    """

    path: str
    shape: tuple[int, int, int]
    pixels_read: int = 0
    bytes_read: int = 0

    @abstractmethod
    def read(
        self, region: Sequence[float], size: tuple[int, int]
    ) -> np.ndarray:
        """Read a region, resized.

        Args:
            region (Sequence[float]): (x1, y1, x2, y2) inside the image,
                original pixels.
            size (tuple[int]): (width, height) of the result.

        Returns:
            ndarray: uint8 (height, width, 3), BGR.

        Raises:
            ImageError: The region cannot be read.
        """

    def anew(self) -> 'ImageSource':
        """Return a copy with counts of 0; both share the open file."""
        other = object.__new__(type(self))
        vars(other).update(vars(self), pixels_read=0, bytes_read=0)
        return other

    @property
    def flags(self):
        """What PackDetInputs, which needs an array, asks for first."""
        raise UserError(
            f'{self.path} is read by window: the pipeline must end with '
            "dict(type='sniper_mmdet.PackImage') instead of PackDetInputs."
        )

    def __array__(self, *args, **kwargs):
        raise UserError(
            f'{self.path} is read by window, and is no array: '
            'LoadImageFromFile, instead of LoadImageByWindow, is for '
            'transforms of whole images.'
        )

    @abstractmethod
    def close(self) -> None:
        """Close the file; the next read opens it again."""


class WholeImage(ImageSource):
    """An image that is decoded as a whole when it is first needed.

    Args:
        path (str | Path): File that OpenCV can read.
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
