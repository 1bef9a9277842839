"""Datasets of images with a class but no boxes, and of ImageNet's boxes."""

from collections.abc import Sequence
from pathlib import Path

from mmdet.datasets import BaseDetDataset, CocoDataset

from sniper_mmdet.registry import DATASETS
from sniper_mmdet.structures import image_level
from sniper_mmdet.utils.errors import UserError
from sniper_mmdet.utils.image import image_size

from .formats.class_folders import read_class_folders
from .formats.imagenet import read_boxes, read_list, read_wnids


@DATASETS.register_module()
class ImageLabelDataset(BaseDetDataset):
    """Images that are labelled as a whole, in folders or by a list.

    With a :class:`DecoupledRoIHead` they train only the classification.
    mmdet's ConcatDataset combines them with a dataset of boxes of the same
    classes. In the pipeline an image has one ignored box that covers it; its
    label is :func:`.structures.image_level` of the class.

    Args:
        *args: Arguments of the parent.
        ann_file (str): A list of ``CLASS/name``, with an ending or without.
            Defaults to '': all images of ``data_prefix['img']``, which has a
            folder per class.
        folders (Sequence[str], optional): The classes to read. Defaults to
            None: all.
        img_suffix (str): Ending of names without one. Defaults to '.JPEG'.
        like (str, optional): A type of dataset, whose classes are used.
            Defaults to None.
        **kwargs: Arguments of the parent. Without ``metainfo.classes`` the
            folders that are read are the classes.

    Raises:
        FileNotFoundError: There is no such folder or list.
        UserError: ``metainfo.classes`` lacks a class, or a class has no
            images.
    """

    METAINFO = dict(palette=CocoDataset.METAINFO['palette'])

    def __init__(
        self,
        *args,
        folders: Sequence[str] | None = None,
        img_suffix: str = '.JPEG',
        like: str | None = None,
        **kwargs,
    ) -> None:
        self.folders = folders
        self.img_suffix = img_suffix
        if like is not None:
            own = kwargs.get('metainfo') or {}
            kwargs['metainfo'] = {**DATASETS.get(like).METAINFO, **own}
        super().__init__(*args, **kwargs)

    def load_data_list(self) -> list[dict]:
        root = Path(self.data_prefix.get('img') or '.')
        pictures = self._listed(root)
        if not self.ann_file:
            found = read_class_folders(root, self.folders, least=1)
            pictures = [(c, file) for c, fs in found.items() for file in fs]
        names = list(dict.fromkeys(name for name, _ in pictures))
        classes = tuple(self.metainfo.get('classes') or names)
        self._metainfo['classes'] = classes
        unknown = [name for name in names if name not in classes]
        if unknown:
            raise UserError(
                f'{self.ann_file or root} has the class {unknown[0]!r}, which '
                f'metainfo.classes lacks ({len(classes)} names); folders '
                'names the classes to read.'
            )
        label = {name: k for k, name in enumerate(classes)}
        return [
            dict(img_path=str(path), img_id=k, label=label[name])
            for k, (name, path) in enumerate(pictures)
        ]

    def _listed(self, root: Path) -> list[tuple[str, Path]]:
        if not self.ann_file:
            return []
        found = []
        for line in read_list(self.ann_file):
            name = line.partition('/')[0]
            if self.folders is None or name in self.folders:
                suffix = '' if Path(line).suffix else self.img_suffix
                found.append((name, root / f'{line}{suffix}'))
        if not found:
            raise UserError(f'{self.ann_file} names no image to read.')
        return found

    def get_data_info(self, idx: int) -> dict:
        """Info of an image; its size is that of its header.

        Raises:
            OSError: The image cannot be read.
        """
        info = super().get_data_info(idx)
        # Otherwise millions of files would be opened before training begins.
        width, height = image_size(info['img_path'])
        whole = dict(bbox=[0, 0, width, height], ignore_flag=1)
        whole['bbox_label'] = image_level(info.pop('label'))
        return dict(info, width=width, height=height, instances=[whole])

    def get_cat_ids(self, idx: int) -> list[int]:
        return [super().get_data_info(idx)['label']]


@DATASETS.register_module()
class ImageNetDetDataset(BaseDetDataset):
    """ImageNet images with boxes of thousands of classes (R-FCN-3000).

    A list names images as ``WNID/name``. Their files are
    ``{img}/WNID/name.JPEG`` and ``{ann}/WNID/name.xml``; the folders of the
    original are ``fall11_whole`` and ``fall11_whole_bbox``. Boxes are filtered
    as in the original, see :func:`read_boxes`. Training leaves out images
    without boxes.

    Args:
        *args: Arguments of the parent.
        class_file (str, optional): A file for :func:`read_wnids`, relative to
            ``data_root``. Defaults to None: ``metainfo.classes`` has WNIDs.
        img_suffix (str): Ending of image files. Defaults to '.JPEG'.
        **kwargs: Arguments of the parent; ``data_prefix`` has ``img`` and
            ``ann``.
    """

    METAINFO = dict(palette=CocoDataset.METAINFO['palette'])

    def __init__(
        self,
        *args,
        class_file: str | None = None,
        img_suffix: str = '.JPEG',
        **kwargs,
    ) -> None:
        self.class_file = class_file
        self.img_suffix = img_suffix
        super().__init__(*args, **kwargs)

    def load_data_list(self) -> list[dict]:
        if self.class_file:
            path = Path(self.data_root or '', self.class_file)
            self._metainfo['classes'] = tuple(read_wnids(path)[0])
        classes = self.metainfo.get('classes')
        if not classes:
            raise UserError(
                'ImageNetDetDataset must have a class_file, or WNIDs in '
                'metainfo.classes. Received: neither.'
            )
        labels = {name: k for k, name in enumerate(classes)}
        images, boxes = (
            Path(self.data_prefix.get(key) or '.') for key in ('img', 'ann')
        )
        found = []
        for name in read_list(self.ann_file):
            size, objects = read_boxes(boxes / f'{name}.xml', labels)
            if not objects and not self.test_mode:
                continue
            instances = [
                dict(bbox=box, bbox_label=label, ignore_flag=0)
                for label, box in objects
            ]
            info = dict(width=size[0], height=size[1], instances=instances)
            info['img_path'] = str(images / f'{name}{self.img_suffix}')
            found.append(dict(info, img_id=len(found)))
        return found
