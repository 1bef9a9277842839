"""The official tool's results, of a folder of recorded ones.

``SNIPER_PARITY_DIR`` names another folder, with files of the same names.
"""

import numpy as np
import pytest
from parity_folders import parity_folder
from wider_sets import arrays_of, sets_of

from sniper_mmdet.datasets.formats.wider_face import read_wider_face
from sniper_mmdet.evaluation import (
    average_precision_of,
    read_wider_faces,
    read_wider_results,
    wider_curves,
)
from sniper_mmdet.utils.wider_mat import read_wider_mat

pytestmark = pytest.mark.real_data


@pytest.fixture
def folder():
    path = parity_folder('ssh')
    if not (path / 'wider_eval.npz').is_file():
        pytest.skip(f'no recorded results in {path}')
    return path


@pytest.fixture
def recorded(folder):
    return np.load(folder / 'wider_eval.npz')


def test_ssh_wider_average_precision(recorded):
    names = sets_of(recorded)
    assert names
    for name in names:
        curves = wider_curves(*arrays_of(recorded, name))
        found = [average_precision_of(curve) for curve in curves.values()]
        assert found == pytest.approx(
            recorded[f'{name}.ap'], abs=1e-6, nan_ok=True
        ), name
        for level, curve in curves.items():
            expected = recorded[f'{name}.pr_{level}']
            np.testing.assert_allclose(curve, expected, atol=1e-6)


def test_ssh_wider_exact_iou(recorded):
    names = [n for n in sets_of(recorded) if f'{n}.ap_real_iou' in recorded]
    if not names:
        pytest.skip('nothing is recorded without rounding')
    for name in names:
        curves = wider_curves(*arrays_of(recorded, name), iou='exact')
        found = [average_precision_of(curve) for curve in curves.values()]
        expected = recorded[f'{name}.ap_real_iou']
        assert found == pytest.approx(expected, abs=1e-6, nan_ok=True), name


def test_ssh_wider_files(folder, recorded):
    sample = folder / 'wider_sample'
    names, faces, counted = read_wider_faces(sample)
    detections = read_wider_results(sample / 'detections', names)
    curves = wider_curves(detections, faces, counted)
    found = [average_precision_of(curve) for curve in curves.values()]
    own = [
        name
        for name in sets_of(recorded)
        if _rows(recorded, name) == _sorted(names, faces, detections)
    ]
    assert own, 'the files are of no recorded set'
    expected = [recorded[f'{name}.ap'] for name in own]
    assert any(found == pytest.approx(ap, abs=1e-6) for ap in expected)


def _rows(recorded, name):
    detections, faces, _ = arrays_of(recorded, name)
    return _sorted(recorded[f'{name}.images'], faces, detections)


def _sorted(names, faces, detections):
    """What tells a set, the images in one order."""
    rows = zip(map(str, names), faces, detections, strict=True)
    return sorted(
        (name, np.asarray(own).tolist(), len(found))
        for name, own, found in rows
    )


def test_ssh_wider_text_has_the_faces_of_the_mat(folder):
    sample = folder / 'wider_sample'
    mat = read_wider_mat(sample / 'wider_face_val.mat')
    text = read_wider_face(sample / 'wider_face_val_bbx_gt.txt', sample)
    assert [image.name for image in text] == [f'{n}.jpg' for n in mat.names]
    for image, boxes in zip(text, mat.boxes, strict=True):
        own = [[face[key] for key in 'xywh'] for face in image.faces]
        assert own == boxes.tolist(), image.name
