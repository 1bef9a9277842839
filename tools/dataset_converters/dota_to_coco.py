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

from sniper_mmdet.datasets.formats.command_line import converter_parser
from sniper_mmdet.datasets.formats.dota import VERSIONS, make_reader
from sniper_mmdet.datasets.formats.text_files import convert_text_files
from sniper_mmdet.utils import cli


def main():
    parser = converter_parser(__doc__, 'LABELS')
    about = 'names of the classes, or those of a version: v1.0, v1.5, which '
    about += 'are those of v1.0 and container-crane, or v2.0'
    cli.add_options(parser, classes=(['v1.5'], about, dict(metavar='NAME')))
    args = cli.parse(parser)
    args.classes = VERSIONS.get(args.classes[0], args.classes)
    read_line = make_reader(args.classes)
    print(convert_text_files(**vars(args), read_line=read_line))


if __name__ == '__main__':
    cli.run(main)
