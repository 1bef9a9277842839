"""Join the images of a COCO data set into large scenes.

    python tools/dataset_converters/tile_images.py ANN.json IMAGE_DIR OUT_DIR \
        --grid 3 3

The tool writes OUT_DIR/NAME.json and the scenes as
OUT_DIR/images/NAME_0000.png and so on, without loss; NAME is that of the
annotation file. Each scene holds COLUMNS x ROWS images in random order, in
cells of the size of the largest image; the rest of a cell is black. Images
that do not fill a whole scene are left out.
"""

from pathlib import Path

from sniper_mmdet.datasets.tiling import tile_images
from sniper_mmdet.utils import cli


def main():
    parser = cli.make_parser(__doc__)
    parser.add_argument('ann', help='COCO json')
    parser.add_argument('image_dir', help='folder of its images')
    parser.add_argument('out_dir')
    sides = dict(nargs=2, metavar=('COLUMNS', 'ROWS'))
    cli.add_options(parser, grid=([3, 3], 'images per scene', sides))
    parser.add_argument('--seed', type=int, default=0)
    args = cli.parse(parser)
    cli.require_at_least(parser, args, grid=1)
    if not Path(args.ann).is_file():
        parser.error(f'{args.ann} does not exist.')
    scenes, boxes, left_out = tile_images(**vars(args))
    path = Path(args.out_dir, Path(args.ann).stem)
    about = f'{scenes} scenes with {boxes} boxes: {path}.json'
    print(f'\n{about}; {left_out} images left out.')


if __name__ == '__main__':
    cli.run(main)
