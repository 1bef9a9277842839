"""Measure the parts of the package, each against a named peer.

python tools/analysis_tools/benchmark.py chips --ann instances.json --json
python tools/analysis_tools/benchmark.py negatives --images 1000 100000
python tools/analysis_tools/benchmark.py pipeline CONFIG
python tools/analysis_tools/benchmark.py inference CONFIG CHECKPOINT
python tools/analysis_tools/benchmark.py train CONFIG --batch 1 4 16
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from mmengine.config import DictAction

from sniper_mmdet.chips import (
    RELEASED_COCO,
    ChipSettings,
    ImageBoxes,
    ImagePyramid,
    Proposals,
    from_coco,
    mine_chips,
)

# For those beside this file, however it is run.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from benchmark_common import random_boxes, watch  # noqa: E402
from benchmark_train import benchmark_train, print_table  # noqa: E402

# The original C++ generator, on one core, on 446 COCO images.
# Of negative chips it was the cover alone that was measured.
ORIGINAL = dict(
    positive_ms_per_image=0.16,
    cover_ms_per_image_900_boxes=15.0,
    negative_ms_per_image_900_proposals=15.0,
)


def best_of(function, repeats):
    """Seconds of the fastest of several calls, each with its number."""
    times = []
    for number in range(repeats):
        start = time.perf_counter()
        function(number)
        times.append(time.perf_counter() - start)
    return min(times)


def with_objects(crowded, num=8):
    """Random boxes as proposals, and the first of each image as objects."""
    boxes = [crowded.of_image(i)[:num] for i in range(len(crowded))]
    sizes = np.stack([crowded.widths, crowded.heights], 1)
    scores = np.ones(len(crowded.boxes), np.float32)
    entries = np.arange(len(crowded))
    return ImageBoxes.from_lists(sizes, boxes), Proposals(
        crowded.boxes, scores, crowded.offsets, entries
    )


def benchmark_negatives(args):
    """Time and memory of mining from a mapped file, by number of images."""
    result = {}
    for num_images in args.images:
        with tempfile.TemporaryDirectory(dir=args.dir) as folder:
            path = str(Path(folder, 'proposals.npz'))
            write_synthetic(path, num_images, args.proposals)
            size = Path(path).stat().st_size
            # A process of its own, watched from here: its own memory without
            # the pages of the file, which the system takes back at will.
            child = subprocess.Popen(
                [sys.executable, __file__, 'mine-file', path],
                stdout=subprocess.PIPE,
                text=True,
            )
            peak = 0
            while child.poll() is None:
                peak = max(peak, private_bytes(child.pid))
                time.sleep(0.01)
            seconds = json.loads(child.stdout.read())['seconds']
        key = f'{num_images}_images'
        result[f'{key}_ms_per_image'] = seconds / num_images * 1e3
        result[f'{key}_private_mb'] = peak / 2**20
        result[f'{key}_file_mb'] = size / 2**20
    return result


def private_bytes(pid):
    for line in Path(f'/proc/{pid}/status').read_text().splitlines():
        if line.startswith('RssAnon:'):
            return int(line.split()[1]) * 1024
    return 0


def write_synthetic(path, num_images, num_proposals, block=5000):
    """A proposal file of random boxes, written by blocks of images."""
    from sniper_mmdet.datasets.proposals import join_proposals, write_proposals

    parts = []
    for start in range(0, num_images, block):
        count = min(block, num_images - start)
        images = random_boxes(min(count, 100), num_proposals)
        boxes = [images.of_image(k % len(images)) for k in range(count)]
        parts.append(f'{path}.{start:09d}')
        write_proposals(
            parts[-1],
            [f'{start + k}' for k in range(count)],
            np.tile((640, 480), (count, 1)),
            boxes,
            [np.ones(len(b), np.float32) for b in boxes],
            {},
        )
    join_proposals(path, parts, {})


def mine_file(args):
    """What benchmark_negatives measures: seconds of one epoch's mining."""
    from sniper_mmdet.datasets.proposals import ProposalFile

    file = ProposalFile(args.path)
    boxes = random_boxes(100, 8)
    images = ImageBoxes.from_lists(
        file.sizes, [boxes.of_image(k % 100) for k in range(len(file))]
    )
    proposals = file.select(file.keys, file.sizes)
    few = Proposals(*proposals[:3], proposals.entries[:1])
    one = ImageBoxes.from_lists(file.sizes[:1], [boxes.of_image(0)])
    mine_chips(one, RELEASED_COCO, 0, 0, few)  # compiles
    start = time.perf_counter()
    table = mine_chips(images, RELEASED_COCO, 0, 0, proposals)
    seconds = time.perf_counter() - start
    return dict(
        seconds=seconds,
        negative_chips=int((~table['positive']).sum()),
    )


def benchmark_chips(args):
    images = from_coco(args.ann)
    crowded = random_boxes(seed=args.seed)
    # Every box at every level: the cover alone, no range makes it easier.
    cover = ChipSettings(
        ImagePyramid([(-1, 512), 1.667, 3.0]), 512, stride=(56, 59)
    )
    objects, proposals = with_objects(crowded)
    mine_chips(objects, RELEASED_COCO, args.seed, 0, proposals)  # compiles

    positive = best_of(
        lambda e: mine_chips(images, RELEASED_COCO, args.seed, e), 20
    )
    covering = best_of(lambda e: mine_chips(crowded, cover, args.seed, e), 5)
    without, negative = (
        best_of(
            lambda e, p=p: mine_chips(objects, RELEASED_COCO, args.seed, e, p),
            20,
        )
        for p in (None, proposals)
    )
    result = dict(
        images=len(images),
        positive_ms_per_image=positive / len(images) * 1e3,
        cover_ms_per_image_900_boxes=covering / len(crowded) * 1e3,
        negative_ms_per_image_900_proposals=(negative - without)
        / len(crowded)
        * 1e3,
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

    from sniper_mmdet.engine.build import build_chip_dataset, load_config

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


def benchmark_inference(args):
    """Each level alone, the pyramid and AutoFocus, alternating by image."""
    from sniper_mmdet.apis import load_autofocus, measure, reference_ways
    from sniper_mmdet.engine.build import load_config
    from sniper_mmdet.engine.cpu import prepare_cpu
    from sniper_mmdet.models.detectors.focused_image import FocusedImage

    cfg = load_config(args.config, args.cfg_options)
    prepare_cpu()
    model = load_autofocus(cfg, args.checkpoint)
    spent = {}
    watched = [
        (model, 'run_detector', 'network'),
        (model.focus_head, 'predict', 'network'),
        (FocusedImage, 'cut', 'pixels'),
        (FocusedImage, 'focus', 'chips'),
        (model, 'merge_levels', 'merge'),
        (model, 'predict', 'all'),
    ]

    warm_up = [{}]  # the first image's times do not count

    def detect(*item):
        with watch(watched, warm_up.pop() if warm_up else spent):
            return model.predict(*item)

    ways = {**reference_ways(model), 'autofocus': detect}
    table = measure(cfg, ways, args.num)
    result = {
        f'{name}_{key}': value
        for name, row in table.items()
        for key, value in row.items()
        if not key.endswith('pixels')
    }
    ours = table['autofocus']
    whole_time = sum(spent.values())
    del spent['all']  # what is left of it
    for key, value in spent.items():
        result[f'autofocus_{key}_share'] = value / whole_time
    seen, whole = ours['pixels'], ours['pyramid_pixels']
    result['autofocus_pixel_share'] = float(seen.sum() / whole.sum())
    for level, share in enumerate((seen / whole).tolist()):
        result[f'autofocus_pixel_share_level{level}'] = share
    result['time_to_pyramid'] = ours['seconds'] / table['pyramid']['seconds']
    return result


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest='command', required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument('--json', action='store_true', help='print JSON only')
    common.add_argument('--seed', type=int, default=0)
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='override settings of the config, as in tools/train.py',
    )
    chips = commands.add_parser(
        'chips', parents=[common], help='mining, against the original C++'
    )
    chips.add_argument('--ann', required=True, help='COCO json')
    negatives = commands.add_parser(
        'negatives',
        parents=[common],
        help='mining negative chips from a mapped file of random proposals: '
        'time and memory by number of images',
    )
    negatives.add_argument(
        '--images', type=int, nargs='+', default=[1000, 10000, 100000]
    )
    negatives.add_argument('--proposals', type=int, default=900)
    negatives.add_argument(
        '--dir', help='for the file: 60 KB an image while it is written'
    )
    one = commands.add_parser('mine-file', parents=[common])
    one.add_argument('path')
    pipeline = commands.add_parser(
        'pipeline',
        parents=[common, options],
        help="a worker's samples a second, against mmdet's multi-scale "
        'pipeline on the same images',
    )
    pipeline.add_argument('config', help='train config file path')
    pipeline.add_argument('--samples', type=int, default=200)
    pipeline.add_argument('--repeats', type=int, default=3)
    inference = commands.add_parser(
        'inference',
        parents=[common, options],
        help='the bare detector at each level, the pyramid and AutoFocus, on '
        'the same images',
    )
    inference.add_argument('config', help='config of an AutoFocus detector')
    inference.add_argument('checkpoint')
    inference.add_argument(
        '--num', type=int, default=0, help='images; 0 for all'
    )
    train = commands.add_parser(
        'train',
        parents=[common, options],
        help='seconds and peak memory a chip of steps of training, and the '
        'share that is not the network',
    )
    train.add_argument('config', help='train config file path')
    train.add_argument(
        '--batch',
        type=int,
        nargs='+',
        default=[1, 4, 16],
        help='chips a step, each number in a process of its own',
    )
    train.add_argument('--iters', type=int, default=5, help='steps timed')
    train.add_argument('--warmup', type=int, default=2, help='steps before')
    train.add_argument(
        '--random',
        action='store_true',
        help="noise with random boxes, of the config's chip_size, where its "
        'data set is not there',
    )
    train.add_argument('--checkpoint', help='weights; defaults to random ones')
    args = parser.parse_args()
    if args.command == 'negatives' and min(args.images) < 1:
        parser.error(f'--images must be at least 1. Received: {args.images}.')
    if args.command == 'train':
        for name, least in (('batch', 1), ('iters', 1), ('warmup', 0)):
            value = getattr(args, name)
            if np.min(value) < least:
                parser.error(
                    f'--{name} must be at least {least}. Received: {value}.'
                )
    return args


def main():
    args = parse_args()
    run = {
        'chips': benchmark_chips,
        'negatives': benchmark_negatives,
        'mine-file': mine_file,
        'pipeline': benchmark_pipeline,
        'inference': benchmark_inference,
        'train': benchmark_train,
    }
    # What is printed while annotations are read is no part of the result.
    with contextlib.redirect_stdout(sys.stderr):
        result = run[args.command](args)
    if args.json or args.command == 'mine-file':
        print(json.dumps(result, indent=2))
    elif args.command == 'train':
        print_table(result)
    else:
        for key, value in result.items():
            print(f'{key:40} {value:.4g}')


if __name__ == '__main__':
    try:
        main()
    except (OSError, ValueError) as error:
        raise SystemExit(f'benchmark: {error}') from None
