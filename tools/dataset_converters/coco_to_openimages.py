"""Turn a COCO file into files in OpenImages' format.

    python tools/dataset_converters/coco_to_openimages.py \
        data/mine/train.json --out data/mine/openimages --split train

Written are {split}-annotations-bbox.csv,
{split}-annotations-human-imagelabels-boxable.csv,
class-descriptions-boxable.csv and bbox_labels_hierarchy.json. IsGroupOf is an
annotation's is_group_of, or else its iscrowd; other flags are -1 where it
lacks them. Image labels are the classes of the boxes, and those of the image's
pos_category_ids and neg_category_ids, if it has them. The hierarchy is the
file's own, or that of the categories' supercategory. A category without a mid
is called /coco/ID.
"""

from pathlib import Path

from sniper_mmdet.datasets.formats.openimages_coco import coco_to_openimages
from sniper_mmdet.utils import cli


def main():
    parser = cli.make_parser(__doc__)
    parser.allow_abbrev = False
    add = parser.add_argument
    add('ann', metavar='COCO_JSON', type=Path)
    add('--out', required=True, type=Path, help='folder')
    cli.add_options(
        parser,
        split=('train', 'what names of files begin with'),
        exhaustive=(
            False,
            'each class without a box is absent: of COCO, not of OpenImages',
        ),
    )
    print(coco_to_openimages(**vars(cli.parse(parser))))


if __name__ == '__main__':
    cli.run(main)
