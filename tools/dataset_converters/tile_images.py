"""Join the images of a COCO data set into large scenes.

    python tools/dataset_converters/tile_images.py ANN.json IMAGE_DIR OUT_DIR \
        --grid 3 3

Writes OUT_DIR/NAME.json, NAME being that of the annotation file, and the
scenes, OUT_DIR/images/NAME_0000.png and so on, without loss: from top left to
bottom right each holds COLUMNS x ROWS images, drawn at random, in cells of the
size of the largest; what a smaller one leaves is black. Images that fill no
whole scene are left out.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
from mmengine.utils import track_iter_progress
from pycocotools.coco import COCO


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('ann', help='COCO json')
    parser.add_argument('image_dir', help='folder of its images')
    parser.add_argument('out_dir')
    parser.add_argument(
        '--grid',
        type=int,
        nargs=2,
        default=[3, 3],
        metavar=('COLUMNS', 'ROWS'),
        help='images in a scene (default: 3 3)',
    )
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    if min(args.grid) < 1:
        parser.error(f'--grid must be at least 1 1. Received: {args.grid}.')
    if not Path(args.ann).is_file():
        parser.error(f'{args.ann} does not exist.')
    return args


def moved(annotation, x, y):
    """An annotation of an image whose corner has come to (x, y)."""
    left, top, width, height = annotation['bbox']
    result = dict(annotation, bbox=[left + x, top + y, width, height])
    outline = annotation.get('segmentation')
    if isinstance(outline, list):
        result['segmentation'] = [
            (np.reshape(part, (-1, 2)) + (x, y)).ravel().tolist()
            for part in outline
        ]
    elif outline:  # run lengths would have to be drawn anew
        del result['segmentation']
    return result


def write_scene(images, by_image, cell, args, path):
    """Draw one scene; its size and annotations."""
    columns, rows = args.grid
    width, height = cell
    scene = np.zeros((rows * height, columns * width, 3), np.uint8)
    annotations = []
    for k, image in enumerate(images):
        y, x = k // columns * height, k % columns * width
        file = Path(args.image_dir) / image['file_name']
        pixels = cv2.imread(str(file))
        if pixels is None:
            raise OSError(f'{file} cannot be read as an image.')
        h, w = pixels.shape[:2]
        if (w, h) != (image['width'], image['height']):
            raise ValueError(
                f'{file} is {w}x{h} px, and {image["width"]}x'
                f'{image["height"]} in {args.ann}.'
            )
        scene[y : y + h, x : x + w] = pixels
        annotations += [moved(a, x, y) for a in by_image[image['id']]]
    if not cv2.imwrite(str(path), scene):
        raise OSError(f'{path} cannot be written.')
    return scene.shape[1::-1], annotations


def main():
    args = parse_args()
    source = COCO(args.ann)
    found = list(source.imgs.values())
    count = args.grid[0] * args.grid[1]
    if len(found) < count:
        raise ValueError(
            f'{args.ann} has {len(found)} images, and a scene takes {count}.'
        )
    order = np.random.default_rng(args.seed).permutation(len(found))
    cell = [max(image[key] for image in found) for key in ('width', 'height')]
    out = Path(args.out_dir)
    (out / 'images').mkdir(parents=True, exist_ok=True)
    name = Path(args.ann).stem
    images, annotations = [], []
    for i in track_iter_progress(range(len(found) // count)):
        part = [found[j] for j in order[i * count : (i + 1) * count]]
        file_name = f'{name}_{i:04d}.png'
        (width, height), boxes = write_scene(
            part, source.imgToAnns, cell, args, out / 'images' / file_name
        )
        images.append(
            dict(id=i + 1, file_name=file_name, width=width, height=height)
        )
        # pycocotools takes an annotation of id 0 for none.
        annotations += [
            dict(box, id=len(annotations) + k, image_id=i + 1)
            for k, box in enumerate(boxes, 1)
        ]
    scenes = dict(
        images=images,
        annotations=annotations,
        categories=source.dataset['categories'],
    )
    # What is there under this name is whole.
    scratch = out / f'{name}.json.tmp'
    scratch.write_text(json.dumps(scenes))
    scratch.replace(out / f'{name}.json')
    print(
        f'\n{len(images)} scenes with {len(annotations)} boxes: '
        f'{out / name}.json; {len(found) % count} images left out.'
    )


if __name__ == '__main__':
    try:
        main()
    except (OSError, ValueError) as error:
        raise SystemExit(f'tile_images: {error}') from None
