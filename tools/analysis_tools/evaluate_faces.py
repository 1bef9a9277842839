"""Evaluate result files of faces as their benchmarks do, without MATLAB.

python tools/analysis_tools/evaluate_faces.py wider RESULTS GROUND_TRUTH
python tools/analysis_tools/evaluate_faces.py fddb RESULTS.txt FDDB-folds
python tools/analysis_tools/evaluate_faces.py pascal RESULTS.txt ANNOTATIONS

wider prints the AP of easy, medium and hard faces; RESULTS holds
EVENT/NAME.txt, GROUND_TRUTH the three .mat files of the authors' tool. fddb
prints the discrete and the continuous score at several numbers of false
positives. pascal prints the AP at an IoU of 0.5; the lines of RESULTS.txt are
"IMAGE score x1 y1 x2 y2", ANNOTATIONS is the folder of the XML files.
"""

from sniper_mmdet.evaluation.face_scores import (
    fddb_scores,
    pascal_scores,
    wider_scores,
)
from sniper_mmdet.utils import cli


def parse_args():
    parser = cli.make_parser(__doc__)
    commands = parser.add_subparsers(dest='command', required=True)
    abouts = dict(
        wider=('WIDER FACE', 'folder', 'folder of the .mat files'),
        fddb=('FDDB', 'file', 'folder of *ellipseList.txt, or one such file'),
        pascal=('Pascal Faces', 'file', 'folder of the XML files'),
    )
    for name, (of, results, truth) in abouts.items():
        command = commands.add_parser(name, help=of)
        cli.add_json(command)
        command.add_argument('results', help=f'{results} of detections')
        command.add_argument('truth', help=truth)
        if name == 'wider':
            choices = dict(choices=['official', 'exact'])
            about = 'IoU as the official tool rounds it, or exact'
            cli.add_options(command, iou=('official', about, choices))
        elif name == 'fddb':
            about = 'folder of the images; detections are clipped to them'
            cli.add_options(
                command,
                images=about,
                false_positives=(
                    [100, 500, 1000],
                    'numbers of false positives for which scores are printed',
                ),
            )
    return cli.parse(parser)


def main():
    args = parse_args()
    paths = args.results, args.truth
    if args.command == 'wider':
        found = wider_scores(*paths, args.iou)
    elif args.command == 'fddb':
        found = fddb_scores(*paths, args.images, args.false_positives)
    else:
        found = pascal_scores(*paths)
    if args.json:
        cli.print_json(found)
    else:
        for name, value in found.items():
            print(f'{name:20} {value:.4f}')


if __name__ == '__main__':
    cli.run(main)
