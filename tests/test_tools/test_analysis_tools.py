"""The analysis tools as a user calls them, and what they say to bad input."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from sniper_mmdet.datasets import write_proposals

TOOLS = Path(__file__).resolve().parents[2] / 'tools' / 'analysis_tools'
STATISTICS = {
    'images',
    'chips_per_image',
    'chips_per_level',
    'boxes_covered',
    'pixel_ratio_single_scale',
    'pixel_ratio_pyramid',
}


def run(tool, *args, cwd):
    return subprocess.run(
        [sys.executable, TOOLS / f'{tool}.py', *map(str, args)],
        cwd=cwd,
        env=dict(os.environ, OMP_NUM_THREADS='1'),
        capture_output=True,
        text=True,
    )


def output_of(tool, *args, cwd):
    done = run(tool, *args, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path):
    """Three images of 200x150 with 4 boxes each, and a config for them."""
    coco = dict(images=[], annotations=[], categories=[dict(id=1, name='cat')])
    for i in range(3):
        img = np.full((150, 200, 3), 200, np.uint8)
        coco['images'].append(
            dict(id=i, width=200, height=150, file_name=f'{i}.jpg')
        )
        for k in range(4):
            x, y, side = 40 * k + 5, 30 * i + 10, 8 * k + 6
            img[y : y + side, x : x + side] = 30
            coco['annotations'].append(
                dict(
                    id=4 * i + k + 1,  # COCO's matching has no object 0
                    image_id=i,
                    category_id=1,
                    bbox=[x, y, side, side],
                    area=side**2,
                    iscrowd=0,
                )
            )
        cv2.imwrite(str(tmp_path / f'{i}.jpg'), img)
    (tmp_path / 'coco.json').write_text(json.dumps(coco))
    (tmp_path / 'config.py').write_text(CONFIG)
    return tmp_path


CONFIG = """
train_dataloader = dict(
    dataset=dict(
        type='sniper_mmdet.ChipDataset',
        scales=[1.0, 2.0],
        valid_ranges=[(16, None), (0, 24)],
        chip_size=100,
        stride=(10, 12),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(type='sniper_mmdet.CutChip'),
            dict(type='PackDetInputs')
        ],
        dataset=dict(
            type='CocoDataset',
            ann_file='coco.json',
            data_prefix=dict(img=''),
            metainfo=dict(classes=('cat', )))))
"""


def test_statistics_of_a_config(folder):
    option = 'train_dataloader.dataset.dataset.indices=2'
    args = ('config.py', '--json', '--cfg-options', option)
    stats = json.loads(output_of('chip_statistics', *args, cwd=folder))
    assert set(stats) >= STATISTICS
    assert stats['images'] == 2
    assert stats['boxes_covered'] == 1
    # Of 6, 14, 22 and 30 pixels; see valid_ranges.
    assert stats['valid_boxes_per_level'] == [4, 6]
    assert min(stats['chips_per_level']) >= 2
    assert stats['chips_per_image'] == sum(stats['chips_per_level']) / 2


def test_statistics_of_an_annotation_file(folder):
    args = ('--ann', 'coco.json', '--epochs', '2')
    stats = json.loads(
        output_of('chip_statistics', *args, '--json', cwd=folder)
    )
    assert set(stats) >= STATISTICS
    assert (stats['images'], stats['epochs']) == (3, 2)
    text = output_of('chip_statistics', *args, cwd=folder)
    assert '3 images, 12 boxes, mean of 2 epochs' in text
    assert f'chips an image      {stats["chips_per_image"]:.2f}' in text
    levels = [line.split() for line in text.splitlines()[-7:-4]]
    assert [line[0] for line in levels] == ['(-1,', '1.667', '3.0']
    counts = [float(line[-2]) for line in levels]
    assert counts == stats['positive_chips_per_level']


def test_benchmark_of_mining(folder):
    text = output_of(
        'benchmark', 'chips', '--ann', 'coco.json', '--json', cwd=folder
    )
    result = json.loads(text)
    assert result['images'] == 3
    for key in (
        'positive_ms_per_image',
        'cover_ms_per_image_900_boxes',
        'negative_ms_per_image_900_proposals',
    ):
        assert result[key] > 0
        assert result[f'{key}_speedup'] == pytest.approx(
            result[f'{key}_original'] / result[key]
        )


@pytest.mark.skipif(sys.platform != 'linux', reason='reads /proc')
def test_benchmark_of_negatives(folder):
    args = ('--images', '7', '3', '--proposals', '50', '--json')
    result = json.loads(output_of('benchmark', 'negatives', *args, cwd=folder))
    assert set(result) == {
        f'{num}_images_{key}'
        for num in (7, 3)
        for key in ('ms_per_image', 'private_mb', 'file_mb')
    }
    assert min(result.values()) > 0
    assert result['7_images_file_mb'] > result['3_images_file_mb']


def test_benchmark_of_a_pipeline(folder):
    args = ('config.py', '--samples', '4', '--repeats', '1', '--json')
    text = output_of('benchmark', 'pipeline', *args, cwd=folder)
    result = json.loads(text)
    assert result['samples'] == 4
    assert result['ratio'] == pytest.approx(
        result['samples_per_second']
        / result['samples_per_second_mmdet_multi_scale']
    )


def test_pictures_of_chips(folder):
    text = output_of(
        'browse_chips',
        *('config.py', '--out-dir', 'out', '--num', '2', '--height', '150'),
        cwd=folder,
    )
    assert '2 drawn images in out' in text
    files = sorted(path.name for path in (folder / 'out').iterdir())
    assert files == ['000000_0.jpg', '000001_1.jpg']
    picture = cv2.imread(str(folder / 'out/000000_0.jpg')).astype(int)
    # A panel a level, below a title.
    height, width = picture.shape[:2]
    assert width == 2 * 200 and height > 150
    for panel in (picture[-150:, :200], picture[-150:, 200:]):
        blue, green, red = panel.transpose(2, 0, 1)
        orange = (red > 200) & (green > 150) & (blue < 90)
        assert orange.sum() > 200
        # Chips of the fine level leave something out.
        dark = (panel.max(2) < 90).mean()
        assert dark > (0.2 if panel is picture[-150:, 200:] else 0)


@pytest.fixture
def proposal_file(folder):
    """Thirty proposals where no box is, in the lower left corner."""
    boxes = np.zeros((30, 4))
    boxes[:, :2] = np.arange(30)[:, None] % 6 + (0, 120)
    boxes[:, 2:] = boxes[:, :2] + 12
    write_proposals(
        str(folder / 'proposals.npz'),
        [f'{i} {i}.jpg' for i in range(3)],
        np.array([(200, 150)] * 3),
        [boxes] * 3,
        [np.ones(30)] * 3,
        {},
    )
    return 'proposals.npz'


def test_statistics_of_negative_chips(folder, proposal_file):
    args = ('config.py', '--proposals', proposal_file)
    text = output_of('chip_statistics', *args, cwd=folder)
    levels = [line.split() for line in text.splitlines() if 'pixels' in line]
    stats = json.loads(
        output_of('chip_statistics', *args, '--json', cwd=folder)
    )
    # Thirty proposals do at both levels; one chip holds them all.
    assert stats['negative_chips_per_level'][1] == 3
    assert levels and '3.0' in text


def test_pictures_of_negative_chips(folder, proposal_file):
    args = ('--out-dir', 'out', '--num', '1', '--height', '150')
    output_of(
        'browse_chips',
        'config.py',
        *args,
        '--proposals',
        proposal_file,
        cwd=folder,
    )
    picture = cv2.imread(str(folder / 'out/000000_0.jpg')).astype(int)
    blue, green, red = picture[-150:, 200:].transpose(2, 0, 1)
    magenta = (red > 200) & (blue > 200) & (green < 150)
    assert magenta.sum() > 100
    pale = (red > 220) & (blue > 220) & (green > 130) & (green < 200)
    assert pale[100:, :40].sum() > 20


def results(folder, name, *scores):
    """COCO results of the first boxes, and a wrong one before the last."""
    coco = json.loads((folder / 'coco.json').read_text())
    found = [
        dict(
            image_id=ann['image_id'],
            category_id=1,
            bbox=ann['bbox'],
            score=score,
        )
        for ann, score in zip(coco['annotations'], scores, strict=False)
    ]
    wrong = dict(found[0], image_id=1, bbox=[150, 100, 9, 9])
    wrong['score'] = min(scores) + 0.01
    (folder / name).write_text(json.dumps([*found, wrong]))
    return name


def test_detections_compared_over_seeds(folder):
    runs = [
        f'few={results(folder, "a.json", *[0.9] * 6)}',
        f'few={results(folder, "b.json", *[0.9] * 3)}',
        f'all={results(folder, "c.json", *[0.9] * 12)}',
    ]
    table = json.loads(
        output_of(
            'compare_detections',
            'coco.json',
            *runs,
            '--recall',
            '0.5',
            '--json',
            cwd=folder,
        )
    )
    assert [table[name]['runs'] for name in ('few', 'all')] == [2, 1]
    # Half of the boxes are found, with one wrong box before them in three
    # images; the second run never gets there.
    assert table['all']['FP'] == [pytest.approx(1 / 3), 0]
    assert table['few']['FP'][0] == float('inf')
    assert table['few']['AP'][1] > 0 and table['all']['AP'][1] == 0
    text = output_of('compare_detections', 'coco.json', *runs, cwd=folder)
    assert 'FP@0.7' in text and 'inf' in text


def metrics(**changes):
    keys = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')
    found = {f'coco/bbox_{key}': 0.1 * i for i, key in enumerate(keys)}
    return json.dumps(dict(found, **changes))


def test_results_side_by_side(tmp_path):
    for name in ('a', 'b'):
        logs = tmp_path / name / '20250101_000000'
        (logs / 'vis_data').mkdir(parents=True)
        (logs / 'vis_data/scalars.json').write_text(
            '{"loss": 1.0}\nno json\n'
            + metrics(**{'coco/bbox_mAP': 0.25})
            + '\n'
            + metrics()
        )
    # A later run counts, that of tools/test.py too.
    later = tmp_path / 'b/20250102_000000'
    later.mkdir()
    (later / '20250102_000000.json').write_text(
        metrics(**{'coco/bbox_mAP': 0.75})
    )
    args = ('one=a', 'other=b')
    table = json.loads(
        output_of('compare_results', *args, '--json', cwd=tmp_path)
    )
    assert list(table) == ['one', 'other']
    assert table['one'] == pytest.approx(
        dict(AP=0, AP50=0.1, AP75=0.2, AP_S=0.3, AP_M=0.4, AP_L=0.5)
    )
    assert table['other']['AP'] == 0.75
    lines = output_of('compare_results', *args, cwd=tmp_path).splitlines()
    assert lines[-3].split() == list(table['one'])
    assert lines[-1].split()[:3] == ['other', '0.750', '0.100']


@pytest.mark.parametrize(
    ('tool', 'args', 'sentence'),
    [
        ('chip_statistics', '', 'give either CONFIG or --ann'),
        ('chip_statistics', 'a.py --ann b', 'give either CONFIG or --ann'),
        ('chip_statistics', 'config.py --epochs 0', 'must be at least 1.'),
        ('chip_statistics', '--ann a --cfg-options b=1', '--ann has none'),
        ('chip_statistics', 'config.py --speed', 'arguments: --speed'),
        ('chip_statistics', '--ann nowhere.json', "'nowhere.json'"),
        ('chip_statistics', '--ann 0.jpg', '0.jpg is not a COCO detection'),
        ('chip_statistics', 'nowhere.py', "'nowhere.py'"),
        ('chip_statistics', 'empty.py', 'empty.py: train_dataloader.dataset'),
        (
            'chip_statistics',
            'config.py --cfg-options '
            'train_dataloader.dataset.dataset.ann_file=nowhere.json',
            'nowhere.json is missing: check data_root',
        ),
        ('browse_chips', 'config.py', 'required: --out-dir'),
        ('browse_chips', 'nowhere.py --out-dir out', "'nowhere.py'"),
        ('benchmark', '', 'required: command'),
        ('benchmark', 'chips', 'required: --ann'),
        ('benchmark', 'chips --ann nowhere.json', "'nowhere.json'"),
        ('benchmark', 'negatives --images 0', 'must be at least 1'),
        ('compare_detections', 'coco.json a', 'NAME=FILE. Received: a.'),
        ('compare_detections', 'coco.json a=b --recall 2', 'in (0, 1]'),
        ('compare_detections', 'coco.json a=nowhere', "'nowhere'"),
        ('compare_detections', 'coco.json a=coco.json', 'not a COCO result'),
        ('proposal_recall', 'config.py a', 'NAME=FILE.npz. Received: a.'),
        ('proposal_recall', 'config.py a=b --num 0', 'at least 1. Recei'),
        ('chip_statistics', '--ann a --proposals b', 'need a CONFIG'),
        (
            'chip_statistics',
            'config.py --proposals nowhere.npz',
            'there is no proposal file nowhere.npz',
        ),
        ('browse_chips', 'config.py --out-dir out --proposals 0.jpg', '0.jpg'),
        ('compare_results', '', 'required: NAME=WORK_DIR'),
        ('compare_results', 'a', 'must be NAME=WORK_DIR. Received: a'),
        ('compare_results', 'a=nowhere', 'no COCO bbox evaluation in nowhere'),
    ],
)
def test_bad_input_ends_in_a_sentence(folder, tool, args, sentence):
    (folder / 'empty.py').write_text('model = dict()')
    done = run(tool, *args.split(), cwd=folder)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(tool) and sentence in last
    assert 'Traceback' not in done.stderr
    assert not (folder / 'out').exists()


@pytest.mark.parametrize('name', ['focus_curve', 'proposal_recall'])
def test_nothing_is_printed_before_the_result(name):
    """mmdet prints while it is imported, and JSON must begin with a brace."""
    command = [sys.executable, TOOLS / f'{name}.py', '--help']
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith('usage: ')
