"""Make one scene of gigapixels from some images of a COCO data set.

    python tools/dataset_converters/make_large_scene.py ANN.json IMAGE_DIR \
        OUT_DIR --side 60000

The scene serves to try and measure detection in images that do not fit into
memory. The tool writes OUT_DIR/NAME.tif, a COG in UTM with JPEG tiles and
overviews, and OUT_DIR/NAME.json with the boxes; NAME is that of the annotation
file. The images lie at random places and do not overlap; the rest of the scene
has their colour and a little grain. The tool writes row by row of tiles and
holds one row in memory.
"""

from pathlib import Path

from sniper_mmdet.images.opening import require_rasterio
from sniper_mmdet.utils import cli


def main():
    parser = cli.make_parser(__doc__)
    parser.add_argument('ann', help='COCO json')
    parser.add_argument('image_dir', help='folder of its images')
    parser.add_argument('out_dir')
    cli.add_options(
        parser,
        side=(60000, 'sides of the scene in pixels'),
        num=(20, 'number of images in the scene'),
        factor=(1.0, 'factor by which the images are enlarged'),
        seed=(0, 'random seed of images, places and grain'),
    )
    args = cli.parse(parser)
    cli.require_at_least(parser, args, side=1, num=1)
    rule = '--factor must be above 0'
    cli.require(parser, args.factor > 0, rule, args.factor)
    if not Path(args.ann).is_file():
        parser.error(f'{args.ann} does not exist.')
    require_rasterio('a scene in tiles')
    from sniper_mmdet.datasets.large_scene import write_large_scene

    images, boxes = write_large_scene(**vars(args))
    path = Path(args.out_dir, Path(args.ann).stem)
    print(f'\n{path}.tif with {images} images, {boxes} boxes: {path}.json')


if __name__ == '__main__':
    cli.run(main)
