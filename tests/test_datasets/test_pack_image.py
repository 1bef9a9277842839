"""Packing gives what MMDetection's packing gives."""

import numpy as np
import pytest
import torch
from mmdet.datasets.transforms import PackDetInputs

from sniper_mmdet.datasets import PackImage


@pytest.mark.parametrize('mirrored', [(), (0,), (1,), (0, 1)])
@pytest.mark.parametrize(
    'shape, dtype',
    [((7, 9, 3), 'u1'), ((7, 9, 1), 'u1'), ((7, 9), 'u1'), ((7, 9, 3), 'f4')],
)
def test_a_pipeline_packs_an_image_as_mmdet_does(shape, dtype, mirrored):
    values = np.random.default_rng(0).integers(0, 255, shape)
    image = np.flip(values.astype(dtype)[1:, 2:], mirrored)
    packed = PackImage(meta_keys=())(dict(img=image))['inputs']
    expected = PackDetInputs(meta_keys=())(dict(img=image))['inputs']
    assert packed.dtype == expected.dtype and packed.is_contiguous()
    assert torch.equal(packed, expected)
