"""Turn ImageNet's box files (Fall 2011) into a COCO file.

    python tools/dataset_converters/imagenet_det_to_coco.py \
        data/imagenet3k/3kcls_index.txt data/imagenet3k/fall11_whole_bbox \
        --classes data/imagenet3k/3kcls_cluster_result1.txt \
        --out data/imagenet3k/annotations/train.json

The list names images as WNID/name, and BOX_DIR/WNID/name.xml has the boxes of
one. Boxes are filtered as the authors of R-FCN-3000 filter them. The config
configs/rfcn3k/rfcn3k_r101-dcn_c4_7e_imagenet3k.py trains on the file, which is
read faster than half a million XML files.
"""

from pathlib import Path

from sniper_mmdet.datasets.formats.imagenet_coco import (
    NAMES,
    imagenet_det_to_coco,
)
from sniper_mmdet.utils import cli


def main():
    parser = cli.make_parser(__doc__)
    add = parser.add_argument
    about = 'text file of WNID/name'
    add('list_file', metavar='LIST', type=Path, help=about)
    add('ann_dir', metavar='BOX_DIR', type=Path, help='folder of XML files')
    about = "lines that begin with a WNID, or the authors' cluster file"
    add('--classes', required=True, type=Path, help=about)
    add('--out', required=True, type=Path, help='COCO file (.json)')
    cli.add_options(
        parser,
        names=('number', 'name of a category', dict(choices=list(NAMES))),
        img_suffix=('.JPEG', 'ending of the image files'),
        keep_empty=(False, 'keep images that have no usable box'),
    )
    args = cli.parse(parser)
    cli.require_suffix(parser, args, out='.json')
    print(imagenet_det_to_coco(**vars(args)))


if __name__ == '__main__':
    cli.run(main)
