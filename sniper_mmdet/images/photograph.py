"""Image files that are edited in a few places and keep their metadata."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, JpegImagePlugin

from sniper_mmdet.utils.image import images_of_any_size

from .orientation import turn
from .source import ImageError

#: EXIF tags that describe an image. Thumbnails and a maker's notes are left
#: out: they can hold another image.
_KEPT = {
    getattr(ExifTags.Base, name)
    for name in (
        'ImageDescription Make Model Orientation XResolution YResolution '
        'ResolutionUnit Software DateTime Artist HostComputer Rating '
        'Copyright XPTitle XPComment XPAuthor XPKeywords XPSubject'
    ).split()
} | {ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo}
_ORIENTATION = ExifTags.Base.Orientation
#: Modes of Pillow that are edited as they are; others, such as palettes, are
#: converted.
_WORKED_AS = {'1': 'L', 'La': 'LA', 'RGBa': 'RGBA'}
_PLAIN = 'L LA RGB RGBA RGBX CMYK YCbCr LAB HSV I I;16 F'.split()
#: Formats that Pillow writes by another name.
_WRITTEN_AS = {'MPO': 'JPEG', 'DIB': 'BMP'}
#: Quality of formats whose files do not state it.
_QUALITY = dict(WEBP=95, AVIF=90)


class Photograph:
    """The pixels of an image file, and the metadata to keep.

    It keeps the format, the mode of the pixels, EXIF without thumbnail and
    maker's notes (which show the image as it was), the orientation, the colour
    profile, the resolution, and a JPEG's quality. Images with a palette become
    true colour. Colours of 16 bits become 8 bits, grey of 16 bits stays.

    Args:
        path (str | Path): The file; the first image of several is read.

    Raises:
        ImageError: The file cannot be read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            with images_of_any_size(), Image.open(path) as image:
                self.pages = getattr(image, 'n_frames', 1)
                image.load()
                self._read(image)
        except Exception as error:  # decoders' errors differ
            text = ' '.join(str(error).split())
            raise ImageError(
                f'{path} cannot be read as an image: {text:.200}'
            ) from None

    def _read(self, image: Image.Image) -> None:
        self.format = _WRITTEN_AS.get(image.format, image.format)
        exif = image.getexif()
        found = exif.get(_ORIENTATION, 1)
        #: int: EXIF's orientation; 1 if it is missing or invalid.
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
        #: ndarray (H, W) or (H, W, C): Pixels as stored; may be changed.
        self.pixels = pixels

    @property
    def size(self) -> tuple[int, int]:
        """tuple[int]: Width and height as stored."""
        return self.pixels.shape[1], self.pixels.shape[0]

    def views(self) -> Iterator[tuple[np.ndarray, int]]:
        """Yield the image for detectors, in each way it may be displayed.

        The first view follows the orientation tag, the second is as stored,
        because tags are often wrong. Transparent images are also shown on
        white. Images of more than 8 bits are scaled from 0 to their highest
        value, and also without the outer hundredths.

        Returns:
            tuple: uint8 (H, W, 3), BGR, and the orientation by which it was
            turned.
        """
        for seen in self._colours():
            for orientation in dict.fromkeys((self.orientation, 1)):
                image = turn(seen, orientation)[..., ::-1]
                yield np.ascontiguousarray(image), orientation

    def _colours(self) -> Iterator[np.ndarray]:
        """Yield views of the stored image, uint8 (H, W, 3), RGB."""
        pixels = self.pixels
        if self._work in ('I', 'I;16', 'F'):
            pixels = np.nan_to_num(pixels.astype(float), posinf=0, neginf=0)
            # An image that uses few of its bits would be black, and so would
            # one with a pixel that is much too bright.
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
        """bool: Whether the format can be written; else it becomes a PNG."""
        return self.format in Image.SAVE

    def save(self, path: str | Path) -> None:
        """Write the edited image to another file.

        Raises:
            ImageError: The format cannot hold the image.
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
    """Return the EXIF tags to keep, or None."""
    kept = Image.Exif()
    for tag, value in exif.items():
        if tag in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            value = dict(exif.get_ifd(tag))
            # The latter is an offset in the old file.
            for other in (ExifTags.Base.MakerNote, ExifTags.IFD.Interop):
                value.pop(other, None)
        if tag in _KEPT:
            kept[tag] = value
    try:
        return kept.tobytes() if len(kept) else None
    except Exception:  # broken values
        kept = Image.Exif()
        kept[_ORIENTATION] = exif.get(_ORIENTATION, 1)
        return kept.tobytes()
