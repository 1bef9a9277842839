"""Draw the chips that a config trains on, level by level.

    python tools/analysis_tools/browse_chips.py CONFIG --out-dir DIR

    python tools/analysis_tools/browse_chips.py CONFIG --proposals FILE.npz ...

Positive chips are orange. Negative chips are magenta, and the proposals from
which they are mined a paler magenta. Boxes that the chips train are green,
boxes that they show but ignore are grey. The parts of a level that no chip
shows are dark.
"""

from pathlib import Path

import mmcv

from sniper_mmdet.chips import draw_stride
from sniper_mmdet.engine.build import build_chip_dataset, load_config
from sniper_mmdet.utils import cli
from sniper_mmdet.utils.progress import track
from sniper_mmdet.visualization import draw_image


def main():
    parser = cli.make_parser(__doc__, cli.add_config)
    add = parser.add_argument
    add('--out-dir', required=True, help='folder for the drawn images')
    add('--num', type=int, default=20, help='images to draw; 0 for all')
    add('--seed', type=int, default=0)
    add('--epoch', type=int, default=0)
    add('--height', type=int, default=480, help='height of a panel in pixels')
    add('--proposals', help="proposal file to use instead of the config's")
    args = cli.parse(parser)
    cfg = load_config(args.config, args.cfg_options)
    dataset = build_chip_dataset(cfg, args.proposals)
    Path(args.out_dir).mkdir(parents=True, exist_ok=True)
    table = dataset.mine(args.seed, args.epoch)
    stride = draw_stride(dataset.settings, args.seed, args.epoch)
    shown = list(range(len(dataset.images)))[: args.num or None]
    for index in track(shown):
        image = Path(dataset.dataset.get_data_info(index)['img_path'])
        picture = draw_image(dataset, table, index, stride, args.height)
        mmcv.imwrite(picture, f'{args.out_dir}/{index:06d}_{image.stem}.jpg')
    print(f'{len(shown)} drawn images in {args.out_dir}')


if __name__ == '__main__':
    cli.run(main)
