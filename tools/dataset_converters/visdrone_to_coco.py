"""Convert the annotations of VisDrone-DET to a COCO file.

    python tools/dataset_converters/visdrone_to_coco.py \
        data/visdrone/VisDrone2019-DET-train/images \
        data/visdrone/VisDrone2019-DET-train/annotations \
        --out data/visdrone/annotations/train.json

The ten evaluated classes keep their ids, 1 to 10. Training must ignore ignored
regions, whatever class lies in them, and objects of the class "others". Both
become crowds (iscrowd=1), which mmdet's CocoDataset reads as ignored.
CocoDataset drops annotations of a class that is not trained, and all that have
a field "ignore". Each crowd is therefore written once, without that field,
with the id of the first class; the field visdrone_category says what it is: 0
for an ignored region, 11 for another object. sniper_mmdet.VisDroneMetric reads
that field; COCO's own evaluation takes these for crowds of pedestrians only.
An object of the ten classes with score 0 becomes a crowd of its class.
Truncation and occlusion are kept in fields of these names.
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
