"""Draw the chips that a config trains on, level by level.

    python tools/analysis_tools/browse_chips.py CONFIG --out-dir DIR

    python tools/analysis_tools/browse_chips.py CONFIG --proposals FILE.npz ...

Positive chips are orange; negative chips are magenta, and so are, paler, the
proposals that they are mined from. Boxes that chips train are green, boxes
that they show but ignore are grey; what no chip of a level shows is dark.
"""

from pathlib import Path

import mmcv
from mmengine.utils import track_iter_progress

from sniper_mmdet.chips import draw_stride
from sniper_mmdet.engine.build import build_chip_dataset, load_config
from sniper_mmdet.utils import cli
from sniper_mmdet.visualization import draw_image


def main():
    parser = cli.make_parser(__doc__)
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
    cli.add_cfg_options(parser)
    args = cli.parse(parser)
    dataset = build_chip_dataset(
        load_config(args.config, args.cfg_options), args.proposals
    )
    table = dataset.mine(args.seed, args.epoch)
    stride = draw_stride(dataset.settings, args.seed, args.epoch)
    shown = list(range(len(dataset.images)))[: args.num or None]
    out_dir = Path(args.out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    for index in track_iter_progress(shown):
        path = dataset.dataset.get_data_info(index)['img_path']
        picture = draw_image(dataset, table, index, stride, args.height)
        mmcv.imwrite(
            picture, str(out_dir / f'{index:06d}_{Path(path).stem}.jpg')
        )
    print(f'\n{len(shown)} pictures in {out_dir}')


if __name__ == '__main__':
    cli.run(main)
