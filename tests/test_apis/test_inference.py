"""Detection on folders and videos, and what is written of it."""

import json
import re
import runpy
import threading
import weakref
from pathlib import Path
from types import SimpleNamespace

import cv2
import mmcv
import numpy as np
import pytest
import torch
from mmdet.apis import inference_detector, init_detector
from mmdet.structures import DetDataSample
from mmdet.visualization import DetLocalVisualizer
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from tiny import ROOT

from sniper_mmdet.apis import CocoResults, detect, focus_maps
from sniper_mmdet.apis import inputs as reading
from sniper_mmdet.apis.inference import class_names
from sniper_mmdet.apis.inputs import find_inputs, image_name
from sniper_mmdet.utils import progress


def write_results(results, *where) -> None:
    with CocoResults(*where) as file:
        for result in results:
            file.add(result)


def config(content):
    return Config(content, cfg_text=' ', filename='spot.py')


class SpotDetector:
    """Finds the bright spot of each image; counts what it is asked."""

    dataset_meta = dict(classes=('spot', 'other'))

    def __init__(self, *load):
        init_default_scope('mmdet')
        pipeline = [
            *(load or [dict(type='LoadImageFromFile')]),
            dict(type='PackDetInputs', meta_keys=('img_id', 'img_path')),
        ]
        loader = dict(dataset=dict(pipeline=pipeline))
        self.cfg = config(dict(test_dataloader=loader))
        self.batches = []

    def test_step(self, data):
        assert not torch.is_grad_enabled()
        self.batches.append(len(data['inputs']))
        for pixels, sample in zip(*data.values(), strict=True):
            y, x = (pixels[0] > 128).nonzero().T
            box = torch.stack([x.min(), y.min(), x.max() + 1, y.max() + 1])
            sample.pred_instances = InstanceData(
                bboxes=box[None].repeat(2, 1).float(),
                scores=torch.tensor([0.9, 0.2]),
                labels=torch.tensor([0, 1]),
            )
        return data['data_samples']


def spot(left, top=20, size=(60, 100)):
    """A black image with a bright spot, 8 pixels wide, 16 high."""
    image = np.zeros((*size, 3), np.uint8)
    image[top : top + 16, left : left + 8] = 255
    return image


def box(result):
    return result.pred_instances.bboxes[0].tolist()


@pytest.fixture
def model():
    return SpotDetector()


@pytest.fixture
def folder(tmp_path):
    """Three images, in natural order with a spot at 10, 20 and 30."""
    folder = tmp_path / 'in'
    (folder / 'sub').mkdir(parents=True)
    for name, left in (('2.png', 10), ('10.PNG', 20), ('sub/1.png', 30)):
        cv2.imwrite(str(folder / name), spot(left))
    (folder / '._2.png').write_bytes(b'of a Mac')
    (folder / 'notes.txt').write_text('no image')
    return folder


@pytest.fixture
def video(tmp_path):
    """Five frames with a spot that moves 8 pixels a frame."""
    path = tmp_path / 'clip.avi'
    codec = cv2.VideoWriter_fourcc(*'MJPG')
    writer = cv2.VideoWriter(str(path), codec, 12.5, (96, 64))
    for frame in range(5):
        writer.write(spot(8 * frame, 16, (64, 96)))
    writer.release()
    return path


def quiet(*args, **kwargs):
    return detect(*args, progress=False, **kwargs)


def test_a_folder_in_natural_order(model, folder):
    results = list(quiet(model, folder))
    names = [Path(r.img_path).relative_to(folder) for r in results]
    assert list(map(str, names)) == ['2.png', '10.PNG', 'sub/1.png']
    assert [box(r) for r in results] == [
        [left, 20, left + 8, 36] for left in (10, 20, 30)
    ]
    assert all(r.ori_shape == (60, 100) for r in results)
    assert 'image' not in results[0]


@pytest.mark.parametrize('kind', [str, Path])
def test_one_path(model, folder, kind):
    (result,) = quiet(model, kind(folder / '10.PNG'))
    assert result.img_path == str(folder / '10.PNG')
    assert box(result) == [20, 20, 28, 36]


def test_arrays_and_paths_mixed(model, folder):
    images = [spot(5), str(folder / '2.png'), spot(6, size=(40, 50))]
    results = list(quiet(model, images, keep_images=True))
    assert [box(r)[0] for r in results] == [5, 10, 6]
    assert [r.img_path for r in results] == [None, images[1], None]
    assert results[2].ori_shape == (40, 50)
    assert (results[1].image == spot(10)).all()
    (alone,) = quiet(model, images[0])
    assert box(alone) == box(results[0])


def test_batches(model):
    results = list(quiet(model, [spot(i) for i in range(5)], batch_size=2))
    assert model.batches == [2, 2, 1]
    assert [box(r)[0] for r in results] == [0, 1, 2, 3, 4]


def test_scores(model):
    (result,) = quiet(model, spot(3), score_thr=0.5)
    assert result.pred_instances.labels.tolist() == [0]


def test_nothing_is_done_before_it_is_asked_for(model):
    given = []

    def endless():
        while True:
            given.append(len(given))
            yield spot(len(given))

    results = quiet(model, endless(), batch_size=2)
    assert not given
    assert box(next(results))[0] == 1
    assert torch.is_grad_enabled()
    # One batch is in use, two are made ahead.
    assert model.batches == [2] and len(given) <= 6
    threads = threading.active_count()
    results.close()
    assert threading.active_count() == threads - 1
    count = len(given)
    assert count <= 6
    with pytest.raises(StopIteration):
        next(results)


def test_nothing_is_kept(model):
    alive = weakref.WeakValueDictionary()

    def images():
        for number in range(30):
            image = alive[number] = spot(number)
            yield image

    # In use, made ahead, and the one that is being made.
    results = quiet(model, images(), batch_size=2, keep_images=True)
    for number, result in enumerate(results):
        assert box(result)[0] == number
        assert len(alive) <= 2 + 4 + 2
    assert number == 29


@pytest.mark.parametrize('batch_size', [1, 2])
def test_large_images_are_held_once(model, tmp_path, monkeypatch, batch_size):
    """A batch is read when the one before is gone, with all made of it."""
    monkeypatch.setattr(reading, 'AHEAD_PIXELS', 60 * 100 - 1)
    for number in range(6):
        cv2.imwrite(str(tmp_path / f'{number}.png'), spot(number))
    alive, find, seen = weakref.WeakSet(), reading._test_pipeline, []

    class Array(np.ndarray):  # a plain one cannot be in a set
        __hash__ = object.__hash__

    def pipeline(model):
        load, pack = find(model)

        def watched(results):
            seen.append(len(alive))
            results = load(results)
            results['img'] = results['img'].view(Array)
            alive.add(results['img'])
            return results

        def packed(results):
            results = pack(results)
            alive.add(results['inputs'])
            return results

        return watched, packed

    monkeypatch.setattr(reading, '_test_pipeline', pipeline)
    results = quiet(model, tmp_path, batch_size=batch_size)
    assert [box(result)[0] for result in results] == list(range(6))
    # Of the second of a batch, the tensor of the first.
    assert seen == {1: [0] * 6, 2: [0, 1] * 3}[batch_size]


def test_images_are_read_while_the_detector_is_at_work(model):
    second = threading.Event()

    def images():
        yield spot(1)
        second.set()
        yield spot(2)

    step = model.test_step

    def wait(data):
        assert second.wait(10)
        return step(data)

    model.test_step = wait
    assert len(list(quiet(model, images()))) == 2


def test_progress_is_shown(model, folder, capsys, monkeypatch):
    monkeypatch.setattr(progress, 'SECONDS', 0)
    list(detect(model, folder, batch_size=2))
    shown = capsys.readouterr()
    assert '2/3' in shown.err and '3/3' in shown.err and not shown.out


def test_frames_of_a_video(model, video):
    results = list(quiet(model, video, batch_size=2))
    assert [r.frame_id for r in results] == [0, 1, 2, 3, 4]
    assert [box(r) for r in results] == [
        [8 * i, 16, 8 * i + 8, 32] for i in range(5)
    ]
    assert {r.img_path for r in results} == {str(video)}
    assert {r.fps for r in results} == {12.5}


def test_videos_of_any_name_and_in_folders(model, video, tmp_path):
    (tmp_path / '.hidden').mkdir()
    (tmp_path / '.hidden/clip.avi').touch()
    # MPEG-TS, for one; it is found by what it holds.
    copy = tmp_path / 'clip.ts'
    copy.write_bytes(video.read_bytes())
    assert len(list(quiet(model, copy))) == 5
    results = list(quiet(model, tmp_path, out_json=tmp_path / 'found.json'))
    assert {r.img_path for r in results} == {str(video)}
    images = COCO(tmp_path / 'found.images.json').imgs
    assert images[5]['file_name'] == str(tmp_path / 'clip.avi/000004.jpg')


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


def test_what_is_left_out_of_a_folder_is_told(model, folder, log):
    names = [f'{k}.heic' for k in range(4)]
    for name in names:
        (folder / name).touch()
    endings = ('jfif', 'jpe', 'JPG', 'ppm', 'pgm', 'pbm', 'dib', 'ras')
    saved = dict(jfif='jpeg', jpe='jpeg', ras='png', dib='bmp')
    for ending in endings:
        image = Image.fromarray(spot(5))
        image = image.convert({'pgm': 'L', 'pbm': '1'}.get(ending, 'RGB'))
        image.save(folder / f'a.{ending}', saved.get(ending))
    results = list(quiet(model, folder))
    found = [Path(r.img_path).name for r in results]
    assert len(found) == 3 + len(endings)
    assert {f'a.{ending}' for ending in endings} < set(found)
    assert f'5 files of {folder} are left out: their endings are' in log.text
    assert '0.heic, 1.heic, 2.heic, ...' in log.text
    for path in folder.rglob('*'):
        if path.is_file() and path.suffix not in ('.heic', '.txt'):
            path.unlink()
    with pytest.raises(FileNotFoundError, match='Received: 0.heic, 1.heic'):
        quiet(model, folder)


def test_only_the_first_page_is_read_and_it_is_told(model, tmp_path, log):
    pages = [Image.fromarray(spot(k)) for k in (3, 4, 5)]
    for name in ('a.tif', 'a.webp'):
        path, more = tmp_path / name, pages[1:]
        pages[0].save(path, save_all=True, append_images=more, lossless=True)
        assert box(*quiet(model, path))[0] == 3
        assert f'{name}: only the first of its 3 images' in log.text


@pytest.mark.parametrize('name', ['a.exr', 'a', 'a.png'])
@pytest.mark.parametrize('content', [b'v/1\x01' + bytes(9), b'P5 9 9 255\n'])
def test_what_opencv_has_no_decoder_for(model, tmp_path, name, content):
    """It raises for OpenEXR, which is there but turned off."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(OSError, match=f'{name} cannot be read as an image.$'):
        list(quiet(model, tmp_path / name))


def test_images_of_any_name(model, folder):
    image = folder / 'image.ppm'
    cv2.imwrite(str(image), spot(7))
    (result,) = quiet(model, image.rename(folder / 'image'))
    assert box(result)[0] == 7 and 'frame_id' not in result


def test_a_video_beside_an_image(model, video, capsys):
    results = list(detect(model, [spot(3), video]))
    assert len(results) == 6 and 'frame_id' not in results[0]
    assert '6/6' in capsys.readouterr().err


@pytest.fixture
def log(caplog):
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)


def test_a_video_with_a_broken_frame(model, video, log):
    content = bytearray(video.read_bytes())
    starts = [m.start() for m in re.finditer(b'00dc', content)]
    content[starts[3] : starts[4]] = bytes(starts[4] - starts[3])
    video.write_bytes(content)
    assert len(list(quiet(model, video))) == 4
    assert 'clip.avi: only 4 of 5 frames could be read' in log.text


def test_a_model_that_looked_at_an_array_before(autofocus, folder):
    """mmdet's inference_detector leaves its array loader in the config."""
    model = init_detector(autofocus.config, autofocus.checkpoint, device='cpu')
    inference_detector(model, spot(3))
    assert len(list(quiet(model, folder))) == 3


def test_what_cannot_be_read_is_skipped_and_counted(model, folder, log):
    (folder / '1.jpg').write_text('no image')
    (folder / 'clip.avi').write_text('no video')
    inputs = [folder / '1.jpg', folder / 'gone.png', *find_inputs(folder)]
    results = list(quiet(model, inputs, on_error='skip', batch_size=2))
    assert len(results) == 3 and model.batches == [2, 1]
    assert log.text.count('1.jpg cannot be read as an image.') == 2
    assert 'skipped: ' in log.text and 'gone.png is neither an im' in log.text
    assert 'skipped: ' in log.text and 'clip.avi cannot be read' in log.text
    assert '4 of 7 inputs were skipped' in log.text


def test_every_image_is_broken(model, tmp_path, log):
    (tmp_path / '1.jpg').write_text('no image')
    assert list(quiet(model, tmp_path, on_error='skip')) == []
    assert '1 of 1 inputs were skipped' in log.text


@pytest.mark.parametrize(
    'name, kind',
    [
        ('broken.jpg', 'an image'),
        ('clip.avi', 'a video'),
        ('notes.txt', 'an image or a video'),
    ],
)
def test_what_cannot_be_read_is_named(model, folder, name, kind):
    (folder / name).write_text('nothing')
    results = quiet(model, [folder / '2.png', folder / name])
    next(results)
    with pytest.raises(OSError, match=f'{name} cannot be read as {kind}\\.'):
        next(results)


def test_the_bar_counts_what_is_skipped(model, folder, capsys):
    (folder / 'last.jpg').write_text('no image')
    (folder / 'last.avi').write_text('no video')
    inputs = ['gone.png', folder]
    list(detect(model, inputs, on_error='skip'))
    assert '6/6' in capsys.readouterr().err


@pytest.mark.parametrize(
    'image', [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros(0)]
)
def test_wrong_arrays(model, image):
    sentence = r'image 1 must be an array \(H, W'
    with pytest.raises(ValueError, match=sentence):
        quiet(model, [spot(1), image], on_error='skip')
    results = quiet(model, iter([spot(1), image]), on_error='skip')
    with pytest.raises(ValueError, match=sentence):
        list(results)


@pytest.mark.parametrize('given', [3, Image.new('RGB', (4, 4))])
def test_inputs_of_other_types(model, given):
    kind = f'{type(given).__name__}\\.$'
    with pytest.raises(TypeError, match=f'input must be a path .*{kind}'):
        quiet(model, given)
    with pytest.raises(TypeError, match=f'image 1 must be a path .*{kind}'):
        quiet(model, [spot(1), given], on_error='skip')


@pytest.mark.parametrize('kind', [list, iter])
def test_folders_among_several(model, folder, kind):
    results = list(quiet(model, kind([spot(1), folder, folder / '2.png'])))
    assert [box(r)[0] for r in results] == [1, 10, 20, 30, 10]


def test_a_path_of_several_that_is_not_there(model, folder):
    inputs = [folder / '2.png', 'no/such.png']
    with pytest.raises(FileNotFoundError, match='no/such.png is neither'):
        quiet(model, inputs)
    results = quiet(model, iter(inputs))
    next(results)
    with pytest.raises(FileNotFoundError, match='no/such.png is neither'):
        next(results)


@pytest.mark.parametrize(
    'given, error, sentence',
    [
        (dict(inputs='no/such'), FileNotFoundError, 'no/such is neither an'),
        (
            dict(inputs='empty'),
            FileNotFoundError,
            'no image and no video in f',
        ),
        (dict(batch_size=0), ValueError, 'batch_size must be .* Received: 0'),
        (dict(on_error='ignore'), ValueError, "on_error must be 'raise' or"),
        (dict(ann_file='a.json'), ValueError, 'out_json, which is None'),
        (dict(out_json='found.txt'), ValueError, 'a .json file. .*found.txt'),
        (
            dict(out_json='a.json', ann_file='sub/../a.json'),
            ValueError,
            'another file than that of the annotations. Received: a.json',
        ),
        (
            dict(out_json='a.json', ann_file='no/such.json'),
            FileNotFoundError,
            'no/such.json',
        ),
    ],
)
def test_wrong_settings_at_once(
    model, tmp_path, monkeypatch, given, error, sentence
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'empty').mkdir()
    with pytest.raises(error, match=sentence):
        quiet(model, **dict(dict(inputs=[]), **given))


@pytest.mark.parametrize(
    'cfg, sentence',
    [
        (None, 'one of mmdet.apis.init_detector'),
        (dict(), 'spot.py has no test_dataloader.dataset.pipeline'),
        (
            dict(test_dataloader=dict(dataset=dict(type='CocoDataset'))),
            'spot.py has no test_dataloader.dataset.pipeline',
        ),
        (
            dict(
                test_dataloader=dict(
                    dataset=dict(pipeline=[dict(type='mmdet.Resize')])
                )
            ),
            r"must begin with LoadImageFromFile. Received: \['Resize'\]",
        ),
    ],
)
def test_configs_without_a_test_pipeline(model, cfg, sentence):
    model.cfg = cfg if cfg is None else config(cfg)
    with pytest.raises(ValueError, match=sentence):
        quiet(model, [])


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


@pytest.fixture
def scenes(tiny_scenes, tmp_path):
    """Four scenes of one size, in a folder."""
    folder = tmp_path / 'scenes'
    folder.mkdir()
    for path in sorted(tiny_scenes.glob('images/*'))[:3]:
        image = cv2.imread(str(path))[:200, :200]
        cv2.imwrite(str(folder / f'{path.stem}.png'), image)
    return folder


def test_autofocus_in_batches(autofocus, scenes):
    """As mmdet's own inference_detector, one by one."""
    model = init_detector(autofocus.config, autofocus.checkpoint, device='cpu')
    looked = []
    run = model.run_detector

    def record(inputs, samples):
        looked.append(len(inputs))
        return run(inputs, samples)

    model.run_detector = record
    results = list(quiet(model, scenes, batch_size=2))
    assert max(looked) > 1
    paths = sorted(map(str, scenes.iterdir()))
    assert [r.img_path for r in results] == paths
    for path, result in zip(paths, results, strict=True):
        alone = inference_detector(model, path)
        assert len(alone.pred_instances) > 5
        for key in ('bboxes', 'scores', 'labels', 'levels'):
            torch.testing.assert_close(
                result.pred_instances[key],
                alone.pred_instances[key],
                rtol=1e-4,
                atol=1e-3,
            )
        assert len(focus_maps(result)) == 3


def test_focus_maps():
    probability = np.full((4, 6), -1, np.float32)
    probability[1:3, :] = 0.25
    sample = DetDataSample(metainfo=dict(ori_shape=(128, 192)))
    focus = dict(
        sizes=[[96, 64], [384, 256]],
        chips=[np.array([[0, 0, 96, 64]]), np.array([[96, 64, 128, 96]])],
        probabilities=[probability],
        thresholds=[0.5],
        labels=dict(stride=16),
    )
    sample.set_field(focus, 'focus')
    coarse, fine = focus_maps(sample)
    assert coarse['chips'].tolist() == [[0, 0, 192, 128]]
    assert fine['chips'].tolist() == [[48, 32, 64, 48]]
    assert coarse['cell'] == (32, 32) and coarse['threshold'] == 0.5
    assert np.isnan(coarse['probability'][0]).all()
    assert (coarse['probability'][1:3] == 0.25).all()
    assert set(fine) == {'chips'}


def test_focus_maps_of_another_detector(model):
    (result,) = quiet(model, spot(3))
    with pytest.raises(ValueError, match='no field focus'):
        focus_maps(result)


def test_the_script_in_the_readme(
    autofocus, scenes, tmp_path, monkeypatch, capsys
):
    text = (ROOT / 'README.md').read_text().split('## From a program')[1]
    script = re.search(r'```python\n(.*?)```', text, re.DOTALL)[1]
    assert len(script.splitlines()) == 5
    names = dict(
        CONFIG=autofocus.config, CHECKPOINT=autofocus.checkpoint, FOLDER=scenes
    )
    for name, value in names.items():
        assert script.count(f"'{name}'") == 1
        script = script.replace(f"'{name}'", repr(str(value)))
    script = script.replace("'cuda:0'", "'cpu'")
    (tmp_path / 'script.py').write_text(script)
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    runpy.run_path('script.py', run_name='__main__')
    shown = capsys.readouterr().out
    assert all(str(path) in shown for path in scenes.iterdir())
    images = COCO(tmp_path / 'found.images.json')
    assert len(images.loadRes('found.json').anns) > 15


def test_image_demo_skips_what_cannot_be_read(
    autofocus, folder, demo, log, capsys
):
    for name in ('1.jpg', '3.avi'):
        (folder / name).write_text('nothing')
    model = autofocus.config, autofocus.checkpoint
    with pytest.raises(SystemExit, match='1.jpg cannot be read as an image'):
        demo('in', *model)
    demo('in', *model, '--on-error', 'skip', '--batch-size', '2')
    assert '3 images: drawn in out/vis' in capsys.readouterr().out
    assert '2 of 5 inputs were skipped' in log.text
    demo('in/1.jpg', *model, '--on-error', 'skip')
    assert json.loads(Path('out/predictions.json').read_text()) == []
    with pytest.raises(SystemExit, match='batch_size must be positive'):
        demo('in', *model, '--batch-size', '0')


def test_image_demo_writes_no_result_over_another(folder, demo, capsys):
    for name in ('out/predictions.json', './in/../out/predictions.json'):
        with pytest.raises(SystemExit):
            demo('in', 'config.py', 'no/such.pth', '--out-json', name)
        error = capsys.readouterr().err
        assert f'than predictions.json of --out-dir. Received: {name}' in error


def test_image_demo_with_a_config_of_mmdet(folder, demo):
    config = 'mmdet::retinanet/retinanet_r18_fpn_1x_coco.py'
    with pytest.raises(SystemExit, match='image_demo: no/such.pth does not'):
        demo('in', config, 'no/such.pth')
    with pytest.raises(SystemExit, match='no-such.py.* does not exist'):
        demo('in', 'mmdet::retinanet/no-such.py', 'no/such.pth')


def test_image_demo_names_weights_that_do_not_fit(autofocus, folder, demo):
    checkpoint = torch.load(autofocus.checkpoint, weights_only=False)
    name, weight = next(
        (k, v)
        for k, v in checkpoint['state_dict'].items()
        if 'fc_cls.weight' in k
    )
    checkpoint['state_dict'][name] = weight[:-1]
    torch.save(checkpoint, 'other.pth')
    with pytest.raises(SystemExit, match=f'other.pth is of another .*{name}'):
        demo('in', autofocus.config, 'other.pth')


def test_image_demo_on_a_video(autofocus, video, demo, capsys):
    options = '--show-focus --out-json out/found.json'.split()
    demo('clip.avi', autofocus.config, autofocus.checkpoint, *options)
    assert '5 images: drawn in out/vis' in capsys.readouterr().out
    names = [f'clip.avi/{i:06d}.jpg' for i in range(5)]
    predictions = json.loads(Path('out/predictions.json').read_text())
    assert [p['file'] for p in predictions] == names
    for name in names:
        assert cv2.imread(f'out/vis/{name}').shape == (64, 96, 3)
        assert Path(f'out/focus/{name}').exists()
    images = COCO('out/found.images.json')
    assert [i['file_name'] for i in images.imgs.values()] == names
    found = images.loadRes('out/found.json')
    assert len(found.anns) == sum(len(p['scores']) for p in predictions)


@pytest.mark.parametrize('name', ['a', 'a.jfif', 'a.pgm', 'ä ö.ppm', 'b.png'])
def test_image_demo_on_names_that_are_no_pictures(
    autofocus, demo, tmp_path, name
):
    kind = dict(jfif='jpeg', pgm='ppm').get(name.split('.')[-1], 'png')
    image = Image.fromarray(spot(5)).convert('L' if 'pgm' in name else 'RGB')
    image.save(tmp_path / name, kind)
    options = '--show-focus --max-pixels 1500'.split()
    demo(name, autofocus.config, autofocus.checkpoint, *options)
    (entry,) = json.loads(Path('out/predictions.json').read_text())
    assert entry['file'] == name
    drawn = name if name == 'b.png' else f'{name}.jpg'
    # 60x100 px are more than may be drawn.
    assert mmcv.imread(f'out/vis/{drawn}').shape == (30, 50, 3)
    assert mmcv.imread(f'out/focus/{drawn}').shape[0] > 60


def test_image_demo_keeps_results_whatever_a_drawing_does(
    autofocus, folder, demo, monkeypatch, log
):
    def fail(*args, **kwargs):
        raise RuntimeError('no font')

    monkeypatch.setattr(DetLocalVisualizer, 'add_datasample', fail)
    options = '--show-focus --out-json out/found.json'.split()
    demo('in', autofocus.config, autofocus.checkpoint, *options)
    assert len(json.loads(Path('out/predictions.json').read_text())) == 3
    assert len(COCO('out/found.images.json').imgs) == 3
    assert log.text.count('could not be drawn: RuntimeError: no font') == 3
    assert len(list(Path('out/focus').rglob('*.[pP]*'))) == 3


def test_image_demo_of_many_classes(small, folder, demo):
    """A label above the 80 colours of COCO."""
    many = small(
        'sniper/faster-rcnn_r18-slim_fpn_sniper_2e_sample',
        [f'c{k}' for k in range(365)],
        **{'roi_head.bbox_head.num_classes': 365},
    )
    demo('in/2.png', many.config, many.checkpoint, '--score-thr', '0')
    (entry,) = json.loads(Path('out/predictions.json').read_text())
    assert max(entry['labels']) >= 80
    assert (cv2.imread('out/vis/2.png') != cv2.imread('in/2.png')).any()
