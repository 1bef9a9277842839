"""WIDER FACE's protocol: its tool's numbers, scenes counted by hand, files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from wider_files import COUNTED, IMAGES, write_mats
from wider_sets import arrays_of, sets_of

from sniper_mmdet.benchmark.face_evaluation import (
    benchmark_wider,
    made_faces,
    plain_curves,
)
from sniper_mmdet.engine.evaluation_options import (
    set_format_only,
    set_metrics,
)
from sniper_mmdet.evaluation import (
    average_precision_of,
    best_faces,
    read_wider_faces,
    read_wider_results,
    wider_curves,
    write_wider_result,
)
from sniper_mmdet.evaluation.wider_results import as_written
from sniper_mmdet.registry import METRICS
from sniper_mmdet.utils.errors import UserError

CUT_DOWN = np.load(Path(__file__).with_name('wider_eval.npz'))


@pytest.mark.parametrize('name', sets_of(CUT_DOWN))
@pytest.mark.parametrize(
    'iou, key', [('official', 'ap'), ('exact', 'ap_real_iou')]
)
def test_ssh_wider_as_the_official_tool(name, iou, key):
    curves = wider_curves(*arrays_of(CUT_DOWN, name), iou=iou)
    found = [average_precision_of(curve) for curve in curves.values()]
    assert found == pytest.approx(CUT_DOWN[f'{name}.{key}'], abs=1e-9)


def test_the_rounding_matters():
    """Else a test of it could not fail."""
    differ = [
        np.abs(CUT_DOWN[f'{name}.ap'] - CUT_DOWN[f'{name}.ap_real_iou']).max()
        for name in sets_of(CUT_DOWN)
    ]
    assert max(differ) > 0.01


@pytest.mark.parametrize('seed', range(3))
def test_as_a_plain_loop(seed):
    made = made_faces(3, 25, seed)
    curves, plain = wider_curves(*made, iou='exact'), plain_curves(*made)
    for name, curve in curves.items():
        np.testing.assert_allclose(curve, plain[name], atol=1e-12)


def test_benchmark():
    result = benchmark_wider(2, 10)
    assert result['images'] == 2 and result['detections'] == 20
    assert result['largest_difference'] < 1e-12
    assert result['seconds_plain'] > result['seconds']


def count(found, faces, counted=None):
    mask = np.ones(len(faces), bool) if counted is None else counted
    found, faces = np.array(found, float), np.array(faces, float)
    return wider_curves([found], [faces], dict(a=[np.array(mask)]))['a']


FACE, OTHER = (10, 10, 20, 20), (60, 60, 20, 20)


def test_counted_by_hand():
    found = [(*FACE, 1.0), (*FACE, 0.6), (*OTHER, 0.5), (200, 9, 9, 9, 0)]
    curve = count(found, [FACE, OTHER, (99, 99, 5, 5)])
    assert np.isclose(
        curve[[0, 398, 399, 498, 499, 998, 999], 0],
        [1, 1, 1 / 2, 1 / 2, 2 / 3, 2 / 3, 1 / 2],
    ).all()
    assert np.allclose(
        curve[[0, 498, 499, 999], 1], np.array([1, 1, 2, 2]) / 3
    )
    assert average_precision_of(curve) == pytest.approx(1 / 3 + 2 / 9)


def test_what_lies_on_a_face_that_does_not_count_is_dropped():
    found = [(*FACE, 1.0), (*OTHER, 0.5), (200, 9, 9, 9, 0)]
    curve = count(found, [FACE, OTHER], [False, True])
    assert np.isnan(curve[:499, 0]).all() and curve[499, 0] == 1
    assert average_precision_of(curve) == 1


def test_images_without_faces_are_passed_over():
    found = [np.array([[*FACE, 0.5], [*OTHER, 0.0]]), np.array([[*FACE, 1.0]])]
    faces = [np.array([FACE]), np.zeros((0, 4))]
    masks = dict(a=[np.ones(1, bool), np.zeros(0, bool)])
    assert average_precision_of(wider_curves(found, faces, masks)['a']) == 1


@pytest.mark.parametrize(
    'found', [[], [(*FACE, 0.5)], [(*FACE, 0.5), (*FACE, 0.5)]]
)
def test_equal_scores_are_as_none(found):
    curve = count(np.array(found, float).reshape(-1, 5), [FACE])
    assert np.isnan(curve[:, 0]).all() and not curve[:, 1].any()
    assert average_precision_of(curve) == 0


def test_negative_scores_are_measured_from_zero():
    curve = count([(*FACE, -1.0), (*OTHER, -4.0)], [FACE, OTHER])
    # As in the tool, whose highest score begins at the least above 0.
    assert curve[:, 1].searchsorted(0.5) == 249


def test_no_face_counts():
    curve = count([(*FACE, 1.0), (*OTHER, 0.0)], [FACE], [False])
    assert np.isnan(average_precision_of(curve))


def test_of_two_faces_the_first_is_taken():
    faces = np.array([(10, 10, 20, 24), FACE])
    boxes = np.array([FACE])
    assert best_faces(boxes, faces) == 0
    assert best_faces(boxes, faces, 'exact') == 1


@pytest.fixture
def ann_dir(tmp_path):
    write_mats(tmp_path / 'ground_truth')
    return tmp_path / 'ground_truth'


def sample(name, boxes, scores):
    return dict(
        img_path=f'anywhere/{name}.jpg',
        pred_instances=dict(
            bboxes=torch.tensor(boxes).float().reshape(-1, 4),
            scores=torch.tensor(scores).float(),
        ),
    )


def build(**settings):
    return METRICS.build(dict(type='sniper_mmdet.WiderFaceMetric', **settings))


def test_metric_and_its_files(ann_dir, tmp_path):
    out = tmp_path / 'out'
    metric = build(ann_dir=str(ann_dir), outfile_prefix=str(out))
    first, second, third = IMAGES
    metric.process(
        {},
        [
            sample(first, [(10.9, 12.2, 40.5, 52.9)], [0.75]),
            sample(second, [], []),
            sample(third, [(20, 30, 40, 55), (1, 1, 9, 9)], [0.9, 0.1234567]),
        ],
    )
    result = metric.evaluate(3)
    assert result == {
        f'wider/AP_{name}': value
        for name, value in (
            ('easy', 100),
            ('medium', 100),
            ('hard', pytest.approx(200 / 3)),
        )
    }
    text = (out / f'{first}.txt').read_text()
    assert text == '0 a name\n1\n10 12 30 40 0.750000\n'
    assert (out / f'{second}.txt').read_text() == '0_b\n0\n'
    names, faces, counted = read_wider_faces(ann_dir)
    assert names == list(IMAGES)
    assert [np.flatnonzero(m).tolist() for m in counted['hard']] == [
        [k - 1 for k in own] for own in COUNTED['hard']
    ]
    curves = wider_curves(read_wider_results(out, names), faces, counted)
    for name, curve in curves.items():
        ap = 100 * average_precision_of(curve)
        assert result[f'wider/AP_{name}'] == pytest.approx(ap)


def test_test_images_are_written_only(tmp_path):
    out = tmp_path / 'out'
    metric = build(format_only=True, outfile_prefix=str(out), decimals=1)
    metric.process({}, [sample('e/n', [(1.26, 2, 3.41, 4)], [1])])
    assert metric.evaluate(1) == {}
    assert (out / 'e/n.txt').read_text() == 'n\n1\n1.3 2.0 2.1 2.0 1.000000\n'


def test_written_boxes_are_cut_to_whole_pixels():
    rows = as_written(np.array([[-0.5, 1.9, 3.9, 4.2]]), np.array([0.5]))
    assert rows.tolist() == [[0, 1, 3, 3, 0.5]]


def test_a_part_of_the_images(ann_dir, caplog):
    metric = build(ann_dir=str(ann_dir))
    metric.process({}, [sample('7--Cheering/7_c', [], [])])
    assert metric.evaluate(1)['wider/AP_hard'] == 0
    with pytest.raises(UserError, match='all images .* Received: .*x/y.jpg'):
        metric.process({}, [sample('x/y', [], [])])


def test_settings(ann_dir, tmp_path):
    with pytest.raises(ValueError, match='an ann_dir .* or an outfile_prefix'):
        build()
    with pytest.raises(ValueError, match="iou must be 'official' or 'exact'"):
        build(ann_dir=str(ann_dir), iou='real')
    with pytest.raises(FileNotFoundError, match='wider_easy_val.mat'):
        build(ann_dir=str(tmp_path / 'none'))
    write_mats(tmp_path / 'b', dict(list(IMAGES.items())[:2]))
    (tmp_path / 'b/wider_hard_val.mat').unlink()
    (tmp_path / 'b/wider_hard_val.mat').symlink_to(
        ann_dir / 'wider_hard_val.mat'
    )
    with pytest.raises(UserError, match='wider_hard_val.mat must have the im'):
        build(ann_dir=str(tmp_path / 'b'))
    (tmp_path / 'b/wider_easy_val.mat').write_bytes(
        (ann_dir / 'wider_face_val.mat').read_bytes()
    )
    with pytest.raises(UserError, match='must have the cells gt_list'):
        build(ann_dir=str(tmp_path / 'b'))


def test_options_of_a_test_run():
    from mmengine.config import ConfigDict

    evaluator = ConfigDict(type='sniper_mmdet.WiderFaceMetric', ann_dir='x')
    set_metrics(evaluator, ['bbox'])
    assert 'metric' not in evaluator
    with pytest.raises(ValueError, match='WiderFaceMetric evaluates bbox'):
        set_metrics(evaluator, ['segm'])
    set_format_only(evaluator, 'work')
    assert evaluator.format_only and evaluator.outfile_prefix == 'work/results'


def test_result_files_cut_at_every_length(tmp_path):
    path = tmp_path / 'e/n.txt'
    whole = np.array([[1, 2, 30, 40, 0.5], [5, 6, 7, 8, 0.25]])
    write_wider_result(tmp_path, 'e/n', whole)
    text = path.read_text()
    body = text.rindex('0.25')
    for length in range(len(text)):
        path.write_text(text[:length])
        try:
            (rows,) = read_wider_results(tmp_path, ['e/n'])
        except UserError as error:
            assert str(path) in str(error)
        else:
            # Nothing, or a last score that lost digits.
            assert len(rows) == 0 if length == 0 else length > body - 1
            assert np.array_equal(rows[:1], whole[: len(rows)][:1])


@pytest.mark.parametrize(
    'text, reason',
    [
        ('n\n99999999999\n', 'the second line must be the'),
        ('n\n999999999\n1 1 1 1 1\n', 'a line for each of the 999999999'),
        ('n\n-1\n', 'the second line must be the'),
        ('n\n1\n1 1 nan 1 1\n', 'finite numbers'),
        ('n\n1\n1 1 1 1\n', '"x y w h score"'),
        ('n\n1\n1 1 1 1 a\n', '"x y w h score"'),
        ('n\n2\n1 1 1 1 1\n1 1 1 1\n', '"x y w h score"'),
    ],
)
def test_broken_result_files(text, reason, tmp_path):
    (tmp_path / 'e').mkdir()
    (tmp_path / 'e/n.txt').write_text(text)
    with pytest.raises(UserError, match=reason):
        read_wider_results(tmp_path, ['e/n'])


def test_results_of_no_image(tmp_path):
    with pytest.raises(FileNotFoundError, match='such as e/n.txt'):
        read_wider_results(tmp_path, ['e/n'])
