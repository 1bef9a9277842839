"""Turn OpenImages' files into a COCO file.

    python tools/dataset_converters/openimages_to_coco.py \
        data/OpenImages/OpenImages/validation \
        data/OpenImages/annotations/validation-annotations-bbox.csv \
        --classes data/OpenImages/annotations/class-descriptions-boxable.csv \
        --out data/OpenImages/annotations/validation.json

Boxes are csv of V3 and later, of the challenge, or its text file. Boxes around
groups are crowds (iscrowd=1), which mmdet's CocoDataset reads as ignored;
is_group_of, is_occluded, is_truncated, is_depiction and is_inside are fields
of their annotations. With --image-labels an image has pos_category_ids and
neg_category_ids, as in LVIS; with --hierarchy a category has the name of the
class above it in supercategory, and the file the tree in hierarchy. All is
held in memory, 1 KB a box: to train on all of OpenImages, its csv files are
read as they are (docs/openimages.md).
"""

from pathlib import Path

from sniper_mmdet.datasets.formats.openimages_coco import openimages_to_coco
from sniper_mmdet.utils import cli


def main():
    parser = cli.make_parser(__doc__)
    parser.allow_abbrev = False
    add = parser.add_argument
    about = 'folder, looked through for files named by image ids'
    add('images', metavar='IMAGES', type=Path, help=about)
    add('boxes', metavar='BOXES', type=Path, help='.csv, or .txt')
    about = 'names of the classes, csv: MID,name'
    add('--classes', required=True, type=Path, help=about)
    add('--out', required=True, type=Path, help='COCO file (.json)')
    add('--hierarchy', type=Path, help='.json')
    about = 'image labels, csv; those that people verified count'
    add('--image-labels', type=Path, help=about)
    choices = dict(choices=['crowd', 'keep', 'drop'])
    about = 'what boxes around groups are: crowds, objects as others, or none'
    cli.add_options(
        parser,
        group_of=('crowd', about, choices),
        skip_missing=(
            False,
            'leave out images that are not there or cannot be read, and count',
        ),
        skip_unknown=(
            False,
            'leave out rows of classes that --classes does not name, and '
            'count',
        ),
    )
    print(openimages_to_coco(**vars(cli.parse(parser))))


if __name__ == '__main__':
    cli.run(main)
