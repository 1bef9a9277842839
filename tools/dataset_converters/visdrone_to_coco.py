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

from sniper_mmdet.datasets.formats.command_line import converter_parser
from sniper_mmdet.datasets.formats.text_files import convert_text_files
from sniper_mmdet.datasets.formats.visdrone import CLASSES, read_line
from sniper_mmdet.utils import cli


def main():
    args = vars(cli.parse(converter_parser(__doc__, 'ANNOTATIONS')))
    print(convert_text_files(**args, classes=CLASSES, read_line=read_line))


if __name__ == '__main__':
    cli.run(main)
