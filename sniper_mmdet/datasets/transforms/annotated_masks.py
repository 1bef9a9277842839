"""Masks in annotated form, drawn only where a chip shows them."""

import numpy as np
from mmcv.image import imresize
from mmdet.datasets.transforms import LoadAnnotations
from mmdet.structures.mask import BitmapMasks
from pycocotools import mask as coco_mask

# pycocotools draws polygons on a grid with this many lines per pixel.
_FINE = 5


class AnnotatedMasks(BitmapMasks):
    """Masks (N, H, W) that are drawn when their pixels are needed.

    Selection, crops and resizing need no pixels: the masks store which row and
    column of the image each row and column shows. The pixels are the same as
    those of BitmapMasks. Masks are drawn one at a time.

    Args:
        annotations (list): Annotation of each mask, as in COCO: a list of
            polygons, arrays (x1, y1, x2, y2, ...), or a dict, RLE.
        size (tuple[int]): (height, width) of the image.
        rows (ndarray (H,), optional): Rows of the image, ascending. Defaults
            to None: all.
        columns (ndarray (W,), optional): Columns of the image, ascending.
            Defaults to None: all.
    """

    def __init__(self, annotations, size, rows=None, columns=None) -> None:
        self.annotations = annotations
        self.size = size
        self.rows = np.arange(size[0]) if rows is None else rows
        self.columns = np.arange(size[1]) if columns is None else columns
        self.height, self.width = len(self.rows), len(self.columns)

    @property
    def masks(self) -> np.ndarray:
        """ndarray (N, H, W): uint8, drawn again on each access."""
        shown = np.zeros((len(self), self.height, self.width), np.uint8)
        for mask, annotation in zip(shown, self.annotations, strict=True):
            pixels, x, y = _draw(annotation, self.size)
            h, w = pixels.shape
            top, bottom = np.searchsorted(self.rows, (y, y + h))
            left, right = np.searchsorted(self.columns, (x, x + w))
            own = pixels[self.rows[top:bottom] - y]
            own = own[:, self.columns[left:right] - x]
            mask[top:bottom, left:right] = own
        return shown

    def __len__(self) -> int:
        return len(self.annotations)

    def __getitem__(self, index) -> 'AnnotatedMasks':
        chosen = np.atleast_1d(np.arange(len(self))[index])
        annotations = [self.annotations[k] for k in chosen]
        return AnnotatedMasks(annotations, self.size, self.rows, self.columns)

    def crop(self, bbox: np.ndarray) -> 'AnnotatedMasks':
        """See :meth:`BitmapMasks.crop`."""
        x1, y1, x2, y2 = bbox
        rows = self.rows[max(y1, 0) : max(y2, y1 + 1)]
        columns = self.columns[max(x1, 0) : max(x2, x1 + 1)]
        return AnnotatedMasks(self.annotations, self.size, rows, columns)

    def resize(self, out_shape, interpolation='nearest') -> BitmapMasks:
        """See :meth:`BitmapMasks.resize`."""
        if interpolation != 'nearest':
            return super().resize(out_shape, interpolation)
        # OpenCV shows which row and column it takes.
        h, w = out_shape
        rows = imresize(self.rows[:, None], (1, h), interpolation='nearest')
        columns = imresize(self.columns[None], (w, 1), interpolation='nearest')
        places = rows.reshape(h), columns.reshape(w)
        return AnnotatedMasks(self.annotations, self.size, *places)

    def drawn(self) -> BitmapMasks:
        """The same masks as pixels, which later steps process faster."""
        return BitmapMasks(self.masks, self.height, self.width)


def _draw(annotation, size) -> tuple[np.ndarray, int, int]:
    """Draw the non-empty part (h, w) of a mask; its x and y in the image."""
    height, width = size
    if isinstance(annotation, dict):
        if isinstance(annotation['counts'], list):
            annotation = coco_mask.frPyObjects(annotation, height, width)
        pixels = coco_mask.decode(annotation)
        if pixels.shape != (height, width):
            raise ValueError(
                "a mask's size must be (height, width) of its image, "
                f'({height}, {width}). Received: {pixels.shape}.'
            )
        return pixels, 0, 0
    points = [polygon.reshape(-1, 2) for polygon in annotation]
    first = np.floor(np.min([p.min(0) for p in points], 0))
    last = np.ceil(np.max([p.max(0) for p in points], 0)) + 1
    first = np.maximum(first, 0).astype(int)
    w, h = np.minimum(last, (width, height)).astype(int) - first
    if w <= 0 or h <= 0:
        return np.zeros((0, 0), np.uint8), 0, 0
    # Points on pycocotools' own grid do not change when they are moved.
    moved = [np.trunc(_FINE * p + 0.5) / _FINE - first for p in points]
    pairs = zip(moved, points, strict=True)
    moved = [np.where(first > 0, *pair).ravel() for pair in pairs]
    found = coco_mask.frPyObjects(moved, h, w)
    x, y = first.tolist()
    return coco_mask.decode(coco_mask.merge(found)), x, y


class LoadAnnotatedMasks(LoadAnnotations):
    """Loads masks without drawing them.

    Differs from its parent: ``gt_masks`` are :class:`AnnotatedMasks` instead
    of BitmapMasks, each of which is as large as its image.
    :class:`ChipDataset` uses it in place of its parent.
    """

    @classmethod
    def like(cls, step: LoadAnnotations) -> 'LoadAnnotatedMasks':
        """A step with the settings of a LoadAnnotations."""
        own = cls.__new__(cls)
        vars(own).update(vars(step))
        return own

    def _load_masks(self, results: dict) -> None:
        if not self.poly2mask:
            return super()._load_masks(results)
        masks = self._process_masks(results)
        results['gt_masks'] = AnnotatedMasks(masks, results['ori_shape'])
