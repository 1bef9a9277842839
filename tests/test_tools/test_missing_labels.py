"""Labels that are missing: dropped, weighed, found."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from shrink import shrunk
from tiny import ROOT, SAMPLE_CONFIG, cli, sample_options, write_voc

from sniper_mmdet.apis.unlabelled import image_infos, unexplained
from sniper_mmdet.benchmark.drop_runs import COLUMNS, runs_of, summary
from sniper_mmdet.datasets import ProposalFile
from sniper_mmdet.datasets.dropped_labels import drop_labels, with_ignored
from sniper_mmdet.evaluation.ground_truth import read_ground_truth
from sniper_mmdet.evaluation.operating_point import best_f1, f1_at

pytestmark = pytest.mark.usefixtures('fast_configs')
SLIM = ROOT / (
    'configs/soft_sampling/'
    'faster-rcnn_r18-slim_fpn_soft-sampling_9e_deeppcb.py'
)
EXPERIMENT = 'analysis_tools/drop_experiment.py'


def coco_of(count, crowds=1):
    annotations = [
        dict(
            id=i,
            image_id=1 + i % 3,
            category_id=1,
            bbox=[i, i, 10, 10],
            area=100,
            iscrowd=int(i <= crowds),
        )
        for i in range(1, count + 1)
    ]
    images = [
        dict(id=i, file_name=f'{i}.jpg', width=200, height=200)
        for i in (1, 2, 3)
    ]
    return dict(
        images=images,
        annotations=annotations,
        categories=[dict(id=1, name='a')],
    )


def ids(coco):
    return {one['id'] for one in coco['annotations']}


def test_a_share_of_the_boxes_is_dropped():
    coco = coco_of(101)
    before = json.dumps(coco)
    kept, dropped = drop_labels(coco, 0.3, 5)
    assert len(ids(dropped)) == 30 and ids(kept) | ids(dropped) == ids(coco)
    assert not ids(kept) & ids(dropped)
    assert 1 in ids(kept)  # a crowd
    assert kept['images'] == dropped['images'] == coco['images']
    # By the seed alone; and a larger share drops those and more.
    assert drop_labels(coco, 0.3, 5) == (kept, dropped)
    assert ids(drop_labels(coco, 0.3, 6)[1]) != ids(dropped)
    assert ids(dropped) < ids(drop_labels(coco, 0.7, 5)[1])
    assert not ids(drop_labels(coco, 0, 5)[1])
    bound = with_ignored(kept, dropped)
    crowds = {a['id'] for a in bound['annotations'] if a['iscrowd']}
    assert crowds == ids(dropped) | {1} and ids(bound) == ids(coco)
    assert json.dumps(coco) == before
    with pytest.raises(ValueError, match='Received: 1'):
        drop_labels(coco, 1, 0)


def test_drop_labels_writes_three_files(tool, here, capsys):
    (here / 'train.json').write_text(json.dumps(coco_of(21)))
    drop = 'analysis_tools/drop_labels.py'
    tool(drop, 'train.json', '--share', '0.5', '--out-dir', 'out')
    assert '11 boxes kept and 10 dropped in out' in capsys.readouterr().out
    kept, dropped, ignored = (
        json.loads(Path('out', f'{name}.json').read_text())
        for name in ('kept', 'dropped', 'ignored')
    )
    assert ids(kept) | ids(dropped) == ids(ignored)
    with pytest.raises(SystemExit):
        tool(drop, 'train.json', '--share', '1', '--out-dir', 'out')
    assert '--share must be in [0, 1)' in capsys.readouterr().err
    (here / 'train.json').write_text('[]')
    with pytest.raises(SystemExit, match='train.json is not a COCO json'):
        tool(drop, 'train.json', '--out-dir', 'out')


def test_what_a_box_explains():
    info = dict(
        img_path='a.jpg',
        instances=[
            dict(bbox=[0, 0, 10, 10], bbox_label=0),
            dict(bbox=[50, 50, 100, 100], bbox_label=0, is_group_of=True),
            dict(bbox=[50, 150, 100, 200], bbox_label=0, ignore_flag=1),
        ],
    )
    boxes = torch.tensor(
        [
            (0.0, 0, 10, 5),  # half of a box
            (0, 0, 4, 4),  # a part of one
            (60, 60, 70, 70),  # in a group
            (45, 160, 54, 170),  # less than half in an ignored region
            (120, 120, 130, 130),
        ]
    )
    expected = [False, True, False, True, True]
    assert unexplained(boxes, info).tolist() == expected
    assert unexplained(boxes, info, 0.1).tolist() == [False] + expected[
        2:2
    ] + [
        False,
        False,
        True,
        True,
    ]
    assert unexplained(boxes[:0], info).tolist() == []
    nothing = dict(info, instances=[])
    assert unexplained(boxes, nothing).all()


def test_f1_at_a_score(tmp_path):
    coco = coco_of(3)
    places = [0, 0, 50, 50], [0, 0, 10, 10], [100, 100, 10, 10]
    for one, box in zip(coco['annotations'], places, strict=True):
        one.update(bbox=box, image_id=1, area=box[2] * box[3])
    coco['annotations'][0]['bbox'] = [100, 0, 50, 50]  # the crowd
    path = tmp_path / 'truth.json'
    path.write_text(json.dumps(coco))
    truth = read_ground_truth(path)

    def found(box, score, image=1):
        return dict(image_id=image, category_id=1, bbox=box, score=score)

    detections = [
        found([0, 0, 10, 9], 0.9),
        found([0, 0, 10, 10], 0.8),  # the same again
        found([100, 100, 10, 10], 0.3),  # not sure
        found([110, 10, 10, 10], 0.7),  # in the crowd
        found([0, 0, 10, 10], 0.4, image=2),
    ]
    result = f1_at(truth, detections)
    assert result['precision'] == pytest.approx(100 / 3)
    assert result['recall'] == 50
    assert result['F1'] == pytest.approx(100 * 2 / 5)
    every = f1_at(truth, detections, 0.3)
    assert every['recall'] == 100 and every['precision'] == 50
    assert f1_at(truth, [])['F1'] == 0
    # One hit of one, of two, of three (an image has no such object), two of
    # four.
    assert best_f1(truth, detections) == dict(
        best_F1=pytest.approx(100 * 2 / 3), best_score=0.9
    )
    detections.append(found([100, 100, 10, 10], 0.8))
    best = best_f1(truth, detections)
    assert best == dict(best_F1=pytest.approx(80), best_score=0.8)
    for score in np.arange(0.05, 1, 0.1):
        assert f1_at(truth, detections, score)['F1'] <= best['best_F1']
    assert f1_at(truth, detections, 0.8)['F1'] == best['best_F1']
    assert np.isnan(best_f1(truth, [])['best_F1'])
    truth.dataset['annotations'] = []
    assert np.isnan(f1_at(truth, detections)['F1'])


def test_runs_find_what_they_need():
    runs = list(
        runs_of(['a', 'b'], [0, 0.5], [1], ['bound', 'scores', 'plain'])
    )
    assert [(run.data, run.rate, run.way) for run in runs] == [
        ('a', 0, 'plain'),
        ('a', 0, 'scores'),
        ('a', 0.5, 'plain'),
        ('a', 0.5, 'scores'),
        ('a', 0.5, 'bound'),
        ('b', 0, 'plain'),
        ('b', 0, 'scores'),
        ('b', 0.5, 'plain'),
        ('b', 0.5, 'scores'),
        ('b', 0.5, 'bound'),
    ]
    with pytest.raises(ValueError, match='needs the way plain'):
        list(runs_of(['a'], [0], [0], ['scores']))
    results = [
        (
            run._replace(seed=seed),
            dict.fromkeys(COLUMNS, value),
        )
        for run in runs[:1]
        for seed, value in enumerate([50.0, 54, 58])
    ]
    [(name, row)] = summary(results)
    assert (name, row['runs'], row['AP50']) == ('a', '3', '54.00 ± 4.00')


@pytest.fixture
def sets(here):
    scenes = here / 'data/sample'
    boxes = here / 'sets/boxes'
    boxes.mkdir(parents=True)
    for name in ('train.json', 'val.json', 'images'):
        (boxes / name).symlink_to((scenes / name).resolve())
    names = [
        one['name']
        for one in json.loads((scenes / 'train.json').read_text())[
            'categories'
        ]
    ]
    splits = dict(trainval='train', test='val')
    write_voc(scenes, here / 'sets/voc/VOC2007', splits, names)
    return here / 'sets'


def experiment(tool, sets, *args, **options):
    tiny = {
        key: value
        for key, value in shrunk(Config.fromfile(SLIM)).items()
        if key.startswith('model')
    }
    tool(
        EXPERIMENT,
        sets,
        *('--out-dir', 'out', '--seeds', '0', '--iters', '2', '--side', '64'),
        *('--batch-size', '2', '--num-workers', '0'),
        *args,
        *cli({**tiny, 'log_level': 'WARNING', **options}),
    )


def test_the_experiment(tool, sets, here, capsys):
    """All ways, once each; what is done is not done again."""
    args = '--sets', 'boxes', '--drop', '0.5'
    experiment(tool, sets, *args, '--json')
    rows = json.loads(capsys.readouterr().out)
    assert [row['way'] for _, row in rows] == [
        'plain',
        'overlap',
        'scores',
        'bound',
    ]
    folder = here / 'out/boxes/drop0.5_seed0'
    files = {
        way: json.loads((folder / way / 'train.json').read_text())
        for way in ('plain', 'overlap', 'bound')
    }
    dropped = json.loads((folder / 'plain/dropped.json').read_text())
    assert files['plain'] == files['overlap']
    assert ids(files['bound']) == ids(files['plain']) | ids(dropped)
    scores = ProposalFile(str(folder / 'scores/scores.npz'))
    assert len(scores) == len(files['plain']['images'])
    settings = {
        way: Config.fromfile(next((folder / way).glob('*.py')))
        for way in ('plain', 'overlap', 'scores', 'bound')
    }
    weights = {
        way: (cfg.model.roi_head.soft_sampling or {}).get('type')
        for way, cfg in settings.items()
    }
    assert weights == dict(
        plain=None,
        overlap='sniper_mmdet.OverlapWeights',
        scores='sniper_mmdet.ScoreWeights',
        bound=None,
    )
    rcnn = settings['bound'].model.train_cfg.rcnn
    assert rcnn.assigner.ignore_iou_thr == 0.5
    # The second time nothing is trained: only what is new.
    (folder / 'overlap/result.json').unlink()
    times = {path: path.stat().st_mtime_ns for path in folder.glob('*/*.pth')}
    experiment(tool, sets, *args)
    table = capsys.readouterr().out
    assert '50%' in table and table.count('±') == 7 * 4 + 1
    changed = {
        path.parent.name
        for path in times
        if path.stat().st_mtime_ns != times[path]
    }
    assert changed == {'overlap'}
    with pytest.raises(SystemExit, match='other settings'):
        experiment(tool, sets, *args, '--score-thr', '0.5')


def test_sets_of_other_layouts(tool, sets, here, capsys):
    args = '--sets', 'voc', '--drop', '0', '--ways', 'plain'
    experiment(tool, sets, *args, '--json')
    [(name, row)] = json.loads(capsys.readouterr().out)
    assert (name, row['dropped'], row['runs']) == ('voc', '0%', '1')
    truth = json.loads((here / 'out/voc/val.json').read_text())
    expected = json.loads((here / 'data/sample/val.json').read_text())
    assert len(truth['images']) == len(expected['images'])
    with pytest.raises(SystemExit, match='must have train.json'):
        experiment(tool, sets, '--sets', 'none')
    with pytest.raises(SystemExit, match='must be a SoftSamplingRoIHead'):
        experiment(tool, sets, '--sets', 'voc', '--config', SAMPLE_CONFIG)


def test_scores_of_the_training_images(tool, here, trained, capsys):
    options = sample_options()
    out = '--out', 'scores.npz', '--score-thr', '0', '--num', '7'
    tool('misc/score_unlabelled.py', SAMPLE_CONFIG, trained, *out, **options)
    found = ProposalFile('scores.npz')
    images = json.loads((here / 'data/sample/train.json').read_text())[
        'images'
    ]
    assert found.keys == [f'{i["id"]} {i["file_name"]}' for i in images]
    counts = np.diff(found.offsets)
    assert 0 < counts.max() <= 7
    assert f'{counts.sum()} detections of' in capsys.readouterr().out
    with pytest.raises(SystemExit):
        tool('misc/score_unlabelled.py', SAMPLE_CONFIG, trained, '--out', 'a')
    assert '--out must be a .npz file' in capsys.readouterr().err


def test_images_that_lost_all_boxes_are_looked_at(sets):
    path = sets / 'train.json'
    path.write_text((sets / 'boxes/train.json').read_text())
    coco = json.loads(path.read_text())
    coco['annotations'] = [
        one
        for one in coco['annotations']
        if one['image_id'] != coco['images'][0]['id']
    ]
    path.write_text(json.dumps(coco))
    dataset = dict(
        type='CocoDataset',
        ann_file=str(path),
        data_prefix=dict(img=str(sets / 'boxes/images')),
        metainfo=dict(
            classes=tuple(one['name'] for one in coco['categories'])
        ),
        filter_cfg=dict(filter_empty_gt=True),
    )
    repeated = dict(type='RepeatDataset', times=2, dataset=dataset)
    for one in (dataset, repeated):
        cfg = Config(dict(train_dataloader=dict(dataset=one)))
        names = {Path(info['img_path']).name for info in image_infos(cfg)}
        assert names == {one['file_name'] for one in coco['images']}
        assert dataset['filter_cfg']['filter_empty_gt']


def test_what_nobody_labelled(tool, here, trained, capsys):
    find = 'analysis_tools/find_missing_labels.py'
    args = '--out-dir', 'found', '--score-thr', '0.0001', '--num-pictures', '2'
    options = sample_options()
    tool(find, SAMPLE_CONFIG, trained, *args, '--json', **options)
    table = json.loads(capsys.readouterr().out)
    coco = json.loads(Path('found/missing.json').read_text())
    truth = json.loads((here / 'data/sample/train.json').read_text())
    assert table['all']['found'] == len(coco['annotations']) > 0
    assert table['all']['boxes'] == len(truth['annotations'])
    names = {one['file_name'] for one in truth['images']}
    assert {one['file_name'] for one in coco['images']} <= names
    scores = [one['score'] for one in coco['annotations']]
    assert scores == sorted(scores, reverse=True)
    pictures = list(Path('found').glob('*/*.jpg'))
    found = {k: v['found'] for k, v in table.items() if k != 'all'}
    assert len(pictures) == sum(min(n, 2) for n in found.values())
    with pytest.raises(SystemExit, match='none.pth does not exist'):
        tool(find, SAMPLE_CONFIG, 'none.pth', *args, **options)
    with pytest.raises(SystemExit):
        tool(find, SAMPLE_CONFIG, trained, '--out-dir', 'a', '--iou-thr', '1')
    assert '--iou-thr must be in (0, 1)' in capsys.readouterr().err
