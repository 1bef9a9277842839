"""Turn YOLO's text labels into a COCO file.

    python tools/dataset_converters/yolo_to_coco.py \
        data/mine/images/train data/mine/labels/train \
        --classes data/mine/data.yaml --out data/mine/annotations/train.json

A line is "class cx cy width height" or a polygon, "class x1 y1 x2 y2 x3 y3
...", in shares of the image's width and height; a polygon gives the box around
it and is kept in "segmentation". Pose labels, "class cx cy width height" and
keypoints, give the box only; they are read as such where data.yaml has a
kpt_shape, or with --keypoints. A line that is in its file already is dropped
and counted. An image without a text file is one without boxes. The class k of
the labels has the id k + 1.
"""

from sniper_mmdet.datasets.formats import yolo
from sniper_mmdet.datasets.formats.command_line import converter_parser
from sniper_mmdet.datasets.formats.text_files import convert_text_files
from sniper_mmdet.utils import cli


def main():
    parser = converter_parser(__doc__, 'LABELS')
    add = parser.add_argument
    names = 'names of the classes in the order of their labels, or a file of '
    names += "them: data.yaml with 'names', or .txt or .names with one a line"
    add('--classes', nargs='+', required=True, metavar='NAME', help=names)
    points = 'of pose labels: the number of keypoints, and 2, or 3 with '
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
