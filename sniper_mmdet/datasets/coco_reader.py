"""Reads a CocoDataset's file once, for mmdet and for the checks."""

from collections import Counter
from collections.abc import Callable
from os import path as osp

import numpy as np
from mmdet.datasets import CocoDataset
from mmdet.datasets.api_wrappers import COCO

from sniper_mmdet.chips.coco_content import CocoContent, check_coco, first_of
from sniper_mmdet.chips.coco_fields import entries, unique_images

from .annotations import images_left_out, read_annotations

#: Fields of an annotation that mmdet reads without a check.
_NEEDED = ('id', 'category_id', 'area')


def reads_coco(dataset) -> bool:
    """Test whether a dataset reads its file by pycocotools."""
    return isinstance(dataset, CocoDataset) and dataset.COCOAPI is COCO


class CocoReader:
    """Reads the file of a CocoDataset, checks it, and passes it on to mmdet.

    While the dataset reads, the reader replaces its ``COCOAPI``. An image
    whose size is missing or not above 0 gets the size of its header before
    mmdet sees it.

    Args:
        dataset (CocoDataset): A dataset that has read nothing yet.
        measure (Callable): Takes the path of an image and returns its size.
    """

    def __init__(
        self, dataset, measure: Callable[[str], tuple[int, int]]
    ) -> None:
        self.dataset, self._measure = dataset, measure
        self._content: CocoContent | None = None
        self._listed = 0

    def read(self) -> list[str]:
        """Let the dataset read; return sentences about what it leaves out."""
        dataset = self.dataset
        dataset.COCOAPI = self
        try:
            read_annotations(
                dataset, dataset.full_init, left_out=lambda: self.left_out(0)
            )
        finally:
            del dataset.COCOAPI
        sentences = self.left_out(len(dataset))
        self._content = None  # else a reference cycle keeps the file
        return sentences

    def __call__(self, path: str) -> COCO:
        check = self._check

        class CheckedCOCO(COCO):
            def createIndex(self) -> None:
                check(self.dataset)
                super().createIndex()

        return CheckedCOCO(path)

    def _check(self, coco: dict) -> None:
        dataset, path = self.dataset, self.dataset.ann_file
        if dataset.test_mode and isinstance(coco, dict):
            coco.setdefault('annotations', [])  # test splits may have none
        if isinstance(coco, dict) and 'categories' not in coco:
            return  # mmdet raises its own error
        if type(dataset).parse_data_info is not CocoDataset.parse_data_info:
            # Its annotations may have any form.
            unique_images(entries(coco, path, 'images'), path)
            return
        classes = dataset.metainfo['classes']
        content = check_coco(coco, path, classes, self._size, _NEEDED)
        self._content, self._listed = content, len(coco['images'])
        for image in content.images:
            self._path(image)
        ids = [ann['id'] for ann in content.annotations]
        if len(set(ids)) < len(ids):
            (twice, _), *_ = Counter(ids).most_common(1)
            raise ValueError(
                f'{path} has two annotations of the id {twice!r}.'
            )

    def _path(self, image: dict) -> str:
        name = image.get('file_name')
        if not isinstance(name, str):
            raise ValueError(
                f'{self.dataset.ann_file}: the file_name of image '
                f'{image["id"]} must be text. Received: {name!r:.200}.'
            )
        return osp.join(self.dataset.data_prefix.get('img', ''), name)

    def _size(self, image: dict) -> tuple[int, int]:
        return self._measure(self._path(image))

    def left_out(self, kept: int) -> list[str]:
        """Sentences about what is left out; ``kept`` images are left."""
        content = self._content
        if content is None:
            return []
        # In a test the metric decides what counts.
        found = ['' if self.dataset.test_mode else content.left_out_text()]
        twice = self._listed - len(content.images)
        if twice:
            found.append(
                f'{content.path}: {twice} images are listed twice, with the '
                'same id and file name, and are used once.'
            )
        names = np.array([image['file_name'] for image in content.images])
        _, first = np.unique(names, return_index=True)
        again = np.delete(names, first)
        if len(again):
            found.append(
                f'{content.path}: {len(again)} images have the file name of '
                f'another ({first_of(again)}). Each has its own boxes only: '
                'the boxes of the other are background.'
            )
        found.append(self._images_left_out(content, names, kept))
        return [sentence for sentence in found if sentence]

    def _images_left_out(
        self, content: CocoContent, names: np.ndarray, kept: int
    ) -> str:
        count = len(names) - kept
        rules = self.dataset.filter_cfg
        if not count or rules is None or self.dataset.test_mode:
            return ''
        least = rules.get('min_size', 0)
        small = content.sizes.min(1) < least
        full = np.zeros(len(names), bool)
        of_class = ~(content.left_out['category'] | content.left_out['other'])
        full[content.image[of_class & (content.image >= 0)]] = True
        reasons = [(small, f'have a side below min_size {least}')]
        if rules.get('filter_empty_gt', False):
            reasons.append((~full & ~small, 'have no annotation of a class'))
        return images_left_out(content.path, names, count, reasons)
