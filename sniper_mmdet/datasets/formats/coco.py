"""Writes COCO annotation files."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sniper_mmdet.chips.boxes import LEAST_SIDE
from sniper_mmdet.utils.files import write_json

#: Number of left out items that are named.
NAMED = 10


class CocoWriter:
    """Collects images and objects, and writes a COCO file.

    Category ids count from 1 in the order of the classes. Boxes are clipped to
    their image, in hundredths of a pixel. A box that is then less than a pixel
    wide or high is left out and counted; mmdet's CocoDataset would drop it
    silently.

    Args:
        classes (Sequence[str]): Names of the classes.

    Raises:
        ValueError: Two classes have the same name.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        twice = [name for name, n in Counter(classes).items() if n > 1]
        if twice:
            raise ValueError(f'the class {twice[0]!r} is named twice.')
        named = enumerate(classes, 1)
        self.categories = [dict(id=i, name=name) for i, name in named]
        self.images, self.annotations = [], []
        self.clipped = 0
        #: Places of the items that were left out, by kind.
        self.left_out: dict[str, list[str]] = defaultdict(list)

    def add_image(self, name: str, width: int, height: int) -> dict:
        """Add an image, and return its entry."""
        image = dict(id=len(self.images) + 1, file_name=name)
        self.images.append(image | dict(width=width, height=height))
        return self.images[-1]

    def add_object(
        self,
        image: dict,
        place: str,
        label: int,
        box: Sequence[float],
        iscrowd: int = 0,
        **fields,
    ) -> None:
        """Add an object, if it lies in its image.

        Args:
            image (dict): The entry from :meth:`add_image`.
            place (str): Where the object was read.
            label (int): Index of its class.
            box (Sequence[float]): (x1, y1, x2, y2), original pixels.
            iscrowd (int): Whether training ignores it. Defaults to 0.
            fields: Further fields of the annotation.
        """
        box = [round(v, 2) for v in box]
        x1, y1 = max(box[0], 0), max(box[1], 0)
        x2, y2 = min(box[2], image['width']), min(box[3], image['height'])
        w, h = round(x2 - x1, 2), round(y2 - y1, 2)
        if w < LEAST_SIDE or h < LEAST_SIDE:
            self.left_out['boxes of no pixel in their image'].append(place)
            return
        self.clipped += [x1, y1, x2, y2] != box
        area = round(w * h, 4)
        if 'segmentation' in fields:
            # Polygons are not clipped. The area may be 0 if lines cross; then
            # CocoDataset would drop the object silently.
            whole = round(sum(map(_polygon_area, fields['segmentation'])), 4)
            area = min(whole, area) or area
        # pycocotools treats an annotation with id 0 as none.
        number = len(self.annotations) + 1
        ids = dict(id=number, image_id=image['id'], category_id=label + 1)
        found = dict(bbox=[x1, y1, w, h], area=area, iscrowd=iscrowd, **fields)
        self.annotations.append(ids | found)

    @property
    def content(self) -> dict:
        """The content of the file so far."""
        keys = 'images', 'annotations', 'categories'
        return {key: getattr(self, key) for key in keys}

    def write(self, path: Path, **fields) -> None:
        """Write the file, whole or not at all, with further fields first."""
        write_json(path, fields | self.content)

    def summary(self) -> str:
        """A table of categories, and a list of what was left out."""
        boxes, ignored, filled = Counter(), Counter(), set()
        for annotation in self.annotations:
            kind = ignored if annotation['iscrowd'] else boxes
            kind[annotation['category_id']] += 1
            filled.add(annotation['image_id'])
        rows = [('id', 'category', 'boxes', 'ignored')]
        rows += [
            (c['id'], c['name'], boxes[c['id']], ignored[c['id']])
            for c in self.categories
        ]
        rows.append(('', 'all', boxes.total(), ignored.total()))
        wide = max(len(row[1]) for row in rows)
        count = len(self.images)
        lines = [f'{a:>4}  {b:<{wide}}  {c:>8}  {d:>8}' for a, b, c, d in rows]
        lines.append(
            f'{count} images, {count - len(filled)} of them without a box; '
            f'{self.clipped} boxes clipped to their image.'
        )
        for what, places in self.left_out.items():
            if places:
                lines += places[:NAMED] + ['...'] * (len(places) > NAMED)
                lines.append(f'{len(places)} {what} left out.')
        return '\n'.join(lines)


def outline(points: Sequence[float]) -> dict:
    """The ``box`` and ``segmentation`` of an object that is a polygon.

    Args:
        points (Sequence[float]): x and y of each corner in turn, px.
    """
    x, y = points[::2], points[1::2]
    return dict(
        box=(min(x), min(y), max(x), max(y)),
        segmentation=[[round(v, 2) for v in points]],
    )


def _polygon_area(points: Sequence[float]) -> float:
    x, y = np.array(points).reshape(-1, 2).T
    return round(abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)).item() / 2, 4)
