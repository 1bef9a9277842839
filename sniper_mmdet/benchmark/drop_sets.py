"""Datasets for dropped labels: COCO files, or PASCAL VOC's layout."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
from mmengine.fileio import load

from sniper_mmdet.datasets.dropped_labels import as_coco
from sniper_mmdet.datasets.reading import build_read
from sniper_mmdet.utils.files import write_json

_VOC = 'VOC2007'
_SPLITS = dict(train='trainval', val='test')


class DropSet:
    """A dataset with a training and a test split.

    Args:
        root (Path): A folder with ``train.json``, ``val.json`` and
            ``images/``, or with ``VOC2007/``.
        folder (Path): Folder for the COCO files that are written.

    Raises:
        FileNotFoundError: ``root`` has neither.

    Attributes:
        train (dict): Content of the COCO file for training.
        val (Path): COCO file for tests.
        classes (list[str]): Classes of both, in the order of the file's
            categories. A class without a training box is left out.
        images (Path): The folder that file names are relative to.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        if (root / _VOC).is_dir():
            found = _voc(root)
            self.images = root
        elif (root / 'train.json').is_file():
            found = {
                name: load(root / f'{name}.json') for name in ('train', 'val')
            }
            self.images = root / 'images'
        else:
            raise FileNotFoundError(
                f'{root} must have train.json, val.json and images/, or '
                f'{_VOC}/.'
            )
        used = {one['category_id'] for one in found['train']['annotations']}
        for coco in found.values():
            coco['categories'] = [
                one for one in coco['categories'] if one['id'] in used
            ]
            coco['annotations'] = [
                one
                for one in coco['annotations']
                if one['category_id'] in used
            ]
        self.train = found['train']
        self.classes = [one['name'] for one in self.train['categories']]
        self.val = folder / 'val.json'
        write_json(self.val, found['val'])

    def side_of(self, most: int) -> int:
        """The shorter side that images are resized to."""
        sides = [min(i['width'], i['height']) for i in self.train['images']]
        return min(int(np.median(sides)), most)


def _voc(root: Path) -> dict[str, dict]:
    """Content of COCO files for both splits of PASCAL VOC's layout."""
    names = set()
    for path in sorted((root / _VOC / 'Annotations').glob('*.xml')):
        tree = ElementTree.parse(path)
        names.update(one.text for one in tree.iterfind('object/name'))
    classes = tuple(sorted(names))
    found = {}
    for name, split in _SPLITS.items():
        dataset = build_read(
            dict(
                type='VOCDataset',
                metainfo=dict(classes=classes),
                data_root=str(root),
                data_prefix=dict(sub_data_root=f'{_VOC}/'),
                ann_file=f'{_VOC}/ImageSets/Main/{split}.txt',
                test_mode=name == 'val',
            )
        )
        infos = [dataset.get_data_info(i) for i in range(len(dataset))]
        found[name] = as_coco(infos, classes, root)
    return found
