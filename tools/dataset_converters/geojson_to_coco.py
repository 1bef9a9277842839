"""Convert polygons on a map to a COCO file of georeferenced images.

    python tools/dataset_converters/geojson_to_coco.py \
        data/mine/scenes data/mine/objects.geojson \
        --class-property kind --out data/mine/train.json

The images are one file or a folder, GeoTIFFs or other files with a CRS. The
polygons are GeoJSON in WGS84, or in the CRS that the file's member "crs"
names, or a GeoPackage, which needs geopandas. Each polygon, or feature of
several polygons, is an object of each image in which it lies: the box is the
upright rectangle around the part inside the image, and "segmentation" has the
outline, with holes filled. The tool counts objects that it cuts or leaves out.
The images stay whole, whatever their size: training cuts chips.
"""

from pathlib import Path

from sniper_mmdet.datasets.formats.geojson import CLASS_PROPERTY
from sniper_mmdet.datasets.formats.rasters import convert_map
from sniper_mmdet.utils import cli


def main():
    parser = cli.make_parser(__doc__)
    parser.allow_abbrev = False
    add = parser.add_argument
    add('images', metavar='IMAGE_OR_FOLDER', type=Path)
    add(
        'annotations', metavar='ANNOTATIONS', type=Path, help='.geojson, .gpkg'
    )
    add('--out', required=True, type=Path, help='COCO file (.json)')
    add = parser.add_mutually_exclusive_group().add_argument
    add(
        '--class-property',
        metavar='NAME',
        default=CLASS_PROPERTY,
        help='property that names the class of a polygon (default: '
        '%(default)s)',
    )
    add(
        '--class',
        metavar='NAME',
        dest='class_name',
        help='one class for all polygons',
    )
    print(convert_map(**vars(cli.parse(parser))))


if __name__ == '__main__':
    cli.run(main)
