"""AP by ImageNet-DET's rules, of a detector of more and finer classes.

python tools/analysis_tools/evaluate_det.py ANN.json FOUND.json MAPPING.json

FOUND.json is what tools/image_demo.py writes by --out-json. ANN.json is a COCO
file of the evaluation classes, MAPPING.json {"class": "evaluation class"}.
Detections of classes that are mapped to none do not count. An object is found
from an IoU of 0.5 on, a small one from less on: what a box reaches that is 5
px larger on each side.
"""

from sniper_mmdet.utils import cli


def main():
    parser = cli.make_parser(__doc__, cli.add_json)
    add = parser.add_argument
    add('ann', help='COCO file of the evaluation classes')
    add('results', help='COCO results of image_demo.py --out-json')
    add('mapping', help='json file {class: evaluation class or null}')
    args = cli.parse(parser)
    with cli.quiet():
        from sniper_mmdet.evaluation.imagenet_det import evaluate_det

        table = evaluate_det(args.ann, args.results, args.mapping)
    rows = {name: dict(AP=value) for name, value in table.items()}
    cli.print_table(rows, '.1f', as_json=args.json)


if __name__ == '__main__':
    cli.run(main)
