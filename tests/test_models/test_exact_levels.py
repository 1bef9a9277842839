"""Levels that are resized in float by a factor."""

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from test_answering_maps import build

from sniper_mmdet.images import WholeImage
from sniper_mmdet.models.detectors.image_levels import ImageLevels
from sniper_mmdet.utils.image import resize_exactly

IMG = np.random.default_rng(0).integers(256, size=(37, 50, 3), dtype=np.uint8)


@pytest.mark.parametrize('factor', [0.37, 1, 1.25, 3])
def test_pixels_are_those_of_bilinear_interpolation(factor):
    found = resize_exactly(IMG, factor)
    size = np.rint(np.multiply(IMG.shape[:2], factor)).astype(int)
    assert found.dtype == np.float32 and found.shape == (*size, 3)
    img = IMG.astype(float)
    for axis, (new, old) in enumerate(zip(size, IMG.shape, strict=False)):
        at = ((np.arange(new) + 0.5) / factor - 0.5).clip(0, old - 1)
        near = at.astype(int)
        far = np.minimum(near + 1, old - 1)
        weight = (at - near).reshape(-1, *[1] * (2 - axis))
        img = img.take(near, axis) * (1 - weight) + weight * img.take(
            far, axis
        )
    assert np.abs(found - img).max() < 0.01


def test_how_opencv_resizes_otherwise_is_left_as_it_was():
    before = cv2.ipp.useIPP()
    resize_exactly(IMG, 1.5)
    assert cv2.ipp.useIPP() == before


def test_parts_are_those_of_the_level():
    sizes, scales = np.array([[150, 111]]), np.array([[3.0, 3.0]])
    image = ImageLevels(IMG, sizes, scales)
    pixels, sample, offset = image.cut(0, [30, 20, 90, 111])
    whole = resize_exactly(IMG, 3.0)
    assert np.array_equal(pixels.permute(1, 2, 0), whole[20:111, 30:90])
    assert sample.scale_factor == (3.0, 3.0)
    assert offset.tolist() == pytest.approx([10, 20 / 3])


@pytest.mark.parametrize('source', [False, True])
def test_boxes_are_divided_by_the_factor(source, tmp_path):
    """By 1.01, at which 50 px become 50; by their sizes it would be 1."""
    model = build(scales=[1.01], exact=True)
    inputs = torch.from_numpy(IMG).permute(2, 0, 1)
    if source:
        cv2.imwrite(str(tmp_path / 'a.png'), IMG)
        inputs = WholeImage(tmp_path / 'a.png')
    seen = []
    run = model.run_detector

    def keep(images, samples):
        seen.append((images, samples))
        return run(images, samples)

    model.run_detector = keep
    sample = DetDataSample(metainfo=dict(ori_shape=IMG.shape[:2]))
    (sample,) = model.predict([inputs], [sample])
    (((img,), (own,)),) = seen
    assert own.scale_factor == (1.01, 1.01) and own.img_shape == (37, 50)
    assert np.array_equal(img.permute(1, 2, 0), resize_exactly(IMG, 1.01))
    right = sample.pred_instances.bboxes[:, 2].max().item()
    assert right == pytest.approx(50 / 1.01)
