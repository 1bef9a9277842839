"""The sample data set: what its images and annotations hold, and its CLI."""

import json
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from sniper_mmdet.datasets.synthetic import sample_data, shapes
from sniper_mmdet.datasets.synthetic import scenes as scene_drawing

TOOL = (
    Path(__file__).resolve().parents[2]
    / 'tools'
    / 'dataset_converters'
    / 'make_sample_data.py'
)
SMALL = (
    '--train',
    '2',
    '--val',
    '1',
    '--size',
    '300',
    '400',
    '--objects',
    '3',
    '5',
    '--max-size',
    '120',
)


@pytest.fixture
def run(monkeypatch):

    def run(*args):
        monkeypatch.setattr(sys, 'argv', [str(TOOL), *map(str, args)])
        runpy.run_path(str(TOOL), run_name='__main__')

    return run


@pytest.fixture(scope='module')
def scenes():
    return [
        scene_drawing.draw_scene(
            np.random.default_rng(i), (1000, 1600), (8, 20), 400
        )
        for i in range(6)
    ]


def files(folder):
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in folder.rglob('*')
        if p.is_file()
    }


def test_same_settings_same_files(run, tmp_path):
    for name in 'ab':
        run(tmp_path / name, *SMALL)
    run(tmp_path / 'seed', *SMALL, '--seed', '1')
    run(tmp_path / 'more', *SMALL, '--train', '3')
    a, b, seed, more = (
        files(tmp_path / name) for name in ('a', 'b', 'seed', 'more')
    )
    assert a == b
    assert sorted(a) == [
        'images/train_00000.jpg',
        'images/train_00001.jpg',
        'images/val_00000.jpg',
        'settings.json',
        'train.json',
        'val.json',
    ]
    assert not {v for k, v in a.items() if k.endswith('.jpg')} & {
        v for k, v in seed.items() if k.endswith('.jpg')
    }
    assert all(more[name] == a[name] for name in a if name.endswith('.jpg'))


def test_size_shares():
    rng = np.random.default_rng(0)
    sizes = np.array([shapes.sample_size(rng, 400) for _ in range(4000)])
    assert 8 <= sizes.min() and sizes.max() <= 400
    assert 0.59 < np.mean(sizes < 32) < 0.66
    assert 0.35 < np.mean(sizes < 20) < 0.46
    assert 0.22 < np.mean((sizes >= 32) & (sizes < 96)) < 0.28
    assert shapes.mean_area(400) == pytest.approx(np.mean(sizes**2), rel=0.1)
    assert max(shapes.sample_size(rng, 50) for _ in range(200)) <= 50


def test_objects_of_a_scene(scenes):
    for scene in scenes:
        height, width = scene.image.shape[:2]
        assert 1000 <= min(height, width) and max(height, width) <= 1600
        assert 8 <= len(scene.labels) <= 20
        assert scene.boxes.min() >= 0
        assert (scene.boxes[:, 2:] <= (width, height)).all()
        covered = np.zeros((height, width), int)
        for i, (x, y, alpha) in enumerate(scene.patches):
            covered[y : y + alpha.shape[0], x : x + alpha.shape[1]] += (
                alpha > 0
            )
            others = np.delete(scene.boxes, i, 0)
            assert (
                scene_drawing.iof(scene.boxes[i], others)
                <= scene_drawing.MAX_IOF
            ).all()
        assert covered.max() == 1


def test_boxes_are_tight():
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(40):
        for kind in shapes.CLASSES:
            size = rng.uniform(8, 60)
            outline = shapes.make_outline(
                kind, size, rng.uniform(-0.3, 0.3), rng.uniform(0.87, 1.15)
            )
            shift = shapes.PAD + rng.random(2)
            outline = [c + shift for c in outline]
            box = np.r_[outline[0].min(0), outline[0].max(0)]
            assert np.prod(box[2:] - box[:2]) == pytest.approx(size**2)
            y, x = np.nonzero(shapes.draw_alpha(outline, 0.5) >= 0.5)
            drawn = np.array([x.min(), y.min(), x.max() + 1, y.max() + 1])
            errors.append((drawn - box) * (-1, -1, 1, 1))
    # Whole pixels are up to half a pixel off by themselves, without a bias.
    assert np.abs(errors).max() < 1
    assert np.abs(np.mean(errors, 0)).max() < 0.1


def test_boxes_fit_what_is_in_the_image(scenes):
    """The pixels of a patch differ from those around it, and only those."""
    for scene in scenes[:3]:
        for x, y, alpha in scene.patches:
            window = scene.image[
                y : y + alpha.shape[0], x : x + alpha.shape[1]
            ]
            inside = window[alpha > 0.7].mean(0)
            outside = window[alpha == 0].mean(0)
            assert np.abs(inside - outside).max() > 20


def test_coco_files(run, tmp_path):
    run(tmp_path / 'a', *SMALL)
    for split, n_images in (('train', 2), ('val', 1)):
        data = COCO(str(tmp_path / 'a' / f'{split}.json'))
        assert [c['name'] for c in data.loadCats(data.getCatIds())] == list(
            shapes.CLASSES
        )
        images = data.loadImgs(data.getImgIds())
        assert len(images) == n_images
        for image in images:
            path = tmp_path / 'a' / 'images' / image['file_name']
            assert cv2.imread(str(path)).shape[:2] == (
                image['height'],
                image['width'],
            )
            anns = data.imgToAnns[image['id']]
            assert 3 <= len(anns) <= 5
            for ann in anns:
                assert ann['iscrowd'] == 0
                # The hole of a ring counts for neither.
                mask = data.annToMask(ann)
                assert mask.sum() == pytest.approx(ann['area'], rel=0.25)
                y, x = np.nonzero(mask)
                drawn = (x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1)
                assert np.allclose(drawn, ann['bbox'], atol=1.5)


def test_area_of_a_ring_has_no_hole():
    ring = shapes.make_outline('ring', 40)
    box = np.r_[ring[0].min(0), ring[0].max(0)]
    ann = sample_data.to_annotation(3, box, ring)
    assert ann['bbox'] == pytest.approx([0, 0, 40, 40], abs=0.01)
    assert ann['area'] == pytest.approx(0.75 * np.pi * 20**2, rel=0.02)
    xy = np.reshape(ann['segmentation'], (-1, 2)).astype(np.float32)
    assert cv2.contourArea(xy) == pytest.approx(ann['area'], rel=0.01)


def test_same_settings_are_skipped(run, tmp_path, capsys):
    out = tmp_path / 'a'
    run(out, *SMALL)
    capsys.readouterr()
    (out / 'mine.txt').touch()
    run(out, *SMALL)
    assert 'nothing to do' in capsys.readouterr().out
    assert (out / 'mine.txt').exists()


@pytest.mark.parametrize('name', ['settings.json', 'mine.txt'])
def test_another_folder_is_replaced_on_demand_only(name, run, tmp_path):
    out = tmp_path / 'a'
    out.mkdir()
    (out / name).write_text('{"seed": 3}')
    with pytest.raises(SystemExit, match='--overwrite'):
        run(out, *SMALL)
    assert list(files(out)) == [name]
    run(out, *SMALL, '--overwrite')
    assert not (out / 'mine.txt').exists()
    assert len(json.loads((out / 'train.json').read_text())['images']) == 2
    assert [p.name for p in tmp_path.iterdir()] == ['a']


def test_current_folder_is_never_replaced(run, tmp_path, monkeypatch):
    (tmp_path / 'mine.txt').touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match='current folder'):
        run('.', *SMALL, '--overwrite')
    assert (tmp_path / 'mine.txt').exists()


def test_a_failure_leaves_nothing(run, tmp_path, monkeypatch):
    out = tmp_path / 'a'
    run(out, *SMALL)
    before = files(out)

    def fail(*args):
        raise OSError('disk full')

    monkeypatch.setattr(sample_data, 'to_annotation', fail)
    with pytest.raises(SystemExit, match='cannot be written: disk full'):
        run(out, *SMALL, '--seed', '1', '--overwrite')
    assert files(out) == before
    with pytest.raises(SystemExit, match='cannot be written: disk full'):
        run(tmp_path / 'b', *SMALL)
    assert [p.name for p in tmp_path.iterdir()] == ['a']


@pytest.mark.parametrize(
    'args, message',
    [
        (('--train', '0'), r'--train .* Received: 0\.'),
        (('--val', '-1'), r'--val .* Received: -1\.'),
        (('--seed', '-1'), r'--seed .* Received: -1\.'),
        (('--size', '1600', '1000'), r'--size .* Received: 1600 1000\.'),
        (('--size', '50', '1000'), r'--size .* Received: 50 1000\.'),
        (('--size', '1000', '70000'), r'--size .* Received: 1000 70000\.'),
        (('--objects', '0', '3'), r'--objects .* Received: 0 3\.'),
        (('--objects', '5', '3'), r'--objects .* Received: 5 3\.'),
        (
            ('--objects', '5', '300'),
            r'--objects .* do not fit .* Received: 300',
        ),
        (('--max-size', '20'), r'--max-size .* Received: 20\.'),
        (('--max-size', '900'), r'--max-size .* 800\. Received: 900\.'),
    ],
)
def test_bad_arguments(args, message, run, tmp_path):
    with pytest.raises(SystemExit, match=message) as error:
        run(tmp_path / 'a', *args)
    assert '\n' not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_file_is_no_folder(run, tmp_path):
    (tmp_path / 'a').touch()
    with pytest.raises(SystemExit, match='OUT_DIR must not be a file'):
        run(tmp_path / 'a', *SMALL, '--overwrite')
    with pytest.raises(SystemExit, match='OUT_DIR .* cannot be written'):
        run(tmp_path / 'a' / 'b', *SMALL)
