"""Draw the chips that a config trains on, level by level.

    python tools/analysis_tools/browse_chips.py CONFIG --out-dir DIR

    python tools/analysis_tools/browse_chips.py CONFIG --proposals FILE.npz ...

Positive chips are orange; negative chips are magenta, and so are, paler, the
proposals that they are mined from. Boxes that chips train are green, boxes
that they show but ignore are grey; what no chip of a level shows is dark.
"""

import argparse
from pathlib import Path

import mmcv
import numpy as np
from mmengine.config import DictAction
from mmengine.utils import track_iter_progress

from sniper_mmdet.chips import draw_stride, uncovered_proposals
from sniper_mmdet.engine.build import build_chip_dataset, load_config
from sniper_mmdet.visualization import draw_chips


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config', help='train config file path')
    parser.add_argument(
        '--out-dir', required=True, help='where the pictures are written'
    )
    parser.add_argument(
        '--num', type=int, default=20, help='pictures; 0 for all images'
    )
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--epoch', type=int, default=0)
    parser.add_argument(
        '--height', type=int, default=480, help='of a panel, in pixels'
    )
    parser.add_argument(
        '--proposals', help="proposal file, instead of the config's"
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='override settings of the config, as in tools/train.py',
    )
    return parser.parse_args()


def mined_from(dataset, table, index, stride):
    """By level, the proposals of an image that ask for negative chips."""
    proposals = dataset.proposals
    if proposals is None:
        return None
    asking = uncovered_proposals(
        dataset.images,
        dataset.settings,
        dataset.negatives,
        proposals,
        table,
        index,
        stride,
    )
    boxes = proposals.boxes[proposals.span(index)]
    return [boxes[column] for column in asking.T]


def main():
    args = parse_args()
    dataset = build_chip_dataset(
        load_config(args.config, args.cfg_options), args.proposals
    )
    table = dataset.mine(args.seed, args.epoch)
    stride = draw_stride(dataset.settings, args.seed, args.epoch)
    images = dataset.images
    shown = np.arange(len(images))[: args.num or None]
    out_dir = Path(args.out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    for index in track_iter_progress(shown.tolist()):
        path = dataset.dataset.get_data_info(index)['img_path']
        image = mmcv.imread(path)
        if image is None:
            raise OSError(f'{path} cannot be read as an image.')
        rows = table[table['image'] == index]
        picture = draw_chips(
            image,
            images.of_image(index),
            rows,
            dataset.settings,
            args.height,
            mined_from(dataset, table, index, stride),
        )
        mmcv.imwrite(
            picture, str(out_dir / f'{index:06d}_{Path(path).stem}.jpg')
        )
    print(f'\n{len(shown)} pictures in {out_dir}')


if __name__ == '__main__':
    try:
        main()
    except (OSError, ValueError) as error:
        raise SystemExit(f'browse_chips: {error}') from None
