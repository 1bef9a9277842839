"""Convert YOLO's text labels to a COCO file.

    python tools/dataset_converters/yolo_to_coco.py \
        data/mine/images/train data/mine/labels/train \
        --classes data/mine/data.yaml --out data/mine/annotations/train.json

A line is "class cx cy width height" or a polygon, "class x1 y1 x2 y2 x3 y3
...", in shares of the image's width and height. A polygon becomes the box
around it, and "segmentation" keeps it. Pose labels, "class cx cy width height"
and keypoints, become boxes without the keypoints; the tool reads lines as pose
labels where data.yaml has a kpt_shape, or with --keypoints. A line that
repeats another one of its file is dropped and counted. An image without a text
file has no boxes. The class k of the labels gets the id k + 1.
"""

from sniper_mmdet.datasets.formats import yolo
from sniper_mmdet.datasets.formats.command_line import converter_parser
from sniper_mmdet.datasets.formats.text_files import convert_text_files
from sniper_mmdet.utils import cli


def main():
    parser = converter_parser(__doc__, 'LABELS')
    add = parser.add_argument
    names = 'names of the classes in the order of their labels, or a file: '
    names += "data.yaml with 'names', or .txt or .names with one per line"
    add('--classes', nargs='+', required=True, metavar='NAME', help=names)
    points = 'shape of pose labels: number of keypoints, and 2, or 3 with '
    points += 'visibility (default: kpt_shape of data.yaml)'
    add('--keypoints', nargs=2, type=int, metavar=('K', 'D'), help=points)
    args = vars(cli.parse(parser))
    given = args.pop('keypoints')
    args['classes'], keypoints = yolo.read_classes(args['classes'])
    if given:
        yolo.check_keypoints(given, '--keypoints')
    read_line = yolo.make_reader(args['classes'], given or keypoints)
    how = dict(unlabelled='empty', repeated='dropped')
    print(convert_text_files(**args, read_line=read_line, **how))


if __name__ == '__main__':
    cli.run(main)
