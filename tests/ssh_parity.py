"""What the original SSH computes: folders of cases, and their weights."""

import json
import zlib
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
from parity_folders import parity_folder

#: Cases that stay with the tests: a small network, and how 'a' is trained.
HERE = Path(__file__).parent / 'test_released/ssh'
#: The folder of all cases, or another one with files of the same names.
THERE = parity_folder('ssh')
_LINE = np.float32([0.25, 0.75, 0.75, 0.25])


def weights(name: str, shape: tuple, salt: int = 0) -> np.ndarray:
    """A tensor of those networks, a function of its name, 'LAYER.BLOB'."""
    layer, blob = name.rsplit('.', 1)
    if layer == 'conv5_128_up':
        return np.broadcast_to(np.outer(_LINE, _LINE), shape).copy()
    rng = np.random.RandomState((zlib.crc32(name.encode()) + salt) % 2**32)
    if blob == '1':
        bias = rng.normal(0, 0.05, shape)
        if layer.endswith('cls_score'):
            bias[shape[0] // 2 :] -= 2.5
        return bias.astype(np.float32)
    values = rng.normal(0, 1, shape)
    values -= values.mean(axis=(1, 2, 3), keepdims=True)
    values *= np.sqrt(3 / np.prod(shape[1:]))
    if layer == 'conv1_1':
        values /= 64
    elif layer.endswith('cls_score'):
        values *= 0.45
    elif layer.endswith('bbox_pred'):
        values *= 0.07
    return values.astype(np.float32)


class Folder:
    """A folder of cases: ``ssh_cases.json``, ``ssh.npz``, networks."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cases, self.salt = {}, 0
        if (path / 'ssh_cases.json').exists():
            known = json.loads((path / 'ssh_cases.json').read_text())
            self.cases, self.salt = known['cases'], known['salt']

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        with np.load(self.path / 'ssh.npz') as file:
            return dict(file)

    def of(self, case: str, start: str) -> dict[str, np.ndarray]:
        """Arrays of a case whose names start so, by the rest."""
        start = f'{case}.{start}'
        return {
            key.removeprefix(start): values
            for key, values in self.arrays.items()
            if key.startswith(start)
        }

    def shapes(self, network: str) -> dict[str, tuple]:
        name = 'ssh' if network == 'full' else f'ssh_{network}'
        known = json.loads((self.path / f'{name}.json').read_text())
        return known['params']

    def weights(self, network: str) -> dict[str, np.ndarray]:
        return {
            name: weights(name, shape, self.salt)
            for name, shape in self.shapes(network).items()
        }


def options(shapes: dict[str, tuple]) -> dict:
    """Options of a config, by which its network has these tensors."""
    fine, coarse = (shapes[f'conv{n}_128.0'] for n in (4, 5))
    modules = [shapes[f'm{n}@ssh_cls_score.0'][1] for n in (1, 2, 3)]
    return {
        'model.backbone.base_channels': shapes['conv1_1.0'][0],
        'model.neck.in_channels': [fine[1], coarse[1]],
        'model.neck.fused_channels': fine[0],
        'model.neck.out_channels': modules,
        'model.bbox_head.in_channels': modules,
    }


def config_of(case: dict) -> tuple[str, dict]:
    """The config that tests as a case does, and the options for that."""
    own = case['config']
    options = {
        'model.test_cfg.nms_pre': own['N_DETS_PER_MODULE'],
        'model.test_cfg.score_thr': case['score_thr'],
        'model.merge.iou_threshold': own['NMS_THRESH'],
    }
    if len(own['SCALES']) > 1:
        base = own['PYRAMID_BASE_SIZE']
        options['model.base'] = tuple(base)
        options['model.scales'] = [side / base[0] for side in own['SCALES']]
        options['model.maps'] = [None] * (len(own['SCALES']) - 1) + [(0, 1)]
        return 'ssh_vgg16_pyramid_13e_wider-face', options
    options['model.test_cfg.nms.iou_threshold'] = own['NMS_THRESH']
    scale = (own['SCALES'][0], own['MAX_SIZE'])
    options['model.scales'] = [1.0 if case['orig_size'] else scale]
    return 'ssh_vgg16_13e_wider-face', options


FOLDERS = {'here': Folder(HERE), 'there': Folder(THERE)}


def each_case(of: str):
    """Parametrize a test by folder and case, of those that have some array."""
    params = []
    for where, folder in FOLDERS.items():
        marks = pytest.mark.real_data if where == 'there' else ()
        for case, about in folder.cases.items():
            if of == 'image' and about['image'] not in folder.arrays:
                continue
            if of != 'image' and not folder.of(case, of):
                continue
            name = f'{where}-{case}'
            params.append(pytest.param(folder, case, marks=marks, id=name))
    return pytest.mark.parametrize('folder, case', params)
