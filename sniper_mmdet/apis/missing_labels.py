"""Finds objects that may lack a label, for a person to check."""

import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from mmengine.logging import print_log
from torch import nn

from sniper_mmdet.datasets.formats.coco import CocoWriter
from sniper_mmdet.datasets.instances import annotated_size, instance_boxes
from sniper_mmdet.utils.files import write_whole
from sniper_mmdet.utils.image import read_image
from sniper_mmdet.utils.pictures import drawing

from .unlabelled import found_on, unexplained

#: Colours of detections and of labelled boxes, BGR.
FOUND, LABELLED = (0, 0, 255), (0, 200, 0)
#: A crop shows this many sides of the box around the box.
AROUND = 1.5


class MissingLabels:
    """Confident detections on training images that no label explains.

    Args:
        model (nn.Module): The detector, from :func:`.loading.load_trained`.
        infos (Sequence[dict]): The images, from :func:`image_infos`.
        classes (Sequence[str]): Names of the labels.
        score_thr (float): Detections with a lower score are not used. Defaults
            to 0.5.
        iou_thr (float): See :func:`unexplained`. Defaults to 0.3.
        batch_size (int): Number of images per batch. Defaults to 1.

    Attributes:
        finds (list[tuple]): For each such detection the index of its image,
            label, score and box (x1, y1, x2, y2); best first.
    """

    def __init__(
        self,
        model: nn.Module,
        infos: Sequence[dict],
        classes: Sequence[str],
        score_thr: float = 0.5,
        iou_thr: float = 0.3,
        batch_size: int = 1,
    ) -> None:
        self.infos, self.classes = infos, classes
        self.finds = []
        found = found_on(model, infos, score_thr, batch_size)
        for index, (info, boxes, scores, labels) in enumerate(found):
            for k in np.flatnonzero(unexplained(boxes, info, iou_thr)):
                told = int(labels[k]), float(scores[k]), boxes[k].tolist()
                self.finds.append((index, *told))
        self.finds.sort(key=lambda find: -find[2])

    def table(self) -> dict[str, dict]:
        """Per class: boxes, finds, and finds per 100 boxes; 'all' is last."""
        boxes = Counter(
            one['bbox_label']
            for info in self.infos
            for one in info['instances']
            if not one.get('ignore_flag')
        )
        finds = Counter(label for _, label, _, _ in self.finds)
        rows = {
            name: _row(boxes[label], finds[label])
            for label, name in enumerate(self.classes)
            if boxes[label] or finds[label]
        }
        return rows | dict(all=_row(boxes.total(), finds.total()))

    def write(self, path: Path) -> None:
        """Write a COCO file of the finds and their images.

        A labelling tool imports the finds as annotations to check. Each has a
        ``score`` beside COCO's fields. File names are relative to the folder
        that holds all images.
        """
        coco, entries = CocoWriter(self.classes), {}
        folders = [str(Path(one['img_path']).parent) for one in self.infos]
        root = os.path.commonpath(folders)
        for index, label, score, box in self.finds:
            info = self.infos[index]
            name = Path(info['img_path']).relative_to(root).as_posix()
            if index not in entries:
                size = map(int, annotated_size(info))
                entries[index] = coco.add_image(name, *size)
            more = dict(score=round(score, 4))
            coco.add_object(entries[index], name, label, box, **more)
        coco.write(path)

    def draw(self, folder: Path, num: int = 100) -> int:
        """Draw the best finds of each class, one folder per class.

        ``{place}_{score}_{image}.jpg`` shows a find in red and the labelled
        boxes in green.

        Args:
            folder (Path): Folder to write to.
            num (int): Number of finds per class. Defaults to 100.

        Returns:
            int: Number of images that were drawn.
        """
        drawn = defaultdict(int)
        for index, label, score, box in self.finds:
            if drawn[label] >= num:
                continue
            info = self.infos[index]
            with drawing(info['img_path']):
                picture = _picture(info, box)
                name = self.classes[label].replace('/', '-')
                stem = Path(info['img_path']).stem
                file = f'{drawn[label] + 1:04d}_{score:.2f}_{stem}.jpg'
                _write(folder / name / file, picture)
                drawn[label] += 1
        return sum(drawn.values())


def _row(boxes: int, finds: int) -> dict:
    return dict(boxes=boxes, found=finds, percent=100 * finds / max(boxes, 1))


def _picture(info: dict, box: Sequence[float]) -> np.ndarray:
    """Crop an image around a box, and draw finds and labelled boxes."""
    image = np.ascontiguousarray(read_image(info['img_path']))
    known = instance_boxes(info['instances'], info['img_path'])
    for colour, boxes in ((LABELLED, known.tolist()), (FOUND, [box])):
        for one in boxes:
            x1, y1, x2, y2 = (round(v) for v in one)
            cv2.rectangle(image, (x1, y1), (x2, y2), colour, 1)
    height, width = image.shape[:2]
    x1, y1, x2, y2 = box
    margin = max(AROUND * max(x2 - x1, y2 - y1), 32)
    left, top = max(int(x1 - margin), 0), max(int(y1 - margin), 0)
    right, bottom = min(int(x2 + margin), width), min(int(y2 + margin), height)
    return image[top:bottom, left:right]


def _write(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    done, data = cv2.imencode('.jpg', picture)
    if not done:
        print_log(f'{path} could not be written as a JPEG', 'current')
        return
    write_whole(path, lambda part: part.write_bytes(data.tobytes()))
