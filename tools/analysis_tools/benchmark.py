"""Measure the parts of the package, each against a named peer.

python tools/analysis_tools/benchmark.py chips --ann instances.json --json
python tools/analysis_tools/benchmark.py pipeline CONFIG
"""

import argparse
import contextlib
import json
import sys
import time

import numpy as np
from mmengine.config import DictAction

from sniper_mmdet.chips import (
    RELEASED_COCO,
    ChipSettings,
    ImageBoxes,
    ImagePyramid,
    from_coco,
    mine_chips,
)

# The original C++ generator, on one core, on 446 COCO images.
ORIGINAL = dict(positive_ms_per_image=0.16, cover_ms_per_image_900_boxes=15.0)


def best_of(function, repeats):
    """Seconds of the fastest of several calls, each with its number."""
    times = []
    for number in range(repeats):
        start = time.perf_counter()
        function(number)
        times.append(time.perf_counter() - start)
    return min(times)


def random_boxes(num_images=50, num_boxes=900, seed=0):
    """Random boxes of 640x480 images, sizes 8..300 px, log-uniform."""
    rng = np.random.default_rng(seed)
    boxes = []
    for _ in range(num_images):
        size = np.exp(rng.uniform(np.log(8), np.log(300), num_boxes))
        ratio = np.exp(rng.uniform(-0.7, 0.7, num_boxes) / 2)
        sides = np.minimum(
            np.stack([size * ratio, size / ratio], 1), (640, 480)
        )
        corner = rng.uniform(0, 1, (num_boxes, 2)) * ((640, 480) - sides)
        boxes.append(np.concatenate([corner, corner + sides], 1))
    return ImageBoxes.from_lists([(640, 480)] * num_images, boxes)


def benchmark_chips(args):
    images = from_coco(args.ann)
    crowded = random_boxes(seed=args.seed)
    # Every box at every level: the cover alone, no range makes it easier.
    cover = ChipSettings(
        ImagePyramid([(-1, 512), 1.667, 3.0]), 512, stride=(56, 59)
    )
    mine_chips(images, RELEASED_COCO, args.seed)  # compiles

    positive = best_of(
        lambda e: mine_chips(images, RELEASED_COCO, args.seed, e), 20
    )
    covering = best_of(lambda e: mine_chips(crowded, cover, args.seed, e), 5)
    result = dict(
        images=len(images),
        positive_ms_per_image=positive / len(images) * 1e3,
        cover_ms_per_image_900_boxes=covering / len(crowded) * 1e3,
    )
    for key, original in ORIGINAL.items():
        result[f'{key}_original'] = original
        result[f'{key}_speedup'] = original / result[key]
    return result


def benchmark_pipeline(args):
    """Samples a second of one worker: chips, and mmdet's multi-scale."""
    import cv2
    import torch
    from mmcv.transforms import Compose

    from sniper_mmdet.utils.build import build_chip_dataset, load_config

    cv2.setNumThreads(0)  # as in a worker
    torch.set_num_threads(1)
    dataset = build_chip_dataset(load_config(args.config, args.cfg_options))
    rng = np.random.default_rng(args.seed)
    table = dataset.mine(args.seed, 0)
    rows = table[rng.integers(0, len(table), args.samples)]
    peer = Compose(
        [
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(
                type='RandomChoiceResize',
                scales=[(1333, side) for side in range(480, 801, 32)],
                keep_ratio=True,
            ),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PackDetInputs'),
        ]
    )

    def ours(_):
        for row in rows:
            dataset[row]

    def mmdets(_):
        for i in rows['image'].tolist():
            peer(dataset.dataset.get_data_info(i))

    ours(0), mmdets(0)  # the files are in memory for both
    times = [[], []]
    for _ in range(args.repeats):  # alternating: both meet the same machine
        for function, found in zip((ours, mmdets), times, strict=True):
            found.append(best_of(function, 1))
    chips, whole = (args.samples / min(t) for t in times)
    return dict(
        samples=args.samples,
        samples_per_second=chips,
        samples_per_second_mmdet_multi_scale=whole,
        ratio=chips / whole,
    )


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest='command', required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument('--json', action='store_true', help='print JSON only')
    common.add_argument('--seed', type=int, default=0)
    chips = commands.add_parser(
        'chips', parents=[common], help='mining, against the original C++'
    )
    chips.add_argument('--ann', required=True, help='COCO json')
    pipeline = commands.add_parser(
        'pipeline',
        parents=[common],
        help="a worker's samples a second, against mmdet's multi-scale "
        'pipeline on the same images',
    )
    pipeline.add_argument('config', help='train config file path')
    pipeline.add_argument('--samples', type=int, default=200)
    pipeline.add_argument('--repeats', type=int, default=3)
    pipeline.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='override settings of the config, as in tools/train.py',
    )
    return parser.parse_args()


def main():
    args = parse_args()
    run = dict(chips=benchmark_chips, pipeline=benchmark_pipeline)
    # What is printed while annotations are read is no part of the result.
    with contextlib.redirect_stdout(sys.stderr):
        result = run[args.command](args)
    if args.json:
        print(json.dumps(result, indent=2))
    else:
        for key, value in result.items():
            print(f'{key:40} {value:.4g}')


if __name__ == '__main__':
    try:
        main()
    except (OSError, ValueError) as error:
        raise SystemExit(f'benchmark: {error}') from None
