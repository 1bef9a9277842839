"""FDDB and Pascal Faces: scenes counted by hand, and their files."""

import json
import runpy
import sys

import numpy as np
import pytest
from tiny import ROOT
from wider_files import write_mats

from sniper_mmdet.evaluation import average_precision_of
from sniper_mmdet.evaluation.face_files import read_fddb, write_fddb
from sniper_mmdet.evaluation.face_scores import (
    fddb_scores,
    pascal_scores,
)
from sniper_mmdet.evaluation.face_sets import (
    fddb_curves,
    fddb_overlaps,
    rate_at,
    voc_curve,
)
from sniper_mmdet.evaluation.wider_results import write_wider_result
from sniper_mmdet.utils.errors import UserError

#: Major and minor radius, angle, centre.
UPRIGHT = (40, 30, np.pi / 2, 100, 90)
AROUND = (70, 50, 60, 80)


def test_overlap_of_an_ellipse_with_its_frame():
    found = fddb_overlaps(np.array([AROUND]), np.array([UPRIGHT]))
    assert found == pytest.approx(np.pi / 4, abs=0.005)
    lying = (40, 30, 0, 100, 90)
    found = fddb_overlaps(np.array([AROUND]), np.array([lying]))
    assert 0.5 < found < 0.7
    none = fddb_overlaps(np.array([(0, 0, 20, 20)]), np.array([UPRIGHT]))
    assert none == 0


def test_overlap_as_counted_pixel_by_pixel():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:60, :70] + 0.5
    for _ in range(20):
        major, minor = rng.uniform(5, 30, 2)
        angle, cx, cy = rng.uniform((-3, 0, 0), (3, 70, 60))
        box = rng.uniform((-9, -9, 1, 1), (60, 50, 50, 50))
        dx, dy = x - cx, y - cy
        u = dx * np.cos(angle) + dy * np.sin(angle)
        v = dy * np.cos(angle) - dx * np.sin(angle)
        face = (u / major) ** 2 + (v / minor) ** 2 <= 1
        inside = (x >= box[0]) & (x < box[0] + box[2])
        inside &= (y >= box[1]) & (y < box[1] + box[3])
        expected = (face & inside).sum() / max((face | inside).sum(), 1)
        own = np.array([(major, minor, angle, cx, cy)])
        found = fddb_overlaps(box[None], own, (70, 60))
        assert found == pytest.approx(expected)


def test_fddb_by_hand():
    away = (0, 0, 9, 9)
    found = [
        np.array([(*AROUND, 0.5), (*AROUND, 0.4), (*away, 0.9)]),
        np.array([(*AROUND, 0.5)]),
        np.zeros((0, 5)),
    ]
    ellipses = [np.array([UPRIGHT])] * 3
    curves = fddb_curves(found, ellipses)
    share = fddb_overlaps(np.array([AROUND]), np.array([UPRIGHT])).item()
    expected = [(1, 0, 0.9), (1, 2 / 3, 0.5), (2, 2 / 3, 0.4)]
    np.testing.assert_allclose(curves['discrete'], expected)
    assert np.allclose(curves['continuous'][:, 1], [0, *[2 / 3 * share] * 2])
    assert rate_at(curves['discrete'], 0.5) == 0
    assert rate_at(curves['discrete'], 1) == pytest.approx(2 / 3)


def test_fddb_matches_one_to_one():
    """Of two boxes on one face one is wrong, whichever has its face first."""
    left, right = (40, 30, np.pi / 2, 100, 90), (40, 30, np.pi / 2, 130, 90)
    both = (85, 50, 60, 80, 0.9)  # overlaps both alike
    found = [np.array([both, (70, 50, 60, 80, 0.8)])]
    curve = fddb_curves(found, [np.array([left, right])])['continuous']
    ious = fddb_overlaps(found[0], np.array([left, right]))
    # The better box takes its face, and the other one goes to the right.
    assert curve[-1, 1] == pytest.approx((ious[0, 1] + ious[1, 0]) / 2)


def test_nothing_is_found():
    nothing = [np.zeros((0, 5))]
    curves = fddb_curves(nothing, [np.array([UPRIGHT])])
    assert rate_at(curves['discrete'], 1000) == 0
    curve = voc_curve(nothing, [np.array([AROUND])])
    assert average_precision_of(curve) == 0


def test_pascal_by_hand():
    faces = [np.array([AROUND, (0, 0, 20, 20)]), np.zeros((0, 4))]
    found = [
        np.array([(*AROUND, 0.9), (*AROUND, 0.8), (0, 0, 20, 20, 0.5)]),
        np.array([(*AROUND, 0.7)]),  # of no face: wrong, unlike WIDER's
    ]
    curve = voc_curve(found, faces)
    np.testing.assert_allclose(
        curve, [(1, 0.5), (0.5, 0.5), (1 / 3, 0.5), (0.5, 1)]
    )
    assert average_precision_of(curve) == pytest.approx(0.75)
    difficult = [np.array([False, True]), np.zeros(0, bool)]
    curve = voc_curve(found, faces, difficult)
    assert average_precision_of(curve) == 1
    assert curve[-1].tolist() == [1 / 3, 1]


@pytest.fixture
def fddb(tmp_path):
    folds = tmp_path / 'FDDB-folds'
    folds.mkdir()
    face = ' '.join(map(str, UPRIGHT)) + '  1\n'
    (folds / 'FDDB-fold-01-ellipseList.txt').write_text(
        f'2002/big/img_1\n1\n{face}2002/big/img 2\n2\n{face}{face}'
    )
    (folds / 'FDDB-fold-02-ellipseList.txt').write_text(
        f'2003/big/img_1\n1\n{face}'
    )
    (folds / 'FDDB-fold-01.txt').write_text('2002/big/img_1\n')
    return tmp_path


def test_fddb_files(fddb):
    rows = np.array([(*AROUND, 0.25)])
    found = {'2002/big/img_1': rows, '2002/big/img 2': np.zeros((0, 5))}
    write_fddb(fddb / 'out.txt', found)
    text = (fddb / 'out.txt').read_text()
    assert text == ('2002/big/img_1\n1\n70 50 60 80 0.25\n2002/big/img 2\n0\n')
    scores = fddb_scores(fddb / 'out.txt', fddb / 'FDDB-folds')
    assert scores['discrete_100'] == 25
    assert scores['continuous_1000'] == pytest.approx(25 * 0.785, rel=0.01)
    whole = (fddb / 'out.txt').read_text()
    for length in range(len(whole)):
        (fddb / 'cut.txt').write_text(whole[:length])
        try:
            cut = read_fddb(fddb / 'cut.txt', 5)
        except UserError as error:
            assert 'cut.txt' in str(error)
        else:
            assert set(cut) <= set(found) and len(cut['2002/big/img_1']) == 1


@pytest.mark.parametrize(
    'text, reason',
    [
        ('', 'must have images'),
        ('a\n', 'line 2: must be the number of faces of a'),
        ('a\n99999999999\n', 'line 2: must be the number'),
        ('a\n999999999\n', 'must have 999999999 faces. Received: 0'),
        ('a\n1\n1 2 3 4\n', 'line 3: must have 5 finite numbers'),
        ('a\n1\n1 2 3 4 nan\n', 'line 3: must have 5 finite numbers'),
        ('a\n0\na\n0\n', 'line 3: a is listed twice'),
        ('a\n1\n1 2 1e7 4 1\n', 'of a must have numbers up to 10000'),
        ('b\n0\n', 'must have images of .* only. Received: b'),
    ],
)
def test_broken_fddb(fddb, text, reason):
    (fddb / 'out.txt').write_text(text)
    with pytest.raises(UserError, match=reason):
        fddb_scores(fddb / 'out.txt', fddb / 'FDDB-folds')
    with pytest.raises(FileNotFoundError):
        fddb_scores(fddb / 'none.txt', fddb / 'FDDB-folds')


def test_an_ellipse_of_no_area(fddb):
    path = fddb / 'FDDB-folds/FDDB-fold-03-ellipseList.txt'
    path.write_text('x\n1\n0 30 1 5 5 1\n')
    write_fddb(fddb / 'out.txt', {'x': np.zeros((0, 5))})
    with pytest.raises(UserError, match='x has an ellipse without'):
        fddb_scores(fddb / 'out.txt', fddb / 'FDDB-folds')


XML = """<annotation><object><name>face</name><difficult>{}</difficult><bndbox>
<xmin>71</xmin><ymin>51</ymin><xmax>131</xmax><ymax>131</ymax></bndbox>
</object></annotation>"""


def test_pascal_files(tmp_path):
    (tmp_path / 'xml').mkdir()
    (tmp_path / 'xml/2007 1.xml').write_text(XML.format(0))
    (tmp_path / 'xml/2007_2.xml').write_text(XML.format(1))
    (tmp_path / 'xml/2007_3.xml').write_text('<annotation></annotation>')
    path = tmp_path / 'out.txt'
    path.write_text(
        '2007 1 0.9 71 51 131 131\n2007_2 0.95 71 51 131 131\n'
        '2007_3 0.8 1 1 9 9\n'
    )
    assert pascal_scores(path, tmp_path / 'xml') == dict(AP=100)
    path.write_text('2007_2 0.9 71 51 131\n')
    with pytest.raises(UserError, match='line 1: must be "IMAGE score x1 y1'):
        pascal_scores(path, tmp_path / 'xml')
    path.write_text('2007_2 0.9 71 51 131 inf\n')
    with pytest.raises(UserError, match='line 1: must have 5 finite numbers'):
        pascal_scores(path, tmp_path / 'xml')
    path.write_text('other 0.9 71 51 131 131\n')
    with pytest.raises(UserError, match='only. Received: other'):
        pascal_scores(path, tmp_path / 'xml')
    text = XML.format(0).replace('<xmin>71', '<xmin>nan')
    (tmp_path / 'xml/2007 1.xml').write_text(text)
    with pytest.raises(UserError, match='2007 1.xml, object 1: must have 4'):
        pascal_scores(path, tmp_path / 'xml')
    with pytest.raises(FileNotFoundError, match='must have XML files'):
        pascal_scores(path, tmp_path)


def test_the_tool(fddb, monkeypatch, capsys):
    write_fddb(fddb / 'out.txt', {'2003/big/img_1': np.array([(*AROUND, 1)])})
    write_mats(fddb / 'mats')
    write_wider_result(fddb / 'wider', '0--Parade/0_b', np.zeros((0, 5)))

    def run(*args):
        monkeypatch.setattr(sys, 'argv', ['evaluate_faces', *map(str, args)])
        path = ROOT / 'tools/analysis_tools/evaluate_faces.py'
        runpy.run_path(str(path), run_name='__main__')
        return capsys.readouterr().out

    paths = fddb / 'out.txt', fddb / 'FDDB-folds'
    text = run('fddb', *paths, '--json', '--false-positives', 7)
    assert json.loads(text).keys() == {'discrete_7', 'continuous_7'}
    assert 'discrete_1000        25.0000' in run('fddb', *paths)
    found = run('wider', fddb / 'wider', fddb / 'mats', '--iou', 'exact')
    assert found.split() == 'AP_easy 0.0000 AP_medium 0.0000'.split() + [
        'AP_hard',
        '0.0000',
    ]
    with pytest.raises(SystemExit, match='evaluate_faces: .*, line 1'):
        run('pascal', *paths)
