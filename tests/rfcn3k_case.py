"""What the original R-FCN-3000 gave, and how ours is asked for the same.

A folder holds the files of one network: all sizes, counts and settings are
read from them. `cut_down` makes the folder that lies beside the tests.
"""

import json
import re
import sys
from pathlib import Path

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

#: What is kept of the original's outputs, for tests without its folder.
CUT_DOWN = Path(__file__).parent / 'test_released/rfcn3k'
NETWORK = 'rfcn3k_resnet101'
CONFIG = 'configs/rfcn3k/rfcn3k_r101-dcn_c4_{}_imagenet3k.py'
#: What the original calls a box's end is its last pixel.
LAST_PIXEL = np.float32([0, 0, 1, 1])
_PAIRS = dict(args='arg', aux='aux')


def load(folder: Path, name: str) -> dict[str, np.ndarray]:
    with np.load(folder / f'rfcn3k_{name}.npz') as file:
        return dict(file)


def salt_of(folder: Path) -> int:
    path = folder / 'salt.txt'
    return int(path.read_text()) if path.exists() else 0


def samples_of(data: np.ndarray, im_info: np.ndarray) -> list[DetDataSample]:
    """Samples of padded pictures, (height, width, scale) each.

    The canvas counts as the picture, as the original's clipping has it.
    """
    canvas = data.shape[2:]
    return [
        DetDataSample(
            metainfo=dict(
                img_shape=(float(height), float(width)),
                pad_shape=canvas,
                batch_input_shape=canvas,
                ori_shape=tuple(side / float(scale) for side in canvas),
                scale_factor=(float(scale),) * 2,
            )
        )
        for height, width, scale in im_info
    ]


def proposals_of(rois: np.ndarray, num: int) -> list[InstanceData]:
    """What an RPN gives, of RoIs (R, 5) of so many images."""
    return [
        InstanceData(
            bboxes=torch.from_numpy(rois[rois[:, 0] == k, 1:] + LAST_PIXEL)
        )
        for k in range(num)
    ]


def rows_of(samples: list[DetDataSample]) -> np.ndarray:
    """Detections as the original's: image, class, box, score."""
    rows = []
    for k, sample in enumerate(samples):
        found = sample.pred_instances.cpu().numpy()
        boxes = found.bboxes - LAST_PIXEL
        columns = np.full(len(boxes), k), found.labels, *boxes.T, found.scores
        rows.append(np.stack(columns, 1))
    return np.concatenate(rows)


def match(
    found: np.ndarray, expected: np.ndarray, kind: int, tolerance: float = 1e-4
) -> tuple[np.ndarray, np.ndarray]:
    """Which rows of either table have no counterpart in the other.

    The first ``kind`` columns are the same, the others within a tolerance of
    the number, or of its column's root mean square.
    """
    sizes = np.sqrt((expected[:, kind:].astype(float) ** 2).mean(0))
    free = np.ones(len(found), bool)
    missing = []
    for k, row in enumerate(expected):
        errors = np.abs(found[:, kind:] - row[kind:])
        near = errors <= tolerance * np.maximum(np.abs(row[kind:]), sizes)
        same = near.all(1) & (found[:, :kind] == row[:kind]).all(1) & free
        if same.any():
            free[same.argmax()] = False
        else:
            missing.append(k)
    return np.flatnonzero(free), np.array(missing, int)


def cases_of(file: dict) -> list[dict]:
    """The cases of the training operator: what differs has a prefix."""
    prefixes = [key.removesuffix('out.rois') for key in file]
    prefixes = [p for p, key in zip(prefixes, file, strict=True) if p != key]
    plain = {k: v for k, v in file.items() if not re.match(r'\w+\.', k)}
    factor = next(
        (v for k, v in file.items() if k.endswith('bbox_pred_factor')), 1
    )
    cases = []
    for prefix in prefixes:
        own = {
            key.removeprefix(prefix): value
            for key, value in file.items()
            if prefix and key.startswith(prefix)
        }
        case = {'bbox_pred_factor': factor, **plain, **own}
        if not prefix:
            rest = {k: v for k, v in file.items() if k.startswith('out.')}
            case = {**plain, **rest, 'bbox_pred_factor': 1}
        cases.append({'out.anchors': file['out.anchors'], **case})
    return cases


def anchor_first(values: np.ndarray, anchors: int) -> torch.Tensor:
    """Of (N, anchors * K, H, W) as mmdet has it: (N, H * W * anchors, K)."""
    n, channels, height, width = values.shape
    values = values.reshape(n, anchors, -1, height, width)
    values = values.transpose(0, 3, 4, 1, 2)
    return torch.from_numpy(values.reshape(n, -1, channels // anchors).copy())


def cut_down(source: Path, target: Path) -> None:
    """Keep what tests need to see most faults."""
    target.mkdir(parents=True, exist_ok=True)
    text = (source / f'{NETWORK}.json').read_text()
    (target / f'{NETWORK}.json').write_text(json.dumps(json.loads(text)))
    network = load(source, NETWORK.removeprefix('rfcn3k_'))
    kept = {}
    for key, value in network.items():
        if key.startswith('out.') and value.size > 3500:
            most = 2000 * value.shape[1] // value.size
            key = key.removesuffix('.first_32_channels')
            key, value = f'{key}.first_{most}_channels', value[:, :most]
        kept[key] = value
    np.savez_compressed(target / f'{NETWORK}.npz', **kept)
    for name, unwanted in (
        ('detections', 'never'),
        ('training', r'out\.(rpn|subcls).*'),
        # Of three cases that whose positives are too many.
        (
            'targets',
            r'second\.(?!bbox_pred_factor).*|cls_prob|out\.(?!anch).*',
        ),
    ):
        kept = {
            key: value
            for key, value in load(source, name).items()
            if not re.fullmatch(unwanted, key)
        }
        np.savez_compressed(target / f'rfcn3k_{name}.npz', **kept)


if __name__ == '__main__':
    cut_down(*map(Path, sys.argv[1:]))
