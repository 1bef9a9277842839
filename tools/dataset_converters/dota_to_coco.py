"""Convert annotations in DOTA's format to a COCO file of upright boxes.

    python tools/dataset_converters/dota_to_coco.py \
        data/dota/train/images data/dota/train/labelTxt \
        --out data/dota/annotations/train.json

A box is the upright rectangle around the four corners, clipped to the image;
"segmentation" keeps the corners. Difficult objects become crowds (iscrowd=1):
mmdet's CocoDataset reads them as ignored. COCO's evaluation, like DOTA's and
VOC's, does not require them and does not count detections of them as false.
The field "difficult" keeps the number. You need not cut scenes of several
thousand pixels into tiles: training cuts chips.
"""

from sniper_mmdet.datasets.formats.command_line import converter_parser
from sniper_mmdet.datasets.formats.dota import VERSIONS, make_reader
from sniper_mmdet.datasets.formats.text_files import convert_text_files
from sniper_mmdet.utils import cli


def main():
    parser = converter_parser(__doc__, 'LABELS')
    about = 'names of the classes, or a version of DOTA: v1.0, v1.5 (v1.0 '
    about += 'and container-crane) or v2.0'
    cli.add_options(parser, classes=(['v1.5'], about, dict(metavar='NAME')))
    args = cli.parse(parser)
    args.classes = VERSIONS.get(args.classes[0], args.classes)
    read_line = make_reader(args.classes)
    print(convert_text_files(**vars(args), read_line=read_line))


if __name__ == '__main__':
    cli.run(main)
