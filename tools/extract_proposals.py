"""Extract a detector's proposals, for mining negative chips.

    python tools/extract_proposals.py CONFIG CHECKPOINT --out FILE.npz

The proposals are the best boxes of the detector's RPN at every level of the
test pyramid or, for a detector without an RPN, its best detections. After an
interruption the same command continues.
"""

from mmengine.dist import init_dist, is_distributed, is_main_process

from sniper_mmdet.engine import proposal_extraction as extraction
from sniper_mmdet.engine.build import build_image_dataset, load_config
from sniper_mmdet.engine.checkpoints import load_detector
from sniper_mmdet.engine.cpu import prepare_cpu
from sniper_mmdet.models import PyramidDetector
from sniper_mmdet.utils import cli


def parse_args():
    parser = cli.make_parser(__doc__, cli.add_detector, cli.add_launcher)
    parser.add_argument('--out', required=True, help='proposal file (.npz)')
    cli.add_split(parser, 'train')
    cli.add_options(
        parser,
        max_per_level=(300, 'proposals per image and level'),
        nms=(0.7, 'IoU threshold of the NMS over all levels'),
        batch_size=(1, 'images per batch and process'),
        num_workers=(2, 'workers per process that read images'),
    )
    parser.add_argument(
        '--on-error',
        choices=['raise', 'skip'],
        help='an image that cannot be read ends the run, or has no proposals '
        "(default: as the config's ChipDataset has it)",
    )
    args = cli.parse(parser)
    cli.require_at_least(parser, args, max_per_level=1, batch_size=1)
    cli.require_at_least(parser, args, num_workers=0)
    cli.require(parser, 0 < args.nms <= 1, '--nms must be in (0, 1]', args.nms)
    cli.require_suffix(parser, args, out='.npz')
    return args


def main():
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options)
    prepare_cpu(args.launcher)
    if args.launcher != 'none' and not is_distributed():
        init_dist(args.launcher)
    model = load_detector(cfg, args.checkpoint, PyramidDetector, True)
    images = build_image_dataset(cfg, args.split)
    images = extraction.WholeImages(images, args.on_error)
    how = args.max_per_level, args.nms, args.batch_size, args.num_workers
    # The checkpoint replaces the weights from which training starts.
    cfg.model.pop('init_cfg', None)
    if 'backbone' in cfg.model:
        cfg.model.backbone.init_cfg = None
    how = *how, str(cfg.model)
    found = extraction.extract_proposals(model, images, args.out, *how)
    if is_main_process():
        about = f'{len(found.boxes)} proposals of {len(found)} images'
        print(f'{about} in {args.out}')


if __name__ == '__main__':
    cli.run(main)
