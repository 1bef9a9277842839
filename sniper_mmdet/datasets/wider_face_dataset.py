"""The WIDER FACE dataset, read from its official files."""

import os.path as osp

from mmdet.datasets import BaseDetDataset
from mmengine.logging import print_log

from sniper_mmdet.registry import DATASETS
from sniper_mmdet.utils.errors import UserError
from sniper_mmdet.utils.image import image_size

from .formats.wider_face import CLASSES, WiderImage, read_wider_face


@DATASETS.register_module()
class WiderFaceDataset(BaseDetDataset):
    """WIDER FACE: images of 1024 px, faces of a few to hundreds of pixels.

    ``ann_file`` is one of the official files, text or .mat, or the list of
    names that MMDetection's WIDERFaceDataset reads, with XML files in
    ``Annotations`` of the folder of images. Test images have no faces.

    Faces that are marked as invalid are ignored. Faces without an area are
    left out; some files use them for an image without a face. An instance has
    the attributes of its file: ``blur``, ``expression``, ``illumination``,
    ``invalid``, ``occlusion``, ``pose``. ``img_id`` is EVENT/NAME.

    In training ``filter_cfg`` may have ``filter_empty_gt``; ``min_size``, the
    least side of an image; and ``bbox_min_size``, below which a face is
    ignored.

    Args:
        ignore_invalid (bool): Whether training ignores faces that are marked
            as invalid; SSH trains them. Defaults to True.
        *args, **kwargs: Arguments of mmdet's BaseDetDataset.

    Raises:
        FileNotFoundError: A file is missing.
        UserError: A file is broken.
    """

    METAINFO = dict(classes=CLASSES, palette=[(0, 255, 0)])

    def __init__(self, *args, ignore_invalid: bool = True, **kwargs) -> None:
        self.ignore_invalid = ignore_invalid
        super().__init__(*args, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read all images, and log what is left out."""
        folder = self.data_prefix.get('img', '')
        images = read_wider_face(self.ann_file, folder)
        left_out = sum(
            len(image.faces) - len(image.visible) for image in images
        )
        if left_out:
            print_log(
                f'{self.ann_file}: {left_out} faces have no area and are left '
                'out.',
                'current',
            )
        return [self._info(folder, image) for image in images]

    def filter_data(self) -> list[dict]:
        """Apply ``filter_cfg`` in training."""
        rules = self.filter_cfg or {}
        if self.test_mode:
            return self.data_list
        found = [
            info
            for info in self.data_list
            if min(info['width'], info['height']) >= rules.get('min_size', 0)
            and (info['instances'] or not rules.get('filter_empty_gt'))
        ]
        if not found:
            raise UserError(
                f'{self.ann_file}: filter_cfg={rules} leaves none of '
                f'{len(self.data_list)} images.'
            )
        return found

    def _info(self, folder: str, image: WiderImage) -> dict:
        path = osp.join(folder, image.name)
        least = (self.filter_cfg or {}).get('bbox_min_size', 0)
        instances = []
        for face in image.visible:
            face = dict(face)
            x, y, w, h = (face.pop(key) for key in 'xywh')
            ignored = bool(face.get('invalid')) and self.ignore_invalid
            small = not self.test_mode and min(w, h) < least
            instances.append(
                dict(
                    bbox=[x, y, x + w, y + h],
                    bbox_label=0,
                    ignore_flag=int(ignored or small),
                    **face,
                )
            )
        info = dict(
            img_id=osp.splitext(image.name)[0],
            img_path=path,
            instances=instances,
        )
        size = image.size
        # The official files have no sizes, and tests need none.
        if size is None and not self.test_mode:
            size = image_size(path)
        if size is not None:
            info.update(width=size[0], height=size[1])
        return info
