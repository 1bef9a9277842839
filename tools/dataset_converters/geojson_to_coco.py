"""Turn polygons on a map into a COCO file of georeferenced images.

    python tools/dataset_converters/geojson_to_coco.py \
        data/mine/scenes data/mine/objects.geojson \
        --class-property kind --out data/mine/train.json

The images are GeoTIFFs, or others with a CRS; one, or a folder of them. The
polygons are GeoJSON in WGS84, or in the CRS that the file's member "crs"
names, or a GeoPackage, which needs geopandas. Each polygon, or feature of
several, is an object of each image that it lies in: an upright box around what
of it is in the image, and its outline in "segmentation", holes filled. What is
cut off or left out is counted. The images stay whole, whatever their size:
chips are cut while training.
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
        help='the property that is the class of a polygon (default: '
        '%(default)s)',
    )
    add(
        '--class',
        metavar='NAME',
        dest='class_name',
        help='the class of all polygons',
    )
    print(convert_map(**vars(cli.parse(parser))))


if __name__ == '__main__':
    cli.run(main)
