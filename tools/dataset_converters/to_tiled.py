"""Write the images of a folder as TIFFs in tiles, which are read by window.

    python tools/dataset_converters/to_tiled.py SRC_FOLDER DST_FOLDER \
        --ann in.json --out-ann out.json

A chip of such a file costs its own pixels, not those of the whole image: with
LoadImageByWindow, as all configs of this package have it. SRC_FOLDER/a/b.jpg
becomes DST_FOLDER/a/b.tif: compressed as JPEG, with overviews, 2, 4, 8 times
smaller and so on, for what is shrunk. --compress deflate, zstd or none keep
all pixels as they are, in larger files, and zstd and none are read faster.
Images of 16 bits need one of them, and LoadImageByWindow then a value_range.

Pixels are those that LoadImageFromFile loads, turned as EXIF says, so boxes
stay where they are. Places on a map and further bands are not kept: files
that have them can be read as they are, or written in tiles by GDAL's own
gdal_translate.

Each image is decoded once, whole: a process has one in memory, and twice for
a moment; --num-procs multiplies that. What is whole in DST_FOLDER already is
not written again, unless other settings are given: a run that was stopped goes
on where it was.
"""

import logging

from sniper_mmdet.images.tiled import COMPRESSIONS, convert_folder
from sniper_mmdet.utils import cli


def main():
    parser = cli.make_parser(__doc__)
    parser.add_argument('source', metavar='SRC_FOLDER', help='of the images')
    parser.add_argument('out', metavar='DST_FOLDER', help='of the TIFFs')
    compress = dict(choices=COMPRESSIONS)
    on_error = dict(choices=['stop', 'skip'])
    about = 'of an image that cannot be converted: skip leaves it out, of '
    about += '--out-ann too'
    told = 'sides of a tile, a multiple of 16 (default: 256 of jpeg, or 128)'
    cli.add_options(
        parser,
        ann='COCO json of the images, named from SRC_FOLDER',
        out_ann='gets what --ann has, with the new names',
        compress=('jpeg', 'all but jpeg are without loss', compress),
        quality=(90, 'of JPEG, 1 to 100'),
        block=(None, told, dict(type=int)),
        num_procs=(1, 'processes'),
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
