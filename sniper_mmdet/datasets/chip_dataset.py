"""A dataset of chips, around any detection dataset."""

import random
from collections.abc import Sequence

import numpy as np
import torch
from mmcv.transforms import Compose
from mmdet.datasets.transforms import LoadAnnotations, PackDetInputs
from mmengine.logging import print_log

from sniper_mmdet.chips import (
    ChipSettings,
    ImageBoxes,
    ImagePyramid,
    NegativeSettings,
    Proposals,
    chip_regions,
    mine_chips,
)
from sniper_mmdet.registry import DATASETS
from sniper_mmdet.structures import ALL_BOXES
from sniper_mmdet.utils.choices import check_choice
from sniper_mmdet.utils.image import image_size
from sniper_mmdet.utils.memory import keep_freed_memory, no_garbage

from .annotations import NO_BOX, NO_IMAGE, dataset_name
from .classes import check_classes, classes_of
from .collected_boxes import CollectedBoxes, collect_boxes
from .instances import no_mask, usable_instances
from .proposals import ProposalFile
from .reading import build_unread, read_dataset
from .transforms.annotated_masks import LoadAnnotatedMasks
from .transforms.cut_chip import OUT_OF_RANGE, CutChip


@DATASETS.register_module()
class ChipDataset:
    """Chips of the images of any mmdet detection dataset.

    A sample is a chip. ``dataset[row]`` cuts the chip of ``row``, a row of the
    table that :meth:`mine` returns; :class:`ChipSampler` yields such rows. An
    int is an index into ``mine(0, 0)``.

    The wrapped dataset needs only ``get_data_info(index)`` with ``img_path``
    and ``instances`` (``bbox``, ``bbox_label``, ``ignore_flag``). Its own
    pipeline is not used. Boxes are clipped to their image. A box with less
    than a pixel inside is left out and counted.

    With ``proposals`` there are negative chips too, also from images without
    boxes, if the wrapped dataset keeps such images
    (``filter_cfg=dict(filter_empty_gt=False)``).

    Args:
        dataset (dict | BaseDataset): The wrapped dataset, or its config.
        scales (Sequence): Levels, coarse to fine; see
            :class:`~sniper_mmdet.chips.ImagePyramid`.
        valid_ranges (Sequence[tuple], optional): (low, high) sizes per level,
            original pixels. Defaults to None: all sizes at every level.
        pipeline (Sequence[dict | Callable]): Steps that load the image, among
            them a :class:`CutChip`.
        chip_size (int): Side of a chip, level pixels. Defaults to 512.
        stride (int | tuple[int]): See :class:`ChipSettings`.
        min_side (float): See :class:`ChipSettings`.
        on_error (str): 'raise', or 'skip': an image that cannot be read, or an
            annotation with a box that is not finite, is replaced by the chip
            of another image, reported once, and counted in ``skipped_images``.
            Defaults to 'raise'. OpenCV before 4.11 reads a truncated JPEG and
            leaves the rest grey. Images that mmdet's own datasets leave out
            are logged once, see
            :func:`~sniper_mmdet.datasets.reading.read_dataset`.
        proposals (str, optional): Proposal file for negative chips, written by
            ``tools/extract_proposals.py``. Defaults to None: no negative
            chips, or those of :class:`NegativeChipMiningHook` in its online
            mode.
        negatives (dict, optional): How negative chips are chosen, see
            :class:`~sniper_mmdet.chips.NegativeSettings`. Defaults to None: as
            released.
        missing_proposals (str): 'raise', or 'skip': images that are missing in
            the proposal file get no negative chips. Defaults to 'raise'.
        out_of_range (str, optional): How visible boxes that a chip does not
            train are treated: 'ignore', 'drop' or 'keep', see
            :class:`CutChip`, whose own argument takes precedence. AutoFocus
            learns from all boxes in any case. Defaults to None: 'ignore'.
        focus_sizes (Sequence[float], optional): The ``sizes`` of the focus
            head of an AutoFocus. Chips are then also cut for objects that it
            learns to notice, see :class:`ChipSettings`. Defaults to None: no
            such chips.

    Raises:
        ValueError: The settings do not fit each other, the dataset is empty,
            an annotation is broken (with ``on_error='raise'``), or the
            proposals are damaged or of another dataset.

    Examples:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from sniper_mmdet.datasets import ChipDataset
        >>> from sniper_mmdet.datasets.synthetic import (
        ...     SampleSettings, write_sample_data)
        >>> root = Path(tempfile.mkdtemp(), 'sample')
        >>> small = SampleSettings(
        ...     train=2, val=1, seed=0, size=(200, 260), objects=(3, 6),
        ...     max_size=80)
        >>> written = write_sample_data(root, small)
        >>> dataset = ChipDataset(
        ...     dict(type='sniper_mmdet.SampleDataset', data_root=str(root),
        ...          ann_file='train.json', data_prefix=dict(img='images/')),
        ...     scales=[0.5, 1.0], valid_ranges=[(40, None), (0, 64)],
        ...     chip_size=96, stride=10, pipeline=[
        ...         dict(type='LoadImageFromFile'),
        ...         dict(type='mmdet.LoadAnnotations', with_bbox=True),
        ...         dict(type='sniper_mmdet.CutChip'),
        ...         dict(type='mmdet.PackDetInputs')])
        loading annotations into memory...
        Done (t=...s)
        creating index...
        index created!
        >>> table = dataset.mine(seed=0, epoch=0)
        >>> len(table) == len(dataset)
        True
        >>> dataset[table[0]]['inputs'].shape
        torch.Size([3, 96, 96])
    """

    def __init__(
        self,
        dataset,
        scales: Sequence,
        valid_ranges: Sequence[tuple] | None = None,
        pipeline: Sequence = (),
        chip_size: int = 512,
        stride: int | tuple[int, int] = (56, 59),
        min_side: float = 2,
        on_error: str = 'raise',
        proposals: str | None = None,
        negatives: dict | None = None,
        missing_proposals: str = 'raise',
        out_of_range: str | None = None,
        focus_sizes: Sequence[float] | None = None,
    ) -> None:
        modes, pyramid = ('raise', 'skip'), ImagePyramid(scales, valid_ranges)
        how = chip_size, stride, min_side, focus_sizes
        self.settings = ChipSettings(pyramid, *how)
        check_choice('on_error', on_error, *modes)
        check_choice('missing_proposals', missing_proposals, *modes)
        check_choice('out_of_range', out_of_range, *OUT_OF_RANGE)
        self.on_error, self.missing_proposals = on_error, missing_proposals
        self.out_of_range = out_of_range
        self.negatives = NegativeSettings(**(negatives or {}))
        self.negatives.thresholds(len(pyramid))
        self.negatives.bounds(pyramid)
        self._file = ProposalFile(proposals) if proposals else None
        self._left_out: list[str] | None = None
        if isinstance(dataset, dict):
            self.dataset = build_unread(dataset)
            if not dataset.get('lazy_init'):
                self._read()
        else:
            self.dataset = dataset
        self.pipeline = Compose(pipeline)
        steps = self.pipeline.transforms
        steps[:] = [
            LoadAnnotatedMasks.like(step)
            if type(step) is LoadAnnotations
            else step
            for step in steps
        ]
        cuts = [step for step in steps if isinstance(step, CutChip)]
        if pipeline and not cuts:
            raise ValueError(
                'the pipeline of a ChipDataset must hold a '
                'sniper_mmdet.CutChip after the image is loaded. Received: '
                f'{[type(step).__name__ for step in steps]}.'
            )
        packs = [step for step in steps if isinstance(step, PackDetInputs)]
        modes = [cut.out_of_range or out_of_range for cut in cuts]
        #: Whether samples also have boxes that the detector does not see.
        self.keeps_unseen = bool(packs) and 'drop' in modes
        for pack in packs if self.keeps_unseen else ():
            pack.meta_keys = (*pack.meta_keys, *ALL_BOXES)
        self._images = self._table = self._proposals = None
        # Factors of the levels, by the size of an image.
        self._scales = {}
        self._generator = np.random.MT19937()
        self._no_box = ''

    @property
    def metainfo(self) -> dict:
        """dict: the metainfo of the wrapped dataset."""
        return self.dataset.metainfo

    @property
    def images(self) -> ImageBoxes:
        """ImageBoxes: sizes and trained boxes of all images."""
        self.full_init()
        return self._images

    @property
    def box_labels(self) -> np.ndarray:
        """ndarray (M,): int32, the class of each box of :attr:`images`."""
        self.full_init()
        return self._labels

    @property
    def skipped_images(self) -> list[int]:
        """list[int]: images that any worker has left out so far."""
        self.full_init()
        return self.skipped.nonzero().flatten().tolist()

    def full_init(self) -> None:
        """Read all annotations; called by the runner before workers start."""
        if self._images is not None:
            return
        self._read()
        check_classes(self.dataset)
        num_images = len(self.dataset)
        if num_images == 0:
            text = NO_IMAGE.format(dataset_name(self.dataset))
            raise ValueError(' '.join([text, *self._left_out]))
        # Shared memory: the main process sees the marks of workers.
        self.skipped = torch.zeros(num_images, dtype=torch.bool)
        self.skipped.share_memory_()
        with no_garbage():
            found = collect_boxes(self.dataset, self._fail)
        self.keys, self._images = found.keys, found.images
        self._labels = found.box_labels
        # Marks of workers come later and do not count: all processes mine the
        # same.
        self._unreadable = found.broken
        self._warn(found)
        if self._file is not None:
            self.set_proposals(self._file)

    def _read(self) -> None:
        if self._left_out is None:
            with no_garbage():
                self._left_out = read_dataset(self.dataset, self._measure)
            for sentence in self._left_out:
                print_log(f'ChipDataset: {sentence}', 'current')

    def _measure(self, path: str) -> tuple[int, int]:
        """Size of an image without a size in its annotation."""
        try:
            return image_size(path)
        except OSError as error:
            if self.on_error == 'raise':
                raise
            print_log(f'ChipDataset skips {path}: {error}', 'current')
            return 0, 0

    @property
    def proposals(self) -> Proposals | None:
        """Proposals: the boxes for negative chips; None if there are none."""
        self.full_init()
        if self._file is not None:
            self._file.require_unchanged()
            if self._proposals is None:
                self.set_proposals(self._file)
        return self._proposals

    @property
    def proposal_file(self) -> ProposalFile | None:
        """ProposalFile: the file of :attr:`proposals`."""
        return self._file

    def set_proposals(self, file: ProposalFile) -> None:
        """Mine negative chips from a file from now on.

        The number of chips per epoch, ``len``, does not change.

        Args:
            file (ProposalFile): Proposals on the dataset's images.

        Raises:
            ValueError: The proposals are of other images.
        """
        sizes = self.images.sizes
        sizes[self._unreadable] = 0
        found = file.select(self.keys, sizes, self.missing_proposals)
        found.entries[self._unreadable] = -1
        self._file, self._proposals = file, found

    def mine(self, seed: int, epoch: int) -> np.ndarray:
        """Mine the chip table of an epoch.

        The table depends only on the dataset, its proposals and the arguments.

        Returns:
            ndarray (C,): Rows of :data:`~sniper_mmdet.chips.CHIP_DTYPE`.
        """
        settings, negatives = self.settings, self.negatives
        return mine_chips(
            self.images, settings, seed, epoch, self.proposals, negatives
        )

    def why_no_chip(self) -> str:
        """The reason, as a sentence, where no chip can be cut."""
        self.full_init()
        return self._no_box or (
            f'no chip can be cut: none of the {len(self.images.boxes)} boxes '
            f'of {dataset_name(self.dataset)} is valid at any level of '
            f'{self.settings}.'
        )

    def __len__(self) -> int:
        """Number of chips per epoch, that of ``mine(0, 0)``."""
        if self._table is None:
            self._table = self.mine(0, 0)
        return len(self._table)

    def __getitem__(self, row: int | np.void) -> dict:
        keep_freed_memory()
        if isinstance(row, (int, np.integer)):
            if not -len(self) <= row < len(self):
                raise IndexError(row)
            row = self._table[row]
        # Augmentations use the global generators. Seeded by the chip, they do
        # not depend on the worker, or on earlier samples.
        python, numpy = random.getstate(), np.random.get_bit_generator()
        # Copies of NumPy's state would take as long as all boxes of a chip.
        np.random.set_bit_generator(self._generator)
        random.seed(int(row['seed']))
        np.random.seed(int(row['seed']))
        try:
            return self._cut(row)
        finally:
            random.setstate(python)
            np.random.set_bit_generator(numpy)

    def get_data_info(self, row: np.void, only_seen: bool = False) -> dict:
        """The input of the pipeline: the image's info and the chip.

        Args:
            row (np.void): A row of the table of :meth:`mine`.
            only_seen (bool): Whether instances that the chip does not show are
                left out, as for the pipeline. Defaults to False.

        Returns:
            dict: The wrapped dataset's info, and ``chip``, as :class:`CutChip`
            takes it, with ``positive``.
        """
        index, level = int(row['image']), int(row['level'])
        info = self.dataset.get_data_info(index)
        images, pyramid = self.images, self.settings.pyramid
        size = int(images.widths[index]), int(images.heights[index])
        region = chip_regions(row)
        instances = usable_instances(
            info['instances'],
            size,
            info['img_path'],
            region if only_seen else None,
        )
        info.update(width=size[0], height=size[1], instances=instances)
        if size not in self._scales:
            self._scales[size] = pyramid.level_scales(*size)
        info['chip'] = dict(
            region=tuple(region.tolist()),
            scale=tuple(self._scales[size][level]),
            valid_range=tuple(pyramid.bounds[level]),
            level=level,
            positive=bool(row['positive']),
        )
        if self.out_of_range:
            info['chip']['out_of_range'] = self.out_of_range
        if self.keeps_unseen:
            info['chip']['keep_unseen'] = True
        return info

    def _cut(self, row: np.void) -> dict:
        for _ in range(100):
            info = self.get_data_info(row, only_seen=True)
            try:
                sample = self.pipeline(info)
                if sample is not None:
                    return sample
            except Exception as error:  # a broken file may raise any error
                if isinstance(error, KeyError) and error.args == ('mask',):
                    error = no_mask(info)
                self._fail(int(row['image']), error, info['img_path'])
            other = np.random.randint(len(self))
            row = self._table[other]
        raise RuntimeError(
            '100 chips in a row gave no sample; see the errors above and the '
            'pipeline.'
        )

    def _fail(self, index: int, error: Exception, path: str) -> None:
        text = f'{type(error).__name__}: {error}'
        if self.on_error == 'raise':
            if path not in str(error):
                raise ValueError(
                    f'{path} could not be cut into chips: {text}'
                ) from error
            raise error
        if not self.skipped[index]:
            self.skipped[index] = True
            print_log(f'ChipDataset skips {path}: {text}', 'current')

    def _warn(self, found: CollectedBoxes) -> None:
        if found.num_degenerate:
            self._left_out.append(
                f'{found.num_degenerate} boxes have less than a pixel inside '
                'their image and are left out.'
            )
            print_log(f'ChipDataset: {self._left_out[-1]}', 'current')
        classes = classes_of(self)
        if classes and max(found.labels, default=0) >= len(classes):
            raise ValueError(
                f'{dataset_name(self.dataset)}: labels must be below '
                f'{len(classes)}, the number of metainfo.classes: {classes}. '
                f'Received: {max(found.labels)}.'
            )
        empty = [c for i, c in enumerate(classes) if i not in found.labels]
        if not len(found.images.boxes):
            self._no_box = NO_BOX.format(
                dataset_name(self.dataset),
                images=len(found.images),
                ignored=found.num_ignored,
                left_out=''.join(f'{text} ' for text in self._left_out),
                classes=classes,
            )
            print_log(f'ChipDataset: {self._no_box}', 'current')
        elif empty:
            print_log(
                f'ChipDataset: no box of the classes {empty}; are they named '
                'as in the annotations?',
                'current',
            )
        chip_size, pyramid = self.settings.chip_size, self.settings.pyramid
        levels = pyramid.level_sizes(self._images.widths, self._images.heights)
        if (levels <= chip_size).all():
            print_log(
                f'ChipDataset: chip_size {chip_size} is larger than every '
                'level of every image: chips are whole images.',
                'current',
            )

    def __getstate__(self) -> dict:
        """Workers and copies map the proposals themselves when they mine."""
        return dict(self.__dict__, _proposals=None)

    def __repr__(self) -> str:
        return (
            f'{self.__class__.__name__}({len(self.dataset)} images, '
            f'{len(self)} chips, {self.settings})'
        )
