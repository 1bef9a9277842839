"""Compute AP by ImageNet-DET's rules for a detector of finer classes.

python tools/analysis_tools/evaluate_det.py ANN.json FOUND.json MAPPING.json

FOUND.json is the file that tools/image_demo.py writes with --out-json.
ANN.json is a COCO file of the evaluation classes. MAPPING.json maps the
detector's classes to these: {"class": "evaluation class"}; detections of a
class that is mapped to none do not count. A detection matches an object at an
IoU of 0.5 or more. The threshold of a small object is lower: the IoU of a box
that is 5 px larger on each side.
"""

from sniper_mmdet.utils import cli


def main():
    parser = cli.make_parser(__doc__, cli.add_json)
    add = parser.add_argument
    add('ann', help='COCO file of the evaluation classes')
    add('results', help='COCO results that image_demo.py --out-json wrote')
    add('mapping', help='json file {class: evaluation class or null}')
    args = cli.parse(parser)
    with cli.quiet():
        from sniper_mmdet.evaluation.imagenet_det import evaluate_det

        table = evaluate_det(args.ann, args.results, args.mapping)
    rows = {name: dict(AP=value) for name, value in table.items()}
    cli.print_table(rows, '.1f', as_json=args.json)


if __name__ == '__main__':
    cli.run(main)
