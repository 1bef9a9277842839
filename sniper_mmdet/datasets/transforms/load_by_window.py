"""Loads of an image no more than is looked at."""

from collections import OrderedDict
from collections.abc import Sequence

from mmcv.transforms import LoadImageFromFile
from mmdet.datasets.transforms import PackDetInputs

from sniper_mmdet.images import ImageSource, open_image, reads_windows
from sniper_mmdet.images.stretch import ValueRange
from sniper_mmdet.registry import TRANSFORMS

#: Arguments that LoadImageFromFile has not.
OWN = 'bands', 'value_range', 'cache_mb'
# Files that stay open.
_OPEN = 32


@TRANSFORMS.register_module()
class LoadImageByWindow(LoadImageFromFile):
    """LoadImageFromFile that decodes nothing of a file that is read by window.

    Where :func:`~sniper_mmdet.images.reads_windows` says so, ``img`` is an
    :class:`~sniper_mmdet.images.ImageSource`: :class:`CutChip` reads its
    chip, a PyramidDetector or AutoFocus its tiles and FocusChips. Any other
    file is loaded as by ``LoadImageFromFile``.

    Modified keys:

    - img, img_shape, ori_shape

    Args:
        bands, value_range: See :func:`~sniper_mmdet.images.open_image`.
            Default to None.
        cache_mb (float): Megabytes of decoded images that each worker keeps:
            the last ones, for
            :class:`ChipSampler`'s ``images_together``. Arrays are then read
            only. Defaults to 0.
        **kwargs: Of ``LoadImageFromFile``.
    """

    def __init__(
        self,
        bands: Sequence[int] | None = None,
        value_range: ValueRange | str | None = None,
        cache_mb: float = 0,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.bands = bands
        self.value_range = value_range
        self.cache_mb = cache_mb
        self._kept, self._sources = OrderedDict(), OrderedDict()

    def transform(self, results: dict) -> dict | None:
        path = results['img_path']
        if path in self._kept:
            self._kept.move_to_end(path)
            return dict(results, **self._kept[path])
        if self.opens(path):
            image = self._opened(path)
            shape = image.shape[:2]
            return dict(results, img=image, img_shape=shape, ori_shape=shape)
        loaded = super().transform(results)
        if loaded is not None and self.cache_mb > 0:
            self._keep(path, loaded)
        return loaded

    def opens(self, path: str) -> bool:
        """Whether nothing is decoded before it is asked for."""
        if path in self._sources:
            return True
        asked = self.bands is not None or self.value_range is not None
        return asked or reads_windows(path)

    def _opened(self, path: str) -> ImageSource:
        """A source that has read nothing; files stay open for the next."""
        if path not in self._sources:
            how = self.bands, self.value_range
            self._sources[path] = open_image(path, *how)
            if len(self._sources) > _OPEN:
                self._sources.popitem(last=False)[1].close()
        self._sources.move_to_end(path)
        return self._sources[path].anew()

    def _keep(self, path: str, loaded: dict) -> None:
        """Keep an image, and forget the oldest that there is no room for."""
        names = 'img', 'img_shape', 'ori_shape'
        self._kept[path] = {name: loaded[name] for name in names}
        loaded['img'].flags.writeable = False
        sizes = [kept['img'].nbytes for kept in self._kept.values()]
        total = sum(sizes)
        for size in sizes:
            if total <= self.cache_mb * 1e6:
                break
            self._kept.popitem(last=False)
            total -= size

    def forget(self) -> None:
        """Let go of the images that are kept, and close files."""
        self._kept.clear()
        while self._sources:
            self._sources.popitem()[1].close()

    def __getstate__(self) -> dict:
        empty = dict(_kept=OrderedDict(), _sources=OrderedDict())
        return {**self.__dict__, **empty}

    def __repr__(self) -> str:
        own = f'bands={self.bands}, value_range={self.value_range}, '
        own += f'cache_mb={self.cache_mb}, '
        return super().__repr__().replace('(', f'({own}', 1)


def loading_whole(step: dict) -> dict:
    """A step of a pipeline, or where it is this one, that of mmcv.

    For transforms that need an array.
    """
    if str(step.get('type')).split('.')[-1] != LoadImageByWindow.__name__:
        return step
    kept = {key: step[key] for key in step if key not in OWN}
    return dict(kept, type='LoadImageFromFile')


def loading_by_window(step: dict) -> dict:
    """A step of a pipeline, or where it is that of mmcv, this one."""
    if str(step.get('type')).split('.')[-1] != 'LoadImageFromFile':
        return step
    return dict(step, type='sniper_mmdet.LoadImageByWindow')


@TRANSFORMS.register_module()
class PackImage(PackDetInputs):
    """PackDetInputs that packs an ImageSource as it is.

    ``inputs`` is then that source, which a PyramidDetector reads.
    """

    def transform(self, results: dict) -> dict:
        image = results.get('img')
        if not isinstance(image, ImageSource):
            return super().transform(results)
        rest = {key: results[key] for key in results if key != 'img'}
        return dict(super().transform(rest), inputs=image)
