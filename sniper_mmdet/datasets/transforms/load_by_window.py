"""Loads only the windows of an image that are used."""

import copy
from collections import OrderedDict
from collections.abc import Sequence

from mmcv.transforms import LoadImageFromFile

from sniper_mmdet.images import (
    ImageSource,
    open_image,
    reads_windows,
    resize_whole,
)
from sniper_mmdet.images.stretch import ValueRange
from sniper_mmdet.registry import TRANSFORMS
from sniper_mmdet.utils.kept import Kept
from sniper_mmdet.utils.type_names import name_of

#: Arguments that LoadImageFromFile lacks.
OWN = 'bands', 'value_range', 'cache_mb', 'whole', 'on_error'
# Number of files that stay open.
_OPEN = 32


@TRANSFORMS.register_module()
class LoadImageByWindow(LoadImageFromFile):
    """LoadImageFromFile that reads large files by window.

    For files of :func:`~sniper_mmdet.images.reads_windows` nothing is decoded,
    and ``img`` is an :class:`~sniper_mmdet.images.ImageSource`:
    :class:`CutChip` reads its chip from it, a PyramidDetector or AutoFocus its
    tiles and FocusChips. Any other file is loaded as by ``LoadImageFromFile``.

    Modified keys:

    - img, img_shape, ori_shape

    Args:
        bands, value_range: See :func:`~sniper_mmdet.images.open_image`.
            Default to None.
        cache_mb (float): Megabytes of the last decoded images that each worker
            keeps, for ``images_together`` of :class:`ChipSampler`. Arrays are
            then read-only. Defaults to 0.
        whole (bool): Whether such a file is read whole, as an array, for
            transforms that need one. Defaults to False.
        on_error (str): See :func:`~sniper_mmdet.images.open_image`. Defaults
            to 'raise'.
        **kwargs: Arguments of ``LoadImageFromFile``.
    """

    def __init__(
        self,
        bands: Sequence[int] | None = None,
        value_range: ValueRange | str | None = None,
        cache_mb: float = 0,
        whole: bool = False,
        on_error: str = 'raise',
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.whole, self.on_error = whole, on_error
        self.bands = bands
        self.value_range = value_range
        self.cache_mb = cache_mb
        self._kept, self._sources = Kept(cache_mb * 1e6), OrderedDict()

    def transform(self, results: dict) -> dict | None:
        path = results['img_path']
        if (kept := self._kept.get(path)) is not None:
            return dict(results, **kept)
        if self.opens(path):
            image = self._opened(path)
            shape = image.shape[:2]
            if self.whole:
                image = resize_whole(image, shape[::-1])
            return dict(results, img=image, img_shape=shape, ori_shape=shape)
        loaded = super().transform(results)
        if loaded is not None and self.cache_mb > 0:
            self._keep(path, loaded)
        return loaded

    def opens(self, path: str) -> bool:
        """Test whether a file is read by window."""
        if path in self._sources:
            return True
        asked = self.bands is not None or self.value_range is not None
        return asked or reads_windows(path)

    def _opened(self, path: str) -> ImageSource:
        """Open a source; its file stays open for the next chip."""
        if path not in self._sources:
            how = self.bands, self.value_range, self.on_error
            self._sources[path] = open_image(path, *how)
            if len(self._sources) > _OPEN:
                self._sources.popitem(last=False)[1].close()
        self._sources.move_to_end(path)
        return self._sources[path].anew()

    def _keep(self, path: str, loaded: dict) -> None:
        """Keep an image, and drop the oldest ones if there is no room."""
        names = 'img', 'img_shape', 'ori_shape'
        kept = {name: loaded[name] for name in names}
        loaded['img'].flags.writeable = False
        self._kept.put(path, kept, loaded['img'].nbytes)

    def with_errors(self, on_error: str) -> 'LoadImageByWindow':
        """Return a copy with another ``on_error``, and no open files."""
        other = copy.copy(self)
        other.on_error = on_error
        return other

    def forget(self) -> None:
        """Drop the images in the cache, and close files."""
        self._kept = Kept(self._kept.most)
        while self._sources:
            self._sources.popitem()[1].close()

    def __getstate__(self) -> dict:
        empty = dict(_kept=Kept(self._kept.most), _sources=OrderedDict())
        return {**self.__dict__, **empty}

    def __repr__(self) -> str:
        own = f'bands={self.bands}, value_range={self.value_range}, '
        own += f'cache_mb={self.cache_mb}, '
        return super().__repr__().replace('(', f'({own}', 1)


def loading_whole(step: dict) -> dict:
    """Replace this step by one that loads an array, for whole images.

    Other steps are returned as they are.
    """
    if name_of(step) != LoadImageByWindow.__name__:
        return step
    if step.get('bands') is not None or step.get('value_range') is not None:
        return dict(step, whole=True)
    kept = {key: step[key] for key in step if key not in OWN}
    return dict(kept, type='LoadImageFromFile')


def loading_by_window(step: dict) -> dict:
    """Replace mmcv's step by this one; return other steps as they are."""
    if name_of(step) != 'LoadImageFromFile':
        return step
    return dict(step, type='sniper_mmdet.LoadImageByWindow')
