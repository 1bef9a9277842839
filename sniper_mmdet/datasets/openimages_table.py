"""Boxes and image labels of OpenImages, as flat arrays."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from sniper_mmdet.utils.errors import UserError

from .formats.csv_rows import Rows
from .formats.openimages import GROUP_OF, box_rows, label_rows
from .formats.openimages_challenge import challenge_rows


@dataclass
class OpenImagesTable:
    """Annotations of N images from OpenImages' files, in file order.

    Attributes:
        ids (ndarray (N,)): Bytes, ids of the images.
        offsets (ndarray (N + 1,)): int64; image i has the boxes
            ``offsets[i]:offsets[i + 1]``.
        boxes (ndarray (M, 4)): float32 x1, y1, x2, y2, in shares of the
            image's sides; in pixels if there are ``sizes``.
        labels (ndarray (M,)): int32, classes of the boxes.
        attributes (ndarray (M, 5)): int8, see
            :data:`~.formats.openimages.ATTRIBUTES`.
        label_offsets (ndarray (N + 1,)): int64, ``offsets`` of image labels.
        image_labels (ndarray (L,)): int32, verified classes.
        is_there (ndarray (L,)): bool, whether the image shows the class.
        sizes (ndarray (N, 2)): int64 (width, height); 0: not in the files.
        notes (ndarray (K,)): Sentences about what was left out.
    """

    ids: np.ndarray
    offsets: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    attributes: np.ndarray
    label_offsets: np.ndarray
    image_labels: np.ndarray
    is_there: np.ndarray
    sizes: np.ndarray
    notes: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays by name."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @property
    def is_group_of(self) -> np.ndarray:
        """ndarray (M,): bool, whether a box is around a group."""
        return self.attributes[:, GROUP_OF] == 1

    @cached_property
    def seen_classes(self) -> np.ndarray:
        """ndarray (K,): int32, classes that an image is said to show."""
        told = self.labels, self.image_labels[self.is_there]
        return np.unique(np.concatenate(told))

    def verified(self, index: int) -> dict[int, bool]:
        """Verified classes of an image, and whether it shows them."""
        own = slice(*self.label_offsets[index : index + 2])
        told = self.is_there[own].tolist()
        return dict(zip(self.image_labels[own].tolist(), told, strict=True))

    def of_images(self, images: Sequence[int] | np.ndarray):
        """The table of some images, in the given order."""
        images = np.asarray(images, int)
        rows, offsets = _rows_of(self.offsets, images)
        told, label_offsets = _rows_of(self.label_offsets, images)
        return replace(
            self,
            ids=self.ids[images],
            offsets=offsets,
            boxes=self.boxes[rows],
            labels=self.labels[rows],
            attributes=self.attributes[rows],
            label_offsets=label_offsets,
            image_labels=self.image_labels[told],
            is_there=self.is_there[told],
            sizes=self.sizes[images],
        )

    def of_boxes(self, kept: np.ndarray):
        """The table with the boxes of a mask (M,) and all images."""
        before = np.concatenate([[0], np.cumsum(kept)])
        return replace(
            self,
            offsets=before[self.offsets],
            boxes=self.boxes[kept],
            labels=self.labels[kept],
            attributes=self.attributes[kept],
        )


def _rows_of(offsets, images) -> tuple[np.ndarray, np.ndarray]:
    counts = np.diff(offsets)[images]
    ends = np.concatenate([[0], np.cumsum(counts)])
    rows = np.arange(ends[-1]) + np.repeat(offsets[images] - ends[:-1], counts)
    return rows, ends


def read_table(
    ann_file: str,
    mids: Sequence[str],
    label_file: str | None = None,
    unknown_classes: str = 'raise',
) -> OpenImagesTable:
    """Read boxes and, if a file is given, image labels.

    Args:
        ann_file (str): Boxes, csv, or the challenge's text file (.txt).
        mids (Sequence[str]): MIDs of the classes, in the order of the labels.
        label_file (str, optional): Verified image labels, csv. The table also
            has its images without a row of a box.
        unknown_classes (str): 'raise', or 'skip': rows of other classes are
            left out and counted.

    Raises:
        UserError: A row is wrong; the error names its file and number.
    """
    if Path(ann_file).suffix == '.txt':
        blocks = challenge_rows(ann_file, len(mids))
    else:
        blocks = box_rows(ann_file, mids)
    skips = unknown_classes == 'skip'
    boxes = _Column(ann_file, skips)
    for rows, box, told, sizes in blocks:
        given = np.zeros((len(box), 0)) if sizes is None else sizes
        boxes.add(rows, box.astype(np.float32), told, given.astype(np.int64))
    labels = _Column(label_file, skips)
    fractional = 0
    for rows in label_rows(label_file, mids) if label_file else ():
        confidence = rows.numbers[:, 0]
        verified = np.isin(confidence, (0, 1))
        fractional += int((~verified & (rows.names >= 0)).sum())
        labels.add(rows, confidence == 1, kept=verified)
    return _joined(boxes, labels, fractional, len(mids))


class _Column:
    """Collects the runs of ids and the data of their rows, by block."""

    def __init__(self, path: str | None, skips: bool) -> None:
        self.path, self._skips = path, skips
        self.ids, self.counts, self.names = [], [], []
        self.values: list[tuple[np.ndarray, ...]] = []
        self._unknown, self._first = 0, None

    def add(self, rows: Rows, *values, kept=True) -> None:
        known = rows.names >= 0
        if rows.first_unknown:
            self._first = self._first or rows.first_unknown
            self._unknown += int((~known).sum())
            if not self._skips:
                line, text = self._first
                raise UserError(
                    f'{self.path}, row {line}: LabelName must be a class of '
                    f"label_file. Received: {text!r}; unknown_classes='skip' "
                    'leaves out such rows.'
                )
        kept = known & kept
        run = np.repeat(np.arange(len(rows.ids)), rows.counts)
        self.ids.append(rows.ids)
        self.counts.append(np.bincount(run[kept], minlength=len(rows.ids)))
        self.names.append(rows.names[kept])
        self.values.append(tuple(value[kept] for value in values))

    def note(self) -> str:
        if not self._unknown:
            return ''
        return (
            f'{self.path}: {self._unknown} rows are left out, as label_file '
            f'lacks their class: {self._first[1]} in row {self._first[0]} is '
            'the first.'
        )


def _concatenated(parts: Iterable[np.ndarray], like) -> np.ndarray:
    return np.concatenate([like, *parts])


def _joined(boxes: _Column, labels: _Column, fractional, classes):
    ids = _concatenated([*boxes.ids, *labels.ids], np.zeros(0, 'S1'))
    names, first, run = np.unique(ids, True, True)
    order = np.argsort(first)
    images = np.empty(len(names), np.int64)
    images[order] = np.arange(len(names))
    images = images[run.ravel()]
    count, of_boxes = len(names), sum(map(len, boxes.ids))
    if not of_boxes:
        raise UserError(
            f'{boxes.path} must have a row of a box. Received: none.'
        )
    none = np.zeros(0, np.int64)
    offsets, order_ = _by_image(images[:of_boxes], boxes.counts, count)
    parts = zip(*boxes.values, strict=True)
    box, told, given = (np.concatenate(part)[order_] for part in parts)
    name = _concatenated(boxes.names, none.astype(np.int32))[order_]
    sizes = np.zeros((count, 2), np.int64)
    if given.shape[1]:
        where = np.repeat(np.arange(count), np.diff(offsets))
        sizes[where] = given
    notes = [boxes.note(), labels.note()]
    if fractional:
        notes.append(
            f'{labels.path}: {fractional} labels whose Confidence is neither '
            '0 nor 1 are left out: no one has verified them.'
        )
    label_offsets, order_ = _by_image(images[of_boxes:], labels.counts, count)
    kinds = _concatenated(labels.names, none.astype(np.int32))[order_]
    there = [value for (value,) in labels.values]
    there = _concatenated(there, np.zeros(0, bool))[order_]
    where = np.repeat(np.arange(count), np.diff(label_offsets))
    # A repeated label counts once. Present wins over absent.
    key = where * classes + kinds
    best = np.lexsort((~there, key))
    kept = best[np.unique(key[best], return_index=True)[1]]
    both = len(np.unique(key[there])) + len(np.unique(key[~there])) - len(kept)
    if both:
        notes.append(
            f'{labels.path}: {both} labels are present in one row and absent '
            'in another, and count as present.'
        )
    label_offsets = np.searchsorted(where[kept], np.arange(count + 1))
    return OpenImagesTable(
        names[order],
        offsets,
        box,
        name,
        told,
        label_offsets,
        kinds[kept],
        there[kept],
        sizes,
        np.array([note for note in notes if note], 'U'),
    )


def _by_image(images, counts, number) -> tuple[np.ndarray, np.ndarray | slice]:
    """Offsets of the rows of each image, and the order that sorts them."""
    none = np.zeros(0, np.int64)
    counts = _concatenated(counts, none)
    total = np.bincount(images, counts, number).astype(np.int64)
    offsets = np.concatenate([none, [0], np.cumsum(total)]).astype(np.int64)
    if (np.diff(images) >= 0).all():
        return offsets, slice(None)
    return offsets, np.argsort(np.repeat(images, counts), kind='stable')
