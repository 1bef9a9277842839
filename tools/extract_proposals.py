"""Extract a detector's proposals, to mine negative chips from.

    python tools/extract_proposals.py CONFIG CHECKPOINT --out FILE.npz

At every level of the test pyramid the best boxes of the detector's RPN are
taken, or, where it has none, its best detections. An extraction that was cut
off goes on where it was when the same command is given again.
"""

import argparse
import os

from mmengine.config import DictAction
from mmengine.device import get_device
from mmengine.dist import init_dist, is_distributed, is_main_process
from mmengine.runner.checkpoint import CheckpointLoader

from sniper_mmdet.engine.build import build_image_dataset, load_config
from sniper_mmdet.engine.cpu import prepare_cpu
from sniper_mmdet.engine.proposal_extraction import (
    WholeImages,
    extract_proposals,
)
from sniper_mmdet.models import PyramidDetector
from sniper_mmdet.registry import MODELS


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config', help='config file path')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', required=True, help='proposal file (.npz)')
    parser.add_argument(
        '--split',
        choices=['train', 'val', 'test'],
        default='train',
        help="which of the config's data sets (default: train)",
    )
    parser.add_argument(
        '--max-per-level',
        type=int,
        default=300,
        help='proposals an image and level (default: 300)',
    )
    parser.add_argument(
        '--nms',
        type=float,
        default=0.7,
        help='IoU threshold of the NMS over all levels (default: 0.7)',
    )
    parser.add_argument(
        '--batch-size',
        type=int,
        default=1,
        help='images run together, a process (default: 1)',
    )
    parser.add_argument(
        '--num-workers',
        type=int,
        default=2,
        help='that read images, a process (default: 2)',
    )
    parser.add_argument(
        '--on-error',
        choices=['raise', 'skip'],
        help='an image that cannot be read stops it, or has no proposals '
        "(default: as the config's ChipDataset has it)",
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='override settings of the config, as in tools/train.py',
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher',
    )
    # torch.distributed.launch passes --local-rank; torchrun does not.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    args = parser.parse_args()
    for name, lowest in (
        ('max_per_level', 1),
        ('batch_size', 1),
        ('num_workers', 0),
    ):
        if getattr(args, name) < lowest:
            parser.error(
                f'--{name.replace("_", "-")} must be at least {lowest}. '
                f'Received: {getattr(args, name)}.'
            )
    if not 0 < args.nms <= 1:
        parser.error(f'--nms must be in (0, 1]. Received: {args.nms}.')
    if not args.out.endswith('.npz'):
        parser.error(f'--out must be a .npz file. Received: {args.out}.')
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def load_weights(model, path):
    """Load a checkpoint, of the whole detector or of its RPN alone.

    Raises:
        ValueError: Weights that proposals come from are missing.
    """
    try:
        found = CheckpointLoader.load_checkpoint(path, map_location='cpu')
        found = found.get('state_dict', found)
    except OSError:
        raise
    except Exception as error:  # whatever torch finds wrong with a file
        raise ValueError(
            f'{path} is not a checkpoint: {type(error).__name__}: {error}'
        ) from None
    # Proposals do not come from these, which may be of another detector.
    unused = ('focus_head.',)
    if getattr(model.detector, 'with_rpn', False):
        unused += ('roi_head.', 'detector.roi_head.')
    found = {k: v for k, v in found.items() if not k.startswith(unused)}
    try:
        missing = model.load_state_dict(found, strict=False).missing_keys
    except RuntimeError as error:
        raise ValueError(f'{path} is of another detector: {error}') from None
    missing = [
        key
        for key in missing
        if not key.endswith('num_batches_tracked')
        and not key.startswith(unused)
    ]
    if missing:
        raise ValueError(
            f'{path} lacks {len(missing)} weights of the detector, the first '
            f'is {missing[0]}: it is of another one.'
        )


def main():
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options)
    prepare_cpu(args.launcher)
    if args.launcher != 'none' and not is_distributed():
        init_dist(args.launcher)
    cfg.model.pop('init_cfg', None)
    if 'backbone' in cfg.model:
        cfg.model.backbone.init_cfg = None  # no download: weights are loaded
    model = MODELS.build(cfg.model)
    if not isinstance(model, PyramidDetector):
        raise ValueError(
            f'{args.config}: model.type must be sniper_mmdet.PyramidDetector. '
            f'Received: {cfg.model.type}.'
        )
    load_weights(model, args.checkpoint)
    model.to(get_device())
    images = WholeImages(build_image_dataset(cfg, args.split), args.on_error)
    found = extract_proposals(
        model,
        images,
        args.out,
        args.max_per_level,
        args.nms,
        args.batch_size,
        args.num_workers,
        str(cfg.model),
    )
    if is_main_process():
        print(
            f'{len(found.boxes)} proposals of {len(found)} images in '
            f'{args.out}'
        )


if __name__ == '__main__':
    try:
        main()
    except (OSError, ValueError) as error:
        raise SystemExit(f'extract_proposals: {error}') from None
