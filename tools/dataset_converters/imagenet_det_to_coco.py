"""Convert ImageNet's box files (Fall 2011) to a COCO file.

    python tools/dataset_converters/imagenet_det_to_coco.py \
        data/imagenet3k/3kcls_index.txt data/imagenet3k/fall11_whole_bbox \
        --classes data/imagenet3k/3kcls_cluster_result1.txt \
        --out data/imagenet3k/annotations/train.json

LIST names images as WNID/name, and BOX_DIR/WNID/name.xml has the boxes of an
image. The tool filters boxes like the authors of R-FCN-3000. The config
configs/rfcn3k/rfcn3k_r101-dcn_c4_7e_imagenet3k.py trains on the file, which
loads faster than half a million XML files.
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
    about = 'text file of the images, WNID/name per line'
    add('list_file', metavar='LIST', type=Path, help=about)
    add('ann_dir', metavar='BOX_DIR', type=Path, help='folder of XML files')
    about = "file with a WNID per line, or the authors' cluster file"
    add('--classes', required=True, type=Path, help=about)
    add('--out', required=True, type=Path, help='COCO file (.json)')
    cli.add_options(
        parser,
        names=(
            'number',
            'form of the category names',
            dict(choices=list(NAMES)),
        ),
        img_suffix=('.JPEG', 'suffix of the image files'),
        keep_empty=(False, 'keep images that have no usable box'),
    )
    args = cli.parse(parser)
    cli.require_suffix(parser, args, out='.json')
    print(imagenet_det_to_coco(**vars(args)))


if __name__ == '__main__':
    cli.run(main)
