"""Convert the annotations of WIDER FACE to a COCO file.

    python tools/dataset_converters/wider_to_coco.py \
        data/WIDERFace/WIDER_train/images \
        data/WIDERFace/wider_face_split/wider_face_train_bbx_gt.txt \
        --out data/WIDERFace/annotations/train.json

ANNOTATIONS is one of the official text or .mat files, or a list of the names
of XML files that lie in IMAGES/Annotations. Invalid faces become crowds
(iscrowd=1), which mmdet's CocoDataset reads as ignored; faces without an area
are left out. Annotations have the fields blur, expression, illumination,
invalid, occlusion and pose. sniper_mmdet.WiderFaceMetric works with the file:
it identifies images by their names.
"""

from pathlib import Path

from sniper_mmdet.datasets.formats.wider_face import convert_wider_face
from sniper_mmdet.utils import cli


def main():
    parser = cli.make_parser(__doc__)
    add = parser.add_argument
    add('images', metavar='IMAGES', type=Path, help='folder of EVENT/NAME.jpg')
    add('annotations', metavar='ANNOTATIONS', type=Path)
    add('--out', required=True, type=Path, help='COCO file (.json)')
    add(
        '--skip-broken',
        action='store_true',
        help='leave out images that cannot be read, instead of stopping',
    )
    print(convert_wider_face(**vars(cli.parse(parser))))


if __name__ == '__main__':
    cli.run(main)
