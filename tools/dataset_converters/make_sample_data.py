"""Make a sample data set for detection: many small objects in large images.

    python tools/dataset_converters/make_sample_data.py data/sample

Each of the four classes is a shape in a family of hues. The backgrounds have
texture, and clutter that shares the shape or the hue of a class but never
both. Most objects are below 32 px in images of 1000-1600 px: they are plain to
see at native resolution, and nearly gone in an image that is shrunk to 512 px.
``--size 3000 3000 --objects 3 8`` makes large images with few objects. The
same settings give the same files.
"""

from pathlib import Path

from sniper_mmdet.datasets.synthetic import SampleSettings, write_sample_data
from sniper_mmdet.utils import cli

_OPTIONS = dict(
    train='training images',
    val='validation images',
    seed='random seed',
    size='range of the sides of an image in pixels',
    objects='range of the number of objects per image',
    max_size='size of the largest object, the square root of its box area',
)
_RANGE = dict(nargs=2, metavar=('LOW', 'HIGH'))


def main():
    parser = cli.make_parser(__doc__)
    parser.allow_abbrev = False
    parser.add_argument('out_dir', metavar='OUT_DIR', type=Path)
    for name, text in _OPTIONS.items():
        default = getattr(SampleSettings, name)
        more = _RANGE if isinstance(default, tuple) else {}
        cli.add_options(parser, **{name: (default, text, more)})
    delete = 'delete OUT_DIR first if it holds other files'
    cli.add_options(parser, overwrite=(False, delete))
    args = vars(cli.parse(parser))
    out, overwrite = args.pop('out_dir').resolve(), args.pop('overwrite')
    settings = SampleSettings(**args)
    if write_sample_data(out, settings, overwrite):
        about = f'{settings.train} training and {settings.val} validation'
        print(f'{about} images are in {out}.')
    else:
        print(f'{out} holds these images already: nothing to do.')


if __name__ == '__main__':
    cli.run(main)
