"""Turn proposals of the original SNIPER, or of MMDetection, into our file.

    python tools/dataset_converters/convert_proposals.py SRC.pkl CONFIG \
        --out FILE.npz

The original's files are Python 2 pickles: a list of one array (N, 5) an
image, x2 and y2 inclusive, in the order of an image set's file or, of COCO, in
that of a Python 2 dict of the image ids, which is found again here.
MMDetection's are what its DumpProposals metric writes, keyed by file name, or,
before version 3, a list in the annotation file's order. Pickles are read as
arrays; what could run code is refused.
"""

import argparse
import contextlib
import sys
from pathlib import PurePath

import numpy as np
import torch
from mmcv.ops import nms
from mmengine.config import DictAction
from mmengine.utils import track_iter_progress

from sniper_mmdet.datasets import write_proposals
from sniper_mmdet.datasets.formats.array_pickle import load_arrays
from sniper_mmdet.engine.build import build_boxes_dataset, load_config

# Original pixels: more than rounding, less than another image's size.
_TOLERANCE = 2


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('src', help='pickle of proposals')
    parser.add_argument('config', help='config with the data set')
    parser.add_argument('--out', required=True, help='proposal file (.npz)')
    parser.add_argument(
        '--split', choices=['train', 'val', 'test'], default='train'
    )
    parser.add_argument(
        '--format',
        choices=['auto', 'sniper', 'mmdet'],
        default='auto',
        help="whose; auto: a list is the original's (default: auto)",
    )
    parser.add_argument(
        '--order',
        choices=['auto', 'file', 'python2'],
        default='auto',
        help="of a list: the annotation file's, or that of a Python 2 dict of "
        "image ids; auto: python2 for the original's of COCO (default: auto)",
    )
    parser.add_argument(
        '--nms',
        type=float,
        default=0.7,
        help='IoU threshold, 1 for none (default: 0.7, as the original does '
        'when it reads them)',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='override settings of the config, as in tools/train.py',
    )
    args = parser.parse_args()
    if not args.out.endswith('.npz'):
        parser.error(f'--out must be a .npz file. Received: {args.out}.')
    if not 0 < args.nms <= 1:
        parser.error(f'--nms must be in (0, 1]. Received: {args.nms}.')
    return args


def keep_all(dataset):
    """Have a data set's config leave out no image: the order is its own."""
    for inner in dataset.get('datasets', ()):
        keep_all(inner)
    if 'dataset' in dataset:
        keep_all(dataset['dataset'])
    if 'filter_cfg' in dataset:
        dataset['filter_cfg'] = None


def python2_order(ids):
    """Positions of ids, all different, as the keys of a Python 2 dict come.

    A hash table of a power of two: an integer lies at its own low bits, or
    where the probing for a free place ends; it grows when two thirds full.
    """
    table, used = [None] * 8, 0

    def insert(position):
        mask = len(table) - 1
        slot = perturb = ids[position]
        while table[slot & mask] is not None:
            slot = 5 * slot + perturb + 1
            perturb >>= 5
        table[slot & mask] = position

    for position in range(len(ids)):
        insert(position)
        used += 1
        if 3 * used >= 2 * len(table):
            kept = [p for p in table if p is not None]
            size = 8
            while size <= (2 if used > 50000 else 4) * used:
                size *= 2
            table = [None] * size
            for p in kept:
                insert(p)
    return [p for p in table if p is not None]


def by_position(found, dataset, src, order):
    if len(found) != len(dataset.keys):
        raise ValueError(
            f'{src} has proposals of {len(found)} images, the data set has '
            f'{len(dataset.keys)}: it is of another data set or split.'
        )
    arrays = [np.asarray(array) for array in found]
    if order == 'file':
        return arrays
    infos = map(dataset.dataset.get_data_info, range(len(arrays)))
    ids = [info.get('img_id') for info in infos]
    numbered = all(isinstance(i, int) and i >= 0 for i in ids)
    if not numbered or len(set(ids)) < len(ids):
        if order == 'python2':
            raise ValueError('--order python2 needs whole numbers as ids.')
        return arrays
    placed = [None] * len(arrays)
    for array, position in zip(arrays, python2_order(ids), strict=True):
        placed[position] = array
    return placed


def by_name(found, dataset, src, order):
    """MMDetection's key is the image's folder and file name."""
    arrays = []
    for index in range(len(dataset.keys)):
        path = PurePath(dataset.dataset.get_data_info(index)['img_path'])
        name = '/'.join(path.parts[-2:])
        if name not in found:
            raise ValueError(
                f'{src} has no proposals for {name}; it has such as '
                f'{list(found)[:1]}.'
            )
        fields = found[name]
        # InstanceData keeps its data in attributes.
        boxes, scores = (
            np.asarray(getattr(fields, key, None))
            for key in ('bboxes', 'scores')
        )
        if boxes.ndim != 2 or scores.shape != boxes.shape[:1]:
            raise ValueError(f'{src}: {name} has no bboxes and scores.')
        arrays.append(np.column_stack([boxes, scores]))
    return arrays


def checked(array, size, inclusive, where):
    """One image's boxes and scores, clipped to it."""
    if array.size == 0:
        array = np.zeros((0, 5))
    if array.ndim != 2 or array.shape[1] != 5 or array.dtype.kind not in 'fiu':
        raise ValueError(
            f'{where} must be an array (N, 5) of x1, y1, x2, y2, score. '
            f'Received: {array.dtype} of shape {array.shape}.'
        )
    array = array.astype(np.float32)
    if not np.isfinite(array).all():
        raise ValueError(f'{where} holds a number that is not finite.')
    boxes, scores = array[:, :4], array[:, 4]
    boxes[:, 2:] += inclusive
    limit = np.tile(size, 2).astype(np.float32)
    outside = (boxes < -_TOLERANCE) | (boxes > limit + _TOLERANCE)
    if outside.any():
        first = np.flatnonzero(outside.any(1))[0]
        raise ValueError(
            f'{where} lies outside of the image, {size[0]}x{size[1]}: '
            f'{boxes[first].tolist()}. Is it of another data set?'
        )
    boxes = np.clip(boxes, 0, limit)
    kept = (boxes[:, 2:] > boxes[:, :2]).all(1)
    return boxes[kept], scores[kept]


def main():
    args = parse_args()
    found = load_arrays(args.src)
    if not isinstance(found, (list, dict)):
        raise ValueError(
            f'{args.src} must hold a list or a dict of proposals. '
            f'Received: {type(found).__name__}.'
        )
    style = args.format
    if style == 'auto':
        style = 'sniper' if isinstance(found, list) else 'mmdet'
    with contextlib.redirect_stdout(sys.stderr):
        cfg = load_config(args.config, args.cfg_options)
        keep_all(
            (cfg.get(f'{args.split}_dataloader') or {}).get('dataset', {})
        )
        dataset = build_boxes_dataset(cfg, args.split)
    order = args.order
    if order == 'auto' and style == 'mmdet':
        order = 'file'
    match = by_position if isinstance(found, list) else by_name
    arrays = match(found, dataset, args.src, order)
    sizes = np.stack([dataset.images.widths, dataset.images.heights], 1)
    boxes, scores = [], []
    for index in track_iter_progress(list(range(len(arrays)))):
        where = f'{args.src}: image {index} ({dataset.keys[index]})'
        kept, score = checked(
            arrays[index], sizes[index], style == 'sniper', where
        )
        if args.nms < 1 and len(kept):
            _, best = nms(
                torch.from_numpy(kept), torch.from_numpy(score), args.nms
            )
            kept, score = kept[best.numpy()], score[best.numpy()]
        boxes.append(kept)
        scores.append(score)
    write_proposals(
        args.out,
        dataset.keys,
        sizes,
        boxes,
        scores,
        dict(source=args.src, format=style, nms=args.nms),
    )
    print(
        f'\n{sum(map(len, boxes))} proposals of {len(boxes)} images in '
        f'{args.out}'
    )


if __name__ == '__main__':
    try:
        main()
    except (OSError, ValueError) as error:
        raise SystemExit(f'convert_proposals: {error}') from None
