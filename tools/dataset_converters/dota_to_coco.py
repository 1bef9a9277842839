"""Turn annotations in DOTA's format into a COCO file of upright boxes.

    python tools/dataset_converters/dota_to_coco.py \
        data/dota/train/images data/dota/train/labelTxt \
        --out data/dota/annotations/train.json

A box is the upright one around the four corners, clipped to the image; the
corners themselves are kept as they are in "segmentation". Difficult objects
are crowds (iscrowd=1): mmdet's CocoDataset reads them as ignored, and COCO's
evaluation neither asks for them nor counts what finds them, as DOTA's own and
VOC's do; the field "difficult" keeps the number. Scenes of several thousand
pixels need not be cut into tiles: chips are cut while training.
"""

from sniper_mmdet.datasets.formats.coco_writer import (
    convert,
    converter_parser,
    numbers,
    outline,
)

_V1_0 = (
    'plane',
    'baseball-diamond',
    'bridge',
    'ground-track-field',
    'small-vehicle',
    'large-vehicle',
    'ship',
    'tennis-court',
    'basketball-court',
    'storage-tank',
    'soccer-ball-field',
    'roundabout',
    'harbor',
    'swimming-pool',
    'helicopter',
)
_V1_5 = (*_V1_0, 'container-crane')
VERSIONS = {
    'v1.0': _V1_0,
    'v1.5': _V1_5,
    'v2.0': (*_V1_5, 'airport', 'helipad'),
}
_HEADER = ('imagesource:', 'gsd:')


def make_reader(classes):
    """What reads an object of DOTA's text files; see ``convert``."""
    labels = {name: label for label, name in enumerate(classes)}

    def read_line(line: str, width: int, height: int) -> dict | None:
        if line.lower().startswith(_HEADER):
            return None
        fields = line.split()
        # The first files had no last field.
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


def main():
    parser = converter_parser(__doc__, 'LABELS')
    parser.add_argument(
        '--classes',
        nargs='+',
        default=['v1.5'],
        metavar='NAME',
        help='names of the classes, or those of a version: v1.0, v1.5 or '
        'v2.0 (default: v1.5, which are those of v1.0 and container-crane)',
    )
    args = parser.parse_args()
    classes = VERSIONS.get(args.classes[0], args.classes)
    convert(args, classes, make_reader(classes))


if __name__ == '__main__':
    try:
        main()
    except (OSError, ValueError) as error:
        raise SystemExit(f'dota_to_coco: {error}') from None
