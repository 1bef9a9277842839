"""Reads WIDER FACE's annotations: official text and .mat files, and XML.

Each image has a path, EVENT/NAME.jpg, and faces: boxes x, y, w, h and
attributes. A text file has the path, a count, and a line per face. The line
``0 0 0 0 0 0 0 0 0 0`` after a count of 0 or 1 is not a face. Files of the
test split have paths only.
"""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sniper_mmdet.utils.errors import UserError
from sniper_mmdet.utils.image import image_size
from sniper_mmdet.utils.progress import track
from sniper_mmdet.utils.wider_mat import ATTRIBUTES, read_wider_mat

from .coco import CocoWriter
from .text_files import numbers

CLASSES = ('face',)
_BOX = ('x', 'y', 'w', 'h')
_FIELDS = 'x y w h blur expression illumination invalid occlusion pose'.split()


class WiderImage(NamedTuple):
    """An image and its faces."""

    name: str  # EVENT/NAME.jpg
    #: Each face has floats ``x``, ``y``, ``w``, ``h``, and the known
    #: attributes as ints: ``blur``, ``invalid``, ...
    faces: list[dict]
    size: tuple[int, int] | None = None  # width and height, if known

    @property
    def visible(self) -> list[dict]:
        """The faces with an area above 0."""
        return [face for face in self.faces if min(face['w'], face['h']) > 0]


def read_wider_face(path: str | Path, images: str | Path) -> list[WiderImage]:
    """Read the annotation of a split in any of the formats.

    Args:
        path (str | Path): ``wider_face_train_bbx_gt.txt`` or a file like it,
            ``wider_face_test_filelist.txt``, ``wider_face_val.mat``, or a list
            of names of XML files.
        images (str | Path): Folder of the images. XML files are in its folder
            ``Annotations``, as for MMDetection's WIDERFaceDataset.

    Raises:
        FileNotFoundError: A file is missing.
        UserError: A file is broken; the error names it and the line.
    """
    if Path(path).suffix.lower() == '.mat':
        return list(_of_mat(path))
    lines = _Lines(path)
    if not lines.texts:
        raise UserError(f'{path} must have images. Received: an empty file.')
    if not lines.texts[0][1].lower().endswith('.jpg'):
        return [_of_xml(images, name) for _, name in lines.texts]
    others = [
        text for _, text in lines.texts if not text.lower().endswith('.jpg')
    ]
    if not others:
        return [WiderImage(name, []) for _, name in lines.texts]
    return list(_of_text(lines))


class _Lines:
    """The lines of a text file that are not empty, with their numbers."""

    def __init__(self, path: str | Path) -> None:
        self.path = path
        try:
            content = Path(path).read_text(encoding='utf-8-sig')
        except UnicodeDecodeError as error:
            raise UserError(
                f'{path} cannot be read as text: {error}.'
            ) from None
        self.texts = [
            (number, line.strip())
            for number, line in enumerate(content.splitlines(), 1)
            if line.strip()
        ]

    def error(self, index: int, rule: str) -> UserError:
        if index >= len(self.texts):
            return UserError(f'{self.path} breaks off: it {rule}.')
        number, text = self.texts[index]
        return UserError(
            f'{self.path}, line {number}: {rule}. Received: {text!r:.100}.'
        )


def _of_text(lines: _Lines) -> Iterator[WiderImage]:
    texts, index, seen = lines.texts, 0, set()
    while index < len(texts):
        name = texts[index][1]
        if not name.lower().endswith('.jpg'):
            raise lines.error(index, 'must be an image, EVENT/NAME.jpg')
        if name in seen:
            raise lines.error(index, 'must be an image that is not yet listed')
        seen.add(name)
        index += 1
        if index >= len(texts) or not re.fullmatch(
            r'\d{1,9}', texts[index][1]
        ):
            raise lines.error(index, f'must be the number of faces of {name}')
        count = int(texts[index][1])
        index += 1
        faces = []
        # Some files have a line of zeros after a count of 0.
        while len(faces) < max(count, 1):
            is_line = index < len(texts) and _is_face(texts[index][1])
            if not is_line and count == 0:
                break
            if not is_line:
                rule = f'must be face {len(faces) + 1} of {count} of {name}'
                raise lines.error(index, f'{rule}: {" ".join(_FIELDS)}')
            face = _face(texts[index][1])
            if face is None or (count == 0 and any(face.values())):
                rule = f'must be finite numbers: {" ".join(_FIELDS)}'
                if face:
                    rule = f'must be zeros only, as {name} has 0 faces'
                raise lines.error(index, rule)
            faces.append(face)
            index += 1
        yield WiderImage(name, faces if count else [])


def _is_face(line: str) -> bool:
    is_name = line.lower().endswith('.jpg')
    return len(line.split()) == len(_FIELDS) and not is_name


def _face(line: str) -> dict | None:
    try:
        return _as_face(numbers(line.split()))
    except ValueError:
        return None


def _as_face(values: list[float]) -> dict:
    face = dict(zip(_FIELDS, values, strict=True))
    return face | {name: int(face[name]) for name in ATTRIBUTES}


def _of_mat(path: str | Path) -> Iterator[WiderImage]:
    found = read_wider_mat(path)
    for k, (name, boxes) in enumerate(
        zip(found.names, found.boxes, strict=True)
    ):
        known = {key: values[k] for key, values in found.attributes.items()}
        faces = [
            dict(zip(_BOX, map(float, box), strict=True))
            | {key: int(values[j]) for key, values in known.items()}
            for j, box in enumerate(boxes)
        ]
        yield WiderImage(f'{name}.jpg', faces)


def _of_xml(images: str | Path, name: str) -> WiderImage:
    path = Path(images, 'Annotations', f'{name}.xml')
    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist.')
    try:
        root = ElementTree.parse(path).getroot()
    except (SyntaxError, ValueError) as error:
        raise UserError(f'{path} cannot be read as XML: {error}.') from None

    def number(parent, field: str, place: str) -> float:
        try:
            return numbers([parent.findtext(field)])[0]
        except (AttributeError, TypeError, ValueError):
            found = None if parent is None else parent.findtext(field)
            raise UserError(
                f'{path}: the {field} of {place} must be a number. Received: '
                f'{found!r:.100}.'
            ) from None

    size = root.find('size')
    sides = tuple(
        int(number(size, side, 'the image')) for side in ('width', 'height')
    )
    faces = []
    for k, thing in enumerate(root.findall('object'), 1):
        if thing.findtext('name') not in CLASSES:
            continue
        place, box = f'object {k}', thing.find('bndbox')
        x, y, x2, y2 = (
            number(box, side, place)
            for side in ('xmin', 'ymin', 'xmax', 'ymax')
        )
        face = dict(x=x, y=y, w=x2 - x, h=y2 - y)
        for key in ATTRIBUTES:
            if thing.find(key) is not None:
                face[key] = int(number(thing, key, place))
        if thing.find('difficult') is not None:
            difficult = int(number(thing, 'difficult', place))
            face['invalid'] = face.get('invalid', 0) or difficult
        faces.append(face)
    folder = root.findtext('folder') or ''
    return WiderImage(Path(folder, f'{name}.jpg').as_posix(), faces, sides)


def convert_wider_face(
    images: Path, annotations: Path, out: Path, skip_broken: bool = False
) -> str:
    """Write the COCO file of a split, whole or not at all.

    Args:
        images (Path): Folder of EVENT/NAME.jpg.
        annotations (Path): See :func:`read_wider_face`.
        out (Path): The COCO file.
        skip_broken (bool): Whether images that cannot be read are left out.

    Returns:
        str: The number of faces, and what was left out.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: The annotation is broken.
    """
    if out.suffix != '.json':
        raise ValueError(f'--out must be a .json file. Received: {out}.')
    coco = CocoWriter(CLASSES)
    for image in track(read_wider_face(annotations, images)):
        try:
            size = image_size(images / image.name)
        except OSError as error:
            text = f'{images / image.name} cannot be read as an image: {error}'
            if not skip_broken:
                raise ValueError(text) from None
            coco.left_out['broken images'].append(text)
            continue
        entry = coco.add_image(image.name, *size)
        for k, face in enumerate(image.faces, 1):
            face = dict(face)
            x, y, w, h = (face.pop(key) for key in _BOX)
            crowd = int(bool(face.get('invalid')))
            box = (x, y, x + max(w, 0), y + max(h, 0))
            place = f'{image.name}, face {k}'
            coco.add_object(entry, place, 0, box, crowd, **face)
    if not coco.images:
        raise ValueError(f'no image of {annotations} in {images} can be read.')
    coco.write(out)
    return f'{coco.summary()}\n{out} is written.'
