"""Convert OpenImages' files to a COCO file.

    python tools/dataset_converters/openimages_to_coco.py \
        data/OpenImages/OpenImages/validation \
        data/OpenImages/annotations/validation-annotations-bbox.csv \
        --classes data/OpenImages/annotations/class-descriptions-boxable.csv \
        --out data/OpenImages/annotations/validation.json

BOXES is a csv file of V3 or later, a csv file of the challenge, or its text
file. Boxes around groups become crowds (iscrowd=1), which mmdet's CocoDataset
reads as ignored. Annotations keep the flags in the fields is_group_of,
is_occluded, is_truncated, is_depiction and is_inside. With --image-labels an
image has pos_category_ids and neg_category_ids, as in LVIS. With --hierarchy a
category names its parent class in supercategory, and the file has the tree in
hierarchy. The tool holds all boxes in memory, 1 KB per box. Training on all of
OpenImages needs no conversion: it reads the csv files (docs/openimages.md).
"""

from pathlib import Path

from sniper_mmdet.datasets.formats.openimages_coco import openimages_to_coco
from sniper_mmdet.utils import cli


def main():
    parser = cli.make_parser(__doc__)
    parser.allow_abbrev = False
    add = parser.add_argument
    about = 'folder whose files, at any depth, are named by image ids'
    add('images', metavar='IMAGES', type=Path, help=about)
    add(
        'boxes',
        metavar='BOXES',
        type=Path,
        help='file of the boxes, .csv or .txt',
    )
    about = 'csv file with the names of the classes: MID,name'
    add('--classes', required=True, type=Path, help=about)
    add('--out', required=True, type=Path, help='COCO file (.json)')
    add('--hierarchy', type=Path, help='json file of the class tree')
    about = 'csv file of image labels, of which the verified ones count'
    add('--image-labels', type=Path, help=about)
    choices = dict(choices=['crowd', 'keep', 'drop'])
    about = 'boxes around groups: make them crowds, keep them as objects, drop'
    cli.add_options(
        parser,
        group_of=('crowd', about, choices),
        skip_missing=(
            False,
            'leave out, and count, images that are missing or broken',
        ),
        skip_unknown=(
            False,
            'leave out, and count, rows of classes that --classes does not '
            'name',
        ),
    )
    print(openimages_to_coco(**vars(cli.parse(parser))))


if __name__ == '__main__':
    cli.run(main)
