"""Sets of faces and detections, with what the official tool made of them."""

import numpy as np


def sets_of(file) -> list[str]:
    """Names of the sets of a file such as ``wider_eval.npz``."""
    return [key[: -len('.ap')] for key in file if key.endswith('.ap')]


def arrays_of(file, name: str) -> tuple:
    """A set as :func:`~sniper_mmdet.evaluation.wider_curves` takes it."""
    count = len(file[f'{name}.images'])

    def by_image(key: str, owner: str) -> list[np.ndarray]:
        values, image = file[f'{name}.{key}'], file[f'{name}.{owner}_image']
        return [values[image == k] for k in range(count)]

    counted = {
        level: by_image(f'keep_{level}', 'gt')
        for level in ('easy', 'medium', 'hard')
    }
    return by_image('det', 'det'), by_image('gt', 'gt'), counted
