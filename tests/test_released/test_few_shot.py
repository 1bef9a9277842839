"""The few-shot classifier of R-FCN-3000, beside what MXNet trained."""

import numpy as np
import pytest
from parity_folders import parity_folder

from sniper_mmdet.released.few_shot import few_shot_start, train_few_shot

RECORD = 'rfcn3k_fewshot_training.npz'


@pytest.mark.real_data
def test_rfcn3k_few_shot_training():
    path = parity_folder('rfcn3k') / RECORD
    if not path.exists():
        pytest.skip(f'no {path}')
    record = np.load(path)
    epochs = sorted(
        int(name.removeprefix('epoch').removesuffix('.weight'))
        for name in record
        if name.startswith('epoch') and name.endswith('.weight')
    )
    assert epochs
    start = record['w0'], record['b0']
    found = train_few_shot(record['x'], record['y'], *start, epochs)
    for epoch, (weight, bias) in zip(epochs, found, strict=True):
        expected = record[f'epoch{epoch}.weight']
        assert abs(weight - expected).max() < 1e-5
        assert abs(bias - record[f'epoch{epoch}.bias']).max() < 1e-5
        assert abs(expected - record['w0']).max() > 1e-4


def test_a_last_batch_is_filled_from_the_start():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(5, 3)), np.array([0, 1, 0, 1, 1])
    start = few_shot_start(2, 3)
    short = train_few_shot(x, y, *start, 2, lr=0.1, batch_size=4)
    order = [0, 1, 2, 3, 4, 0, 1, 2]
    whole = train_few_shot(x[order], y[order], *start, 2, 0.1, 0.9, 4)
    assert np.allclose(next(short)[0], next(whole)[0])


def test_it_tells_classes_apart():
    rng = np.random.default_rng(0)
    y = np.arange(90) % 3
    x = np.eye(3)[y] * 4 + rng.normal(size=(90, 3))
    ((weight, bias),) = train_few_shot(x, y, *few_shot_start(3, 3), 100, 0.1)
    assert ((x @ weight.T + bias).argmax(1) == y).mean() > 0.9
