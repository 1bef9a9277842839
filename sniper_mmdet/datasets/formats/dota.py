"""Reads DOTA's text files.

A line is "x1 y1 x2 y2 x3 y3 x4 y4 class difficult", in original pixels. The
first files lack the last field. Two lines at the top give the source of the
image.
"""

from collections.abc import Sequence

from .coco import outline
from .text_files import LineReader, numbers

_NAMES = (
    'plane baseball-diamond bridge ground-track-field small-vehicle '
    'large-vehicle ship tennis-court basketball-court storage-tank '
    'soccer-ball-field roundabout harbor swimming-pool helicopter '
    'container-crane airport helipad'
).split()
#: Classes by version. Each version adds classes to the one before.
VERSIONS = {
    version: tuple(_NAMES[:count])
    for version, count in {'v1.0': 15, 'v1.5': 16, 'v2.0': 18}.items()
}
_HEADER = ('imagesource:', 'gsd:')


def make_reader(classes: Sequence[str]) -> LineReader:
    """A reader of lines, see :func:`.convert_text_files`."""
    labels = {name: label for label, name in enumerate(classes)}

    def read_line(line: str, width: int, height: int) -> dict | None:
        if line.lower().startswith(_HEADER):
            return None
        fields = line.split()
        # The first files lack the last field.
        if len(fields) not in (9, 10):
            raise ValueError(
                'must be x1 y1 x2 y2 x3 y3 x4 y4 class difficult.'
            )
        name = fields.pop(8)
        *corners, difficult = numbers([*fields, '0'][:9])
        if name not in labels:
            raise ValueError(
                f'the class must be one of {" ".join(classes)} (others are '
                'given by --classes).'
            )
        if difficult != int(difficult) or difficult < 0:
            raise ValueError('difficult must be 0 or 1.')
        return dict(
            label=labels[name],
            **outline(corners),
            iscrowd=int(difficult > 0),
            difficult=int(difficult),
        )

    return read_line
