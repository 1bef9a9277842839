"""Convert the images of a folder to tiled TIFFs, for reading by window.

    python tools/dataset_converters/to_tiled.py SRC_FOLDER DST_FOLDER \
        --ann in.json --out-ann out.json

Reading a chip from such a file decodes the chip's own pixels instead of the
whole image. It needs LoadImageByWindow, which all configs of this package
have. SRC_FOLDER/a/b.jpg becomes DST_FOLDER/a/b.tif, compressed as JPEG, with
overviews that are 2, 4, 8 times smaller and so on, for levels that shrink the
image. --compress deflate, zstd and none keep all pixels as they are, in larger
files; zstd and none are read faster. Images of 16 bits need one of these
three, and a value_range in LoadImageByWindow.

The pixels are those that LoadImageFromFile loads, with EXIF's orientation
applied, so boxes stay valid. Georeferences and further bands are lost: files
that have them can be read as they are, or tiled by GDAL's gdal_translate.

Each image is decoded once, as a whole: a process holds one image in memory,
for a moment two copies of it; --num-procs multiplies that. A file that is
complete in DST_FOLDER is not written again, unless the settings have changed:
an interrupted run continues.
"""

import logging

from sniper_mmdet.images.tiled import COMPRESSIONS, convert_folder
from sniper_mmdet.utils import cli


def main():
    parser = cli.make_parser(__doc__)
    parser.add_argument(
        'source', metavar='SRC_FOLDER', help='folder of the images'
    )
    parser.add_argument(
        'out', metavar='DST_FOLDER', help='folder for the TIFFs'
    )
    compress = dict(choices=COMPRESSIONS)
    on_error = dict(choices=['stop', 'skip'])
    about = 'skip: leave out images that cannot be converted, also from '
    about += '--out-ann'
    cli.add_options(
        parser,
        ann='COCO json whose file names are relative to SRC_FOLDER',
        out_ann='file for a copy of --ann with the new file names',
        compress=(
            'jpeg',
            'compression; all but jpeg are without loss',
            compress,
        ),
        quality=(90, 'quality of JPEG, 1 to 100'),
        block=(128, 'sides of a tile in pixels, a multiple of 16'),
        num_procs=(1, 'number of processes'),
        on_error=('stop', about, on_error),
    )
    args = cli.parse(parser)
    if (args.ann is None) != (args.out_ann is None):
        parser.error('--ann and --out-ann go together.')
    cli.require_suffix(parser, args, out_ann='.json')
    done = convert_folder(**vars(args))
    for sentence in done.left_out:
        logging.getLogger('to_tiled').warning(sentence)
    before, after = done.bytes_before / 1e6, done.bytes_after / 1e6
    print(
        f'{done.written} written, {done.skipped} skipped that were there, '
        f'{len(done.left_out)} left out; {before:.1f} MB before, {after:.1f} '
        'MB after.'
    )


if __name__ == '__main__':
    cli.run(main)
