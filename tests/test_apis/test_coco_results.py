"""Detections as a COCO file."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from spots import quiet, spot

from sniper_mmdet.apis import CocoResults
from sniper_mmdet.apis.inference import class_names
from sniper_mmdet.apis.inputs import image_name


def write_results(results, *where) -> None:
    with CocoResults(*where) as file:
        for result in results:
            file.add(result)


def annotations(path, *names, classes=('other', 'spot')):
    """Categories count from 7."""
    images = [
        dict(id=40 + i, file_name=name, width=100, height=60)
        for i, name in enumerate(names)
    ]
    categories = [dict(id=i, name=n) for i, n in enumerate(classes, start=7)]
    path.write_text(
        json.dumps(dict(images=images, annotations=[], categories=categories))
    )
    return path


def test_names_stand_for_one_picture_each(model, video, folder, tmp_path):
    """Videos of one stem, a folder of it, and a frame written by hand."""
    clips = tmp_path / 'clips'
    (clips / 'clip').mkdir(parents=True)
    for name in ('clip.avi', 'clip.mkv'):
        (clips / name).write_bytes(video.read_bytes())
    cv2.imwrite(str(clips / 'clip/000000.jpg'), spot(3))
    out = tmp_path / 'found.json'
    results = list(quiet(model, clips, out_json=out))
    images = COCO(tmp_path / 'found.images.json').imgs.values()
    names = [image['file_name'] for image in images]
    assert names == list(map(image_name, results))
    assert len(set(names)) == len(names) == 11
    # Ids of annotations may be of either name of a video.
    names = (
        'clip/000000.jpg',
        *(
            f'{folder}/{k:06d}.jpg'
            for folder in ('clip.avi', 'clip.mkv')
            for k in range(5)
        ),
    )
    ann = annotations(tmp_path / 'ann.json', *names)
    list(quiet(model, clips, out_json=out, ann_file=ann))
    assert len(COCO(ann).loadRes(str(out)).getImgIds()) == 11
    # Two videos of one name without their endings have one id.
    ann = annotations(tmp_path / 'ann.json', *names[:1])
    first = quiet(model, clips / 'clip.avi', out_json=out, ann_file=ann)
    assert next(first).frame_id == 0


def test_coco_results(model, folder, tmp_path):
    out = tmp_path / 'new/found.json'
    for number, _ in enumerate(quiet(model, folder, out_json=out)):
        assert not out.exists(), number
    entries = json.loads(out.read_text())
    assert entries[2] == dict(
        image_id=2,
        category_id=1,
        bbox=[20, 20, 8, 16],
        score=pytest.approx(0.9),
    )
    images = COCO(tmp_path / 'new/found.images.json')
    found = images.loadRes(str(out))
    assert sorted(found.getImgIds()) == [1, 2, 3]
    assert images.imgs[3]['file_name'] == str(folder / 'sub/1.png')
    assert [c['name'] for c in images.loadCats([1, 2])] == ['spot', 'other']
    assert len(list(out.parent.iterdir())) == 2


def test_ids_of_annotations(model, folder, tmp_path, monkeypatch):
    """File names may say more, or less, than the path that is given."""
    out = tmp_path / 'found.json'
    names = ['in/2.png', '10.PNG', './sub/1.png', 'another.png']
    ann = annotations(tmp_path / 'ann.json', *names)
    monkeypatch.chdir(folder)
    inputs = ['10.PNG', folder / 'sub/1.png', '../in/2.png']
    list(quiet(model, inputs, out_json=out, ann_file=ann))
    found = COCO(ann).loadRes(str(out))
    assert [
        (a['image_id'], a['category_id'], a['bbox'][0])
        for a in found.dataset['annotations']
    ] == [
        (image, category, left)
        for image, left in ((41, 20), (42, 30), (40, 10))
        for category in (8, 7)
    ]
    assert not (tmp_path / 'found.images.json').exists()


@pytest.mark.parametrize(
    'names, sentence',
    [
        (['2.png', '10.PNG'], 'ann.json has no image of .*sub/1.png'),
        (['2.png', '10.PNG', '1.png', '2.png'], 'ann.json lists an image'),
    ],
)
def test_images_that_annotations_do_not_know(
    model, folder, tmp_path, names, sentence
):
    out = tmp_path / 'out/found.json'
    ann = annotations(tmp_path / 'ann.json', *names)
    # Before anything is detected.
    with pytest.raises(ValueError, match=sentence):
        quiet(model, folder, out_json=out, ann_file=ann)
    assert not list(tmp_path.glob('out/*'))


@pytest.mark.parametrize('kind', [list, iter])
def test_images_that_annotations_do_not_know_are_skipped(
    model, folder, video, tmp_path, kind, log
):
    out = tmp_path / 'found.json'
    names = ['2.png', '1.png', 'clip/000003.jpg']
    ann = annotations(tmp_path / 'ann.json', *names)
    inputs = kind([folder, folder / '2.png', video])
    files = dict(out_json=out, ann_file=ann)
    list(quiet(model, inputs, on_error='skip', **files))
    found = COCO(ann).loadRes(str(out))
    assert sorted(found.getImgIds()) == [40, 41, 42]
    assert sum(model.batches) == 3
    assert 'no image of the file name' in log.text
    assert '2.png is not the only image with the id 40' in log.text
    assert '6 of 9 inputs were skipped' in log.text
    for arrays in ([spot(1)], iter([spot(1)])):
        with pytest.raises(ValueError, match='and an array has no file'):
            list(quiet(model, arrays, on_error='skip', **files))


def test_frames_that_annotations_do_not_know(model, video, tmp_path):
    ann = annotations(tmp_path / 'ann.json', 'clip/000000.jpg')
    out = tmp_path / 'found.json'
    results = quiet(model, video, out_json=out, ann_file=ann)
    next(results)
    with pytest.raises(
        ValueError, match=r'no image of .*clip\.avi/000001.jpg'
    ):
        next(results)


def test_two_images_of_one_id(model, folder, tmp_path):
    ann = annotations(tmp_path / 'ann.json', '2.png')
    cv2.imwrite(str(folder / 'sub/2.png'), spot(3))
    inputs = [folder / '2.png', folder / 'sub/2.png']
    with pytest.raises(ValueError, match='sub/2.png is not the only image'):
        write_results(
            quiet(model, inputs, score_thr=0.5),
            tmp_path / 'out.json',
            ['spot'],
            ann,
        )


def test_classes_that_annotations_lack(model, tmp_path):
    ann = annotations(tmp_path / 'ann.json', classes=('spot', 'star'))
    with pytest.raises(ValueError, match='but has none for other'):
        quiet(model, [], out_json=tmp_path / 'out.json', ann_file=ann)


@pytest.mark.parametrize('meta', [{}, None, dict(CLASSES=('a',))])
def test_a_model_without_class_names(model, tmp_path, meta):
    model.dataset_meta = meta
    sentence = "names of the detector's classes. Received: 0 and 0 names"
    with pytest.raises(ValueError, match=sentence):
        quiet(model, [], out_json=tmp_path / 'out.json')


def test_class_names_that_do_not_fit(model, tmp_path):
    head = SimpleNamespace(num_classes=3)
    model.detector = SimpleNamespace(roi_head=SimpleNamespace(bbox_head=head))
    with pytest.raises(ValueError, match='3 classes. Received: 2 and 0 names'):
        quiet(model, [], out_json=tmp_path / 'out.json')
    # As in a checkpoint without names, for which mmdet takes COCO's.
    model.cfg.test_dataloader.dataset.update(
        type='CocoDataset', metainfo=dict(classes=('a', 'b', 'c'))
    )
    assert class_names(model) == ('a', 'b', 'c')
    model.dataset_meta = dict(classes=('d', 'e', 'f'))
    assert class_names(model) == ('d', 'e', 'f')


@pytest.mark.parametrize('text', ['{', '[]', '{"images": []}'])
def test_a_broken_annotation_file(model, tmp_path, text):
    (tmp_path / 'ann.json').write_text(text)
    with pytest.raises(ValueError, match='ann.json must be a COCO file'):
        quiet(
            model,
            [],
            out_json=tmp_path / 'out.json',
            ann_file=tmp_path / 'ann.json',
        )


@pytest.mark.parametrize('how', ['error', 'break'])
def test_what_was_there_stays_without_the_whole(model, folder, tmp_path, how):
    out = tmp_path / 'out/found.json'
    out.parent.mkdir()
    out.write_text('before')
    inputs = [
        folder / '2.png',
        folder / ('notes.txt', '10.PNG')[how == 'break'],
    ]
    results = quiet(model, inputs, out_json=out)
    next(results)
    if how == 'break':
        results.close()
    else:
        with pytest.raises(OSError):
            next(results)
    assert out.read_text() == 'before'
    assert [p.name for p in out.parent.iterdir()] == ['found.json']


def test_labels_without_a_name(model, tmp_path):
    results = quiet(model, spot(3))
    with pytest.raises(ValueError, match='1 names, but .* with label 1'):
        write_results(results, tmp_path / 'found.json', ['spot'])


def test_nothing_found(tmp_path):
    empty = InstanceData(
        bboxes=torch.zeros(0, 4),
        scores=torch.zeros(0),
        labels=torch.zeros(0, dtype=torch.long),
    )
    sample = DetDataSample(metainfo=dict(img_path='a.png', ori_shape=(4, 6)))
    sample.pred_instances = empty
    write_results([sample], tmp_path / 'found.json', ['spot'])
    assert json.loads((tmp_path / 'found.json').read_text()) == []
    (image,) = COCO(tmp_path / 'found.images.json').loadImgs([1])
    assert (image['width'], image['height']) == (6, 4)


def test_masks(tmp_path):
    """Found masks that are the annotated ones have an AP of 1."""
    mask = np.zeros((60, 100), np.uint8)
    mask[20:36, 10:18] = 1
    sample = DetDataSample(
        metainfo=dict(img_path='a.png', ori_shape=(60, 100))
    )
    sample.pred_instances = InstanceData(
        bboxes=torch.tensor([[10.0, 20, 18, 36]]),
        scores=torch.tensor([0.5]),
        labels=torch.tensor([0]),
        masks=torch.from_numpy(mask[None] > 0),
    )
    out = tmp_path / 'found.json'
    write_results([sample], out, ['spot'])
    truth = COCO(tmp_path / 'found.images.json')
    truth.dataset['annotations'] = [
        dict(
            id=1,
            image_id=1,
            category_id=1,
            iscrowd=0,
            area=128,
            bbox=[10, 20, 8, 16],
            segmentation=[[10, 20, 18, 20, 18, 36, 10, 36]],
        )
    ]
    truth.createIndex()
    found = truth.loadRes(str(out))
    assert (found.annToMask(found.anns[1]) == mask).all()
    for kind in ('bbox', 'segm'):
        evaluation = COCOeval(truth, found, kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        assert evaluation.stats[0] == pytest.approx(1)
