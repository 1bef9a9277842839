"""Photographs that are changed in a few places, and keep all else."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, JpegImagePlugin

from sniper_mmdet.utils.image import images_of_any_size

from .orientation import turn
from .source import ImageError

#: Tags that tell of a picture and hold no other one, as thumbnails and the
#: notes of a camera's maker do.
_KEPT = {
    getattr(ExifTags.Base, name)
    for name in (
        'ImageDescription Make Model Orientation XResolution YResolution '
        'ResolutionUnit Software DateTime Artist HostComputer Rating '
        'Copyright XPTitle XPComment XPAuthor XPKeywords XPSubject'
    ).split()
} | {ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo}
_ORIENTATION = ExifTags.Base.Orientation
#: What is changed as another kind of pixels, besides palettes.
_WORKED_AS = {'1': 'L', 'La': 'LA', 'RGBa': 'RGBA'}
_PLAIN = 'L LA RGB RGBA RGBX CMYK YCbCr LAB HSV I I;16 F'.split()
#: Formats that Pillow writes by another name.
_WRITTEN_AS = {'MPO': 'JPEG', 'DIB': 'BMP'}
#: How well a format is written that does not say how it was.
_QUALITY = dict(WEBP=95, AVIF=90)


class Photograph:
    """The pixels of an image file, and what else is to be kept of it.

    Kept are the format, the kind of pixels, EXIF without thumbnail and maker's
    notes (which show the picture as it was), the orientation, the colour
    profile, the resolution, and a JPEG's quality. Pictures with a palette get
    true colours; colours of 16 bits are read as 8, grey of 16 bits stays.

    Args:
        path (str | Path): The file; of several pictures the first is read.

    Raises:
        ImageError: It cannot be read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            with images_of_any_size(), Image.open(path) as image:
                self.pages = getattr(image, 'n_frames', 1)
                image.load()
                self._read(image)
        except Exception as error:  # whatever decoders raise
            text = ' '.join(str(error).split())
            raise ImageError(
                f'{path} cannot be read as an image: {text:.200}'
            ) from None

    def _read(self, image: Image.Image) -> None:
        self.format = _WRITTEN_AS.get(image.format, image.format)
        exif = image.getexif()
        found = exif.get(_ORIENTATION, 1)
        #: int: EXIF's, 1 where there is none, or one that there is not.
        self.orientation = found if found in range(1, 9) else 1
        self._exif, self._info = _harmless(exif), dict(image.info)
        self._options = {}
        if self.format == 'JPEG':
            self._options['qtables'] = getattr(image, 'quantization', None)
            sampling = JpegImagePlugin.get_sampling(image)
            if sampling != -1:
                self._options['subsampling'] = sampling
        self._has_two_values = image.mode == '1'
        work = _WORKED_AS.get(image.mode, image.mode)
        if work.startswith('I;16'):
            self._work, pixels = 'I;16', np.asarray(image).astype(np.uint16)
        else:
            if work not in _PLAIN:  # palettes among them
                clear = work == 'PA' or 'transparency' in image.info
                self._info.pop('transparency', None)
                work = 'RGBA' if clear else 'RGB'
            image = image if image.mode == work else image.convert(work)
            self._work, pixels = work, np.array(image)
        #: ndarray (H, W) or (H, W, C): As they are stored; may be changed.
        self.pixels = pixels

    @property
    def size(self) -> tuple[int, int]:
        """tuple[int]: Width and height, as stored."""
        return self.pixels.shape[1], self.pixels.shape[0]

    def views(self) -> Iterator[tuple[np.ndarray, int]]:
        """The picture as detectors want it, in each way it may be seen.

        That is as its orientation tells, then as it is stored, for tags are
        often wrong; where it is transparent also on white; of more than 8
        bits from 0 to its highest value, and without the outer hundredths.

        Returns:
            Iterator: uint8 (H, W, 3), BGR, and the orientation by which it was
            turned.
        """
        for seen in self._colours():
            for orientation in dict.fromkeys((self.orientation, 1)):
                image = turn(seen, orientation)[..., ::-1]
                yield np.ascontiguousarray(image), orientation

    def _colours(self) -> Iterator[np.ndarray]:
        """uint8 (H, W, 3), RGB, as stored."""
        pixels = self.pixels
        if self._work in ('I', 'I;16', 'F'):
            pixels = np.nan_to_num(pixels.astype(float), posinf=0, neginf=0)
            # What uses a few of its bits would be black, and so would all
            # around a pixel that is much too bright.
            whole = min(pixels.min(), 0), pixels.max()
            for low, high in (whole, np.percentile(pixels, (1, 99))):
                grey = (pixels - low) * (255 / max(high - low, 1e-9))
                grey = grey.clip(0, 255).astype(np.uint8)
                yield np.repeat(grey[..., None], 3, 2)
            return
        image = self._image()
        yield np.asarray(image.convert('RGB'))
        if self._work in ('LA', 'RGBA') and (pixels[..., -1] < 255).any():
            image = image.convert('RGBA')
            white = Image.new('RGBA', image.size, 'white')
            yield np.asarray(Image.alpha_composite(white, image))[..., :3]

    def _image(self) -> Image.Image:
        pixels = np.ascontiguousarray(self.pixels)
        return Image.frombytes(self._work, self.size, pixels.tobytes())

    @property
    def is_writable(self) -> bool:
        """bool: Whether its format can be written; else it becomes a PNG."""
        return self.format in Image.SAVE

    def save(self, path: str | Path) -> None:
        """Write it as it is now, to a file that is not its own.

        Raises:
            ImageError: Its format cannot hold it.
        """
        image, name = self._image(), self.format
        if not self.is_writable:
            name = 'PNG'
        if self._has_two_values:
            image = image.convert('1', dither=Image.Dither.NONE)
        kept = {
            key: self._info[key]
            for key in ('icc_profile', 'dpi')
            if self._info.get(key)
        }
        if self._exif:
            kept['exif'] = self._exif
        if name == 'JPEG' and self._info.get('progressive'):
            kept['progressive'] = True
        if name == 'PNG' and 'transparency' in self._info:
            kept['transparency'] = self._info['transparency']
        if name == 'TIFF' and isinstance(self._info.get('compression'), str):
            kept['compression'] = self._info['compression']
        if name in _QUALITY:
            kept['quality'] = _QUALITY[name]
        try:
            image.save(path, name, **self._options, **kept)
        except (KeyError, ValueError, OSError) as error:
            if getattr(error, 'errno', None):  # of the disk
                raise
            raise ImageError(
                f'{self.path} cannot be written as {name}: {error}'
            ) from None


def _harmless(exif: Image.Exif) -> bytes | None:
    """What may be kept of EXIF; None where that is nothing."""
    kept = Image.Exif()
    for tag, value in exif.items():
        if tag in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            value = dict(exif.get_ifd(tag))
            # A place within the old file, the latter.
            for other in (ExifTags.Base.MakerNote, ExifTags.IFD.Interop):
                value.pop(other, None)
        if tag in _KEPT:
            kept[tag] = value
    try:
        return kept.tobytes() if len(kept) else None
    except Exception:  # values that are broken
        kept = Image.Exif()
        kept[_ORIENTATION] = exif.get(_ORIENTATION, 1)
        return kept.tobytes()
