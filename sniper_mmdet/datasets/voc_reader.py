"""Reads and checks the files of a dataset in PASCAL VOC's format."""

import os
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from mmdet.datasets import XMLDataset
from mmengine.fileio import list_from_file

from .annotations import images_left_out, read_annotations


def reads_voc(dataset) -> bool:
    """Test whether a dataset reads files in PASCAL VOC's format."""
    return isinstance(dataset, XMLDataset)


class VOCReader:
    """Reads an XMLDataset, and reports what it leaves out.

    An image whose size in its file is not above 0 gets the size of its header
    before ``filter_cfg`` removes small images.

    Args:
        dataset (XMLDataset): A dataset that has read nothing yet.
        measure (Callable): Takes the path of an image and returns its size.
    """

    def __init__(
        self, dataset, measure: Callable[[str], tuple[int, int]]
    ) -> None:
        self.dataset, self._measure = dataset, measure
        self._instances: dict[str, int] = {}  # number, by XML file
        self._small: list[str] = []

    def read(self) -> list[str]:
        """Let the dataset read; return sentences about what it leaves out.

        Raises:
            ValueError: A field is wrong; the error names it and its file.
        """
        dataset = self.dataset
        # Indices count the images after the filter.
        is_ours = (
            dataset.filter_cfg is not None
            and dataset._indices is None
            and not dataset.test_mode
        )
        rules = dataset.filter_cfg
        if is_ours:
            dataset.filter_cfg = dict(rules, min_size=float('-inf'))
        try:
            read_annotations(
                dataset, dataset.full_init, left_out=self.left_out
            )
        except ValueError:
            for path in self._files():
                check_voc_file(path, dataset.metainfo['classes'])
            raise
        finally:
            dataset.filter_cfg = rules
        least = rules.get('min_size', 0) if is_ours else float('-inf')
        kept = []
        for index in range(len(dataset)):
            info = dataset.get_data_info(index)
            self._instances[info['xml_path']] = len(info['instances'])
            size = info['width'], info['height']
            if is_ours and min(size) < 1:
                size = self._measure(info['img_path'])
            if min(size) >= least:
                kept.append(index)
            else:
                self._small.append(info['xml_path'])
        if self._small:
            read_annotations(
                dataset, dataset.get_subset_, kept, left_out=self.left_out
            )
        return self.left_out()

    def _files(self) -> list[str]:
        data = self.dataset
        folder = os.path.join(data.sub_data_root, data.ann_subdir)
        names = list_from_file(data.ann_file)
        paths = [os.path.join(folder, f'{name}.xml') for name in names]
        return [path for path in paths if os.path.isfile(path)]

    def left_out(self) -> list[str]:
        """Sentences about what is left out."""
        files, classes = self._files(), self.dataset.metainfo['classes']
        others: Counter = Counter()
        first = ''
        for path in files:
            # To parse all files again would take as long as the first time.
            number = Path(path).read_bytes().count(b'<object>')
            if number != self._instances.get(path):
                found = ElementTree.parse(path).getroot().findall('object')
                names = [thing.findtext('name') for thing in found]
                unknown = [name for name in names if name not in classes]
                first = first or (path if unknown else '')
                others.update(unknown)
        sentences = []
        if others:
            sentences.append(
                f'{self.dataset.ann_file}: {others.total()} objects train no '
                'box, as their classes are not those of metainfo: '
                f'{dict(others.most_common(10))}, first in {first}. metainfo '
                f'has {list(classes)}.'
            )
        left = np.array([path not in self._instances for path in files])
        small = np.isin(files, self._small)
        count = (left | small).sum()
        if count:
            rules = self.dataset.filter_cfg or {}
            reasons = [(small, f'have a side below {rules.get("min_size")}')]
            if rules.get('filter_empty_gt') and self.dataset._indices is None:
                reasons.append((left, 'have no object of a class'))
            sentences.append(
                images_left_out(
                    self.dataset.ann_file, np.array(files), count, reasons
                )
            )
        return sentences


def check_voc_file(path: str, classes: tuple[str, ...]) -> None:
    """Check the fields that mmdet's XMLDataset reads from a file.

    Raises:
        ValueError: A field is wrong; the error names it, its object and file.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except SyntaxError as error:
        raise ValueError(f'{path}: {type(error).__name__}: {error}.') from None
    size = root.find('size')
    if size is not None:
        for side in ('width', 'height'):
            _check(path, 'the image', size, side, int)
    for number, thing in enumerate(root.findall('object'), 1):
        place = f'object {number}'
        if _check(path, place, thing, 'name', str) not in classes:
            continue
        if thing.find('difficult') is not None:
            _check(path, place, thing, 'difficult', int)
        box = thing.find('bndbox')
        if box is None:
            raise ValueError(f'{path}: {place} has no bndbox.')
        for side in ('xmin', 'ymin', 'xmax', 'ymax'):
            _check(path, place, box, side, lambda text: int(float(text)))


def _check(path, place, element, field, kind: Callable):
    found = element.find(field)
    if found is None:
        raise ValueError(f'{path}: {place} has no {field}.')
    try:
        return kind(found.text)
    except (OverflowError, TypeError, ValueError):
        what = 'a whole number' if kind is int else 'a number'
        raise ValueError(
            f'{path}: the {field} of {place} must be {what}. Received: '
            f'{found.text!r}.'
        ) from None
