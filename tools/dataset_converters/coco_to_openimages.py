"""Convert a COCO file to files in OpenImages' format.

    python tools/dataset_converters/coco_to_openimages.py \
        data/mine/train.json --out data/mine/openimages --split train

The tool writes {split}-annotations-bbox.csv,
{split}-annotations-human-imagelabels-boxable.csv,
class-descriptions-boxable.csv and bbox_labels_hierarchy.json. IsGroupOf is an
annotation's is_group_of, or else its iscrowd; other flags are -1 where the
annotation lacks them. Image labels are the classes of the boxes, and those of
the image's pos_category_ids and neg_category_ids, if it has them. The
hierarchy is that of the file, or else that of the categories' supercategory. A
category without a mid is called /coco/ID.
"""

from pathlib import Path

from sniper_mmdet.datasets.formats.openimages_coco import coco_to_openimages
from sniper_mmdet.utils import cli


def main():
    parser = cli.make_parser(__doc__)
    parser.allow_abbrev = False
    add = parser.add_argument
    add('ann', metavar='COCO_JSON', type=Path)
    add('--out', required=True, type=Path, help='folder for the files')
    cli.add_options(
        parser,
        split=('train', 'start of the file names'),
        exhaustive=(
            False,
            'classes without a box in an image are absent, as in COCO',
        ),
    )
    print(coco_to_openimages(**vars(cli.parse(parser))))


if __name__ == '__main__':
    cli.run(main)
