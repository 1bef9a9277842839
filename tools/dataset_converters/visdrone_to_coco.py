"""Turn the annotations of VisDrone-DET into a COCO file.

    python tools/dataset_converters/visdrone_to_coco.py \
        data/visdrone/VisDrone2019-DET-train/images \
        data/visdrone/VisDrone2019-DET-train/annotations \
        --out data/visdrone/annotations/train.json

The ten evaluated classes keep their ids, 1 to 10. Training must leave alone
what lies in an ignored region, whatever its class, and other objects: these
two are crowds (iscrowd=1), which mmdet's CocoDataset reads as ignored. It
drops annotations of a class that it does not train, and all with a field
"ignore"; so each is written once, without that field, under the id of the
first class, and what it is stands in the field visdrone_category: 0 for an
ignored region, 11 for another object. sniper_mmdet.VisDroneMetric reads that
field; to COCO's own evaluation these are crowds of pedestrians only. An object
of the ten classes with score 0 is a crowd of its class. Truncation and
occlusion are kept in fields of these names.
"""

from sniper_mmdet.datasets.formats.coco_writer import (
    convert,
    converter_parser,
    numbers,
)

CLASSES = (
    'pedestrian',
    'people',
    'bicycle',
    'car',
    'van',
    'truck',
    'tricycle',
    'awning-tricycle',
    'bus',
    'motor',
)
REGION, OTHERS = 0, 11


def read_line(line: str, width: int, height: int) -> dict:
    """One object or region of VisDrone's text files; see ``convert``."""
    fields = line.rstrip(',').split(',')
    if len(fields) != 8:
        raise ValueError(
            'must be x,y,width,height,score,category,truncation,occlusion.'
        )
    values = numbers(fields)
    x, y, w, h, score, category, truncation, occlusion = values
    if w < 0 or h < 0:
        raise ValueError('width and height must not be negative.')
    if score not in (0, 1):
        raise ValueError('the score of an annotation must be 0 or 1.')
    if category not in range(REGION, OTHERS + 1):
        raise ValueError(f'the category must be {REGION} to {OTHERS}.')
    found = dict(
        label=int(category) - 1,
        box=(x, y, x + w, y + h),
        iscrowd=int(score == 0),
        truncation=int(truncation),
        occlusion=int(occlusion),
    )
    if category in (REGION, OTHERS):
        found.update(label=0, iscrowd=1, visdrone_category=int(category))
    return found


def main():
    args = converter_parser(__doc__, 'ANNOTATIONS').parse_args()
    convert(args, CLASSES, read_line)


if __name__ == '__main__':
    try:
        main()
    except (OSError, ValueError) as error:
        raise SystemExit(f'visdrone_to_coco: {error}') from None
