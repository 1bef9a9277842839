"""Print the recall of proposal files by object size, side by side.

python tools/extract_proposals.py CONFIG CHECKPOINT --split val --out A.npz
python tools/analysis_tools/proposal_recall.py CONFIG NAME=A.npz ...
"""

import numpy as np

from sniper_mmdet.datasets import ProposalFile
from sniper_mmdet.engine.build import build_boxes_dataset, load_config
from sniper_mmdet.evaluation import proposal_recall
from sniper_mmdet.utils import cli


def main():
    parser = cli.make_parser(__doc__, cli.add_config, cli.add_json)
    parser.add_argument('files', nargs='+', metavar='NAME=FILE.npz')
    cli.add_split(parser, 'val')
    best = 'proposals per image that count, best first'
    cli.add_options(parser, num=(900, best))
    args = cli.parse(parser)
    files = cli.split_names(parser, args.files, 'NAME=FILE.npz')
    cli.require_at_least(parser, args, num=1)
    with cli.quiet():
        cfg = load_config(args.config, args.cfg_options)
        dataset = build_boxes_dataset(cfg, args.split)
    images = dataset.images
    sizes = images.sizes
    boxes = [images.of_image(i) for i in range(len(images))]
    table = {}
    for name, path in files:
        found = ProposalFile(path).select(dataset.keys, sizes)
        spans = map(found.span, range(len(images)))
        proposals = [
            np.column_stack([found.boxes[s], found.scores[s]]) for s in spans
        ]
        table[name] = proposal_recall(sizes, boxes, proposals, args.num)
    cli.print_table(table, '.1f', as_json=args.json)


if __name__ == '__main__':
    cli.run(main)
