"""What mmdet itself offers a program, with configs of this package."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmdet.apis import DetInferencer, inference_detector, init_detector

CONFIGS = [
    'sniper/faster-rcnn_r18-slim_fpn_sniper_2e_sample',
    'autofocus/faster-rcnn_r101-dcn_c4c5_autofocus_7e_coco',
    'autofocus/mask-rcnn_r101-dcn_c4c5_autofocus_7e_coco',
]


@pytest.fixture(scope='module', params=CONFIGS)
def files(request, small):
    classes = tuple('abcd') if 'sample' in request.param else ('a',) * 80
    scales = {'scales': [0.5, 0.75, 1.0], 'valid_ranges': None}
    if 'autofocus' in request.param:
        scales['focus'] = [dict(threshold=0)] * 2
    return small(request.param, classes=classes, **scales)


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / 'a.png'
    pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    cv2.imwrite(str(path), pixels)
    return str(path)


def test_every_way_finds_the_same(files, picture, tmp_path):
    model = init_detector(files.config, files.checkpoint, device='cpu')
    one = inference_detector(model, picture)
    found = one.pred_instances
    assert len(found) > 5 and one.ori_shape == (90, 120)
    others = inference_detector(model, [picture, Path(picture)])
    others.append(inference_detector(model, cv2.imread(picture)))
    for other in others:
        assert torch.equal(other.pred_instances.bboxes, found.bboxes)
        assert ('focus' in other) == ('autofocus' in type(model).__module__)

    inferencer = DetInferencer(
        files.config, files.checkpoint, device='cpu', show_progress=False
    )
    options = dict(batch_size=2, pred_score_thr=0.0)
    saved = inferencer(
        [picture, picture],
        out_dir=str(tmp_path / 'out'),
        no_save_pred=False,
        **options,
    )
    arrays = inferencer(
        [cv2.imread(picture), picture], return_vis=True, **options
    )
    for entry in saved['predictions'] + arrays['predictions']:
        np.testing.assert_allclose(entry['scores'], found.scores, atol=1e-5)
        np.testing.assert_allclose(entry['bboxes'], found.bboxes, atol=1e-2)
        assert ('masks' in entry) == ('masks' in found)
    for drawn in arrays['visualization']:
        assert drawn.shape == (90, 120, 3)
        assert (drawn != cv2.imread(picture)).any()
    assert (tmp_path / 'out/vis/a.png').exists()
    assert (tmp_path / 'out/preds/a.json').exists()
