"""OpenImages as a detection dataset with millions of boxes."""

import hashlib
import os.path as osp
from pathlib import Path

import numpy as np
from mmdet.datasets import BaseDetDataset
from mmengine.logging import print_log

from sniper_mmdet.chips.coco_content import first_of
from sniper_mmdet.registry import DATASETS
from sniper_mmdet.utils.choices import check_choice
from sniper_mmdet.utils.errors import UserError
from sniper_mmdet.utils.hierarchy import read_classes

from .array_cache import cached_arrays
from .collected_boxes import FlatBoxes
from .formats.openimages import read_hierarchy
from .image_index import find_images
from .openimages_table import OpenImagesTable, read_table

#: Names of the flags of an instance, as in mmdet's OpenImagesDataset.
FLAGS = 'is_occluded is_truncated is_group_of is_depiction is_inside'.split()
_VERSION = 1


@DATASETS.register_module()
class OpenImagesDataset(BaseDetDataset):
    """OpenImages, V3 to V7 and the challenge, with its group boxes and labels.

    Differs from mmdet's ``OpenImagesDataset``:

    - It reads the sizes of images from their headers, not from a pickle.
    - Rows may have any order.
    - Boxes and labels are arrays, and are cached in a file beside
      ``ann_file``, so that 14 million boxes are ready in seconds.
    - It also reads the challenge's csv and text files, and the csv without a
      header of the Soft Sampling code.
    - It has images without a box if they have verified labels.

    Everything that is left out is counted, see :attr:`left_out`.

    Instances have ``is_group_of`` and the other attributes of a box. With a
    file of image labels an image has ``verified_labels``, a dict from a class
    to whether the image shows it. It has the classes that people looked for,
    and those of the image's boxes. All other classes are unknown. Its
    ``unseen_classes``, a list, are those that no image is said to show.

    Args:
        label_file (str): Names of the classes, csv: ``MID,name``.
        hierarchy_file (str, optional): Hierarchy of the classes, json, or
            mmdet's matrix for the challenge. Defaults to None: no class is a
            kind of another.
        image_level_ann_file (str, optional): Verified image labels, csv.
            Defaults to None: only the boxes are known.
        group_of (str): How training treats boxes around a group: 'keep', as
            objects, marked by ``is_group_of``; 'ignore', as neither object nor
            background (``ignore_flag``); 'drop', not at all. Defaults to
            'keep'.
        missing_images (str): 'raise', or 'skip': images that are missing in
            ``data_prefix`` or cannot be read are left out with their boxes,
            and counted. Defaults to 'raise'.
        unknown_classes (str): 'raise', or 'skip': rows of classes that
            ``label_file`` does not name are left out, and counted. A file of
            50 names then trains 50 classes. Defaults to 'raise'.
        cache (bool | str): Whether to cache the annotations, or the folder of
            the cache. Defaults to True: beside ``ann_file``.
        lazy_init (bool): Whether to read only classes and hierarchy at first.
            Defaults to False.
        **kwargs: Arguments of mmdet's BaseDetDataset. ``filter_cfg`` may have
            ``filter_empty_gt`` and ``min_size``.

    Raises:
        UserError: A row is wrong; the error names its file and number.
    """

    METAINFO = dict(dataset_type='oid_v6')

    def __init__(
        self,
        label_file: str,
        hierarchy_file: str | None = None,
        image_level_ann_file: str | None = None,
        group_of: str = 'keep',
        missing_images: str = 'raise',
        unknown_classes: str = 'raise',
        cache: bool | str = True,
        lazy_init: bool = False,
        **kwargs,
    ) -> None:
        check_choice('group_of', group_of, 'keep', 'ignore', 'drop')
        check_choice('missing_images', missing_images, 'raise', 'skip')
        check_choice('unknown_classes', unknown_classes, 'raise', 'skip')
        self.label_file, self.hierarchy_file = label_file, hierarchy_file
        self.image_level_ann_file = image_level_ann_file
        self.group_of, self.missing_images = group_of, missing_images
        self.unknown_classes, self.cache = unknown_classes, cache
        #: Sentences about what was left out.
        self.left_out: list[str] = []
        # Workers share the arrays; they are not serialised.
        own = dict(serialize_data=False, lazy_init=True)
        super().__init__(**dict(kwargs, **own))
        # Early, since wrappers of a dataset read its classes.
        self._name_classes()
        if not lazy_init:
            self.full_init()

    def _join_prefix(self) -> None:
        super()._join_prefix()
        for key in 'label_file', 'hierarchy_file', 'image_level_ann_file':
            path = getattr(self, key)
            if path and self.data_root:
                setattr(self, key, osp.join(self.data_root, path))

    def _name_classes(self) -> None:
        """Put classes and hierarchy into the metainfo."""
        classes = read_classes(self.label_file)
        self._mids = list(classes)
        names = tuple(classes.values())
        given = tuple(self._metainfo.get('classes', names))
        if given != names:
            raise UserError(
                f'{self.label_file} names the classes, {first_of(names)}: '
                'metainfo.classes must be left out, or the same. A file of '
                "fewer, with unknown_classes='skip', trains fewer. Received: "
                f'{first_of(given)}.'
            )
        self._metainfo['classes'] = names
        related = np.eye(len(names), dtype=bool)
        if self.hierarchy_file:
            related = read_hierarchy(self.hierarchy_file, self._mids)
        # mmdet's OpenImagesMetric reads this.
        self._metainfo['RELATION_MATRIX'] = related

    def load_data_list(self) -> OpenImagesTable:
        """Read the table of all images, and find their files."""
        table = self._read(self._mids)
        self.left_out += table.notes.tolist()
        self._files = find_images(
            self.data_prefix.get('img') or '.',
            table.ids,
            table.sizes,
            self._cache_file('images'),
        )
        return self._with_files(table)

    def _read(self, mids: list[str]) -> OpenImagesTable:
        files = [self.ann_file, self.image_level_ann_file]
        stats = [Path(path).stat() for path in files if path]
        about = dict(
            version=_VERSION,
            files=[(s.st_size, s.st_mtime_ns) for s in stats],
            classes=hashlib.sha256('\n'.join(mids).encode()).hexdigest(),
            unknown=self.unknown_classes,
        )

        def build():
            how = files[1], self.unknown_classes
            return read_table(files[0], mids, *how).arrays()

        cache = self._cache_file('boxes')
        return OpenImagesTable(**cached_arrays(cache, about, build))

    def _cache_file(self, what: str) -> Path | None:
        """Path of the cache; each choice of files has its own."""
        if not self.cache:
            return None
        path = Path(self.ann_file)
        parts = path, self.image_level_ann_file, self.label_file
        parts = *parts, self.data_prefix.get('img') if what == 'images' else ''
        text = '\n'.join(osp.realpath(part or '.') for part in parts)
        name = hashlib.sha256(text.encode()).hexdigest()[:8]
        folder = path.parent if self.cache is True else Path(self.cache)
        if self.cache is not True:
            folder.mkdir(parents=True, exist_ok=True)
        return folder / f'{path.stem}.{what}-{name}.npz'

    def _with_files(self, table: OpenImagesTable) -> OpenImagesTable:
        """Keep images that have a file, with sizes; report the others."""
        there = self._files.places >= 0
        readable = (self._files.sizes > 0).all(1)
        folder = self.data_prefix.get('img') or '.'
        for right, what in (
            (there, 'are not there'),
            (readable | ~there, 'cannot be read'),
        ):
            wrong = np.flatnonzero(~right)
            if not len(wrong):
                continue
            ids = [os_name(table.ids[k]) for k in wrong[:4]]
            text = f'{len(wrong)} of {len(right)} images {what} in {folder}'
            if self.missing_images == 'raise':
                row = self._row_of(table.ids[wrong[0]])
                raise UserError(
                    f'{row}: each image must be in {folder}, '
                    f'whole. Received: {ids[0]}; {text}. '
                    "missing_images='skip' leaves them out."
                )
            self.left_out.append(
                f'{self.ann_file}: {text} and are left out ({first_of(ids)}).'
            )
        kept = np.flatnonzero(there & readable)
        # Places of the files, for the images that are left in the table.
        self._files = self._files._replace(
            places=self._files.places[kept], sizes=self._files.sizes[kept]
        )
        in_pixels = bool((table.sizes > 0).any())
        table = table.of_images(kept) if len(kept) < len(table) else table
        self._index = np.arange(len(table))
        sizes = self._files.sizes
        if not in_pixels:
            table.boxes = table.boxes * np.tile(sizes, 2).repeat(
                np.diff(table.offsets), 0
            ).astype(np.float32)
        table.sizes = sizes.astype(np.int64)
        if self.group_of == 'drop':
            table = table.of_boxes(~table.is_group_of)
        return table

    def _row_of(self, name: bytes) -> str:
        """File and first row of an image, for an error message."""
        starts = name + b',', b'"' + name + b'"'
        for path in filter(None, (self.ann_file, self.image_level_ann_file)):
            with open(path, 'rb') as file:
                for number, line in enumerate(file, start=1):
                    same = line.startswith(starts)
                    if path.endswith('.txt'):
                        found = Path(os_name(line.strip())).stem
                        same = found == os_name(name)
                    if same:
                        return f'{path}, row {number}'
        return self.ann_file

    def filter_data(self) -> OpenImagesTable:
        """Apply ``filter_cfg`` in training."""
        table, rules = self.data_list, self.filter_cfg or {}
        if self.test_mode:
            return table
        # As in mmdet's CocoDataset. A dense head matches a box without area
        # with every anchor.
        thin = (table.boxes[:, 2:] - table.boxes[:, :2] < 1).any(1)
        if thin.any():
            self.left_out.append(
                f'{self.ann_file}: {thin.sum()} boxes have a side below a '
                'pixel and are left out.'
            )
            table = self.data_list = table.of_boxes(~thin)
        small = table.sizes.min(1, initial=2**31) < rules.get('min_size', 0)
        trained = np.ones(len(table.boxes), bool)
        if self.group_of == 'ignore':
            trained = ~table.is_group_of
        before = np.concatenate([[0], np.cumsum(trained)])
        empty = np.diff(before[table.offsets]) == 0
        if not rules.get('filter_empty_gt', False):
            empty[:] = False
        for mask, what in (
            (small, f'have a side below {rules.get("min_size")}'),
            (empty & ~small, 'have no box to train'),
        ):
            if mask.any():
                self.left_out.append(
                    f'{self.ann_file}: {mask.sum()} of {len(table)} images '
                    f'are left out by filter_cfg, as they {what}.'
                )
        kept = np.flatnonzero(~small & ~empty)
        return table if len(kept) == len(table) else self._chosen(kept)

    def _chosen(self, images) -> OpenImagesTable:
        self._index = self._index[images]
        return self.data_list.of_images(images)

    def _get_unserialized_subset(self, indices):
        every = np.arange(len(self.data_list))
        if isinstance(indices, int):
            chosen = every[:indices] if indices >= 0 else every[indices:]
        else:
            chosen = every[np.asarray(indices, int)]
        return self._chosen(chosen)

    def get_subset(self, indices):
        """A dataset of some of the images, see mmengine's BaseDataset."""
        self.full_init()
        other = self._copy_without_annotation()
        other.data_list = self.data_list
        other.data_list = other._get_unserialized_subset(indices)
        return other

    def get_data_info(self, idx: int) -> dict:
        """Info of an image, see the docstring of the class."""
        self.full_init()
        table = self.data_list
        idx = idx if idx >= 0 else len(table) + idx
        name = os_name(table.ids[idx])
        width, height = table.sizes[idx].tolist()
        own = slice(*table.offsets[idx : idx + 2])
        labels = table.labels[own].tolist()
        instances = []
        for box, label, told in zip(
            table.boxes[own].tolist(),
            labels,
            (table.attributes[own] == 1).tolist(),
            strict=True,
        ):
            flags = dict(zip(FLAGS, told, strict=True))
            ignored = int(flags['is_group_of'] and self.group_of == 'ignore')
            known = dict(bbox=box, bbox_label=label, ignore_flag=ignored)
            instances.append(known | flags)
        info = dict(
            img_id=name,
            img_path=self._files.path(self._index[idx], name),
            width=width,
            height=height,
            instances=instances,
            sample_idx=idx,
        )
        if self.image_level_ann_file:
            seen = dict.fromkeys(labels, True)
            info['verified_labels'] = table.verified(idx) | seen
            every = np.arange(len(self.metainfo['classes']))
            unseen = np.setdiff1d(
                every, table.seen_classes, assume_unique=True
            )
            info['unseen_classes'] = unseen.tolist()
        return info

    def flat_boxes(self) -> FlatBoxes:
        """Annotations of all images at once, for a ChipDataset."""
        self.full_init()
        table = self.data_list
        ignored = np.zeros(len(table.boxes), bool)
        if self.group_of == 'ignore':
            ignored = table.is_group_of
        suffixes = [suffix for _, suffix in self._files.ends]
        ends = self._files.places[self._index].tolist()
        # The same keys as those of image_keys.
        keys = [
            f'{name} {name}{suffixes[end]}'
            for name, end in zip(map(os_name, table.ids), ends, strict=True)
        ]
        counts, kinds = np.diff(table.offsets), (table.labels, ignored)
        return FlatBoxes(table.sizes, counts, table.boxes, *kinds, keys)

    def get_cat_ids(self, idx: int) -> list[int]:
        """Classes of an image's boxes."""
        self.full_init()
        own = slice(*self.data_list.offsets[idx : idx + 2])
        return np.unique(self.data_list.labels[own]).tolist()

    def full_init(self) -> None:
        """Read all files, and log what was left out."""
        if self._fully_initialized:
            return
        if self.proposal_file is not None:
            raise UserError(
                'OpenImagesDataset takes no proposal_file; a ChipDataset has '
                f'proposals. Received: {self.proposal_file!r}.'
            )
        super().full_init()
        for sentence in self.left_out:
            print_log(sentence, 'current')


def os_name(name: bytes) -> str:
    """An image's id as text."""
    return name.decode(errors='surrogateescape')
