"""Detection on folders and videos."""

import re
import runpy
import threading
import weakref
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmdet.apis import inference_detector, init_detector
from mmdet.structures import DetDataSample
from PIL import Image
from pixel_rasters import bands_of, write_raster
from pycocotools.coco import COCO
from spots import box, config, quiet, spot
from tiny import ROOT

from sniper_mmdet.apis import detect, focus_maps
from sniper_mmdet.apis import inputs as reading
from sniper_mmdet.apis.inputs import find_inputs
from sniper_mmdet.utils import progress


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

    def pipeline(*args):
        load, pack = find(*args)

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
        (dict(score_thr=30), ValueError, r'score_thr must be in \[0, 1\]'),
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


@pytest.fixture
def rasters(tmp_path):
    """A tiled scene with overviews, one with a broken tile, and a VRT."""
    rasterio = pytest.importorskip('rasterio')
    from rasterio.shutil import copy

    folder = tmp_path / 'in'
    folder.mkdir()
    image = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    for name in ('a', 'b'):
        write_raster(folder / f'{name}.tif', bands_of(image), (2,))
    content = bytearray((folder / 'b.tif').read_bytes())
    with rasterio.open(folder / 'b.tif') as file:
        offset = int(file.get_tag_item('BLOCK_OFFSET_1_1', 'TIFF', 1))
    content[offset : offset + 64] = bytes(64)
    (folder / 'b.tif').write_bytes(content)
    with rasterio.open(folder / 'a.tif') as file:
        copy(file, folder / 'c.vrt', driver='VRT')
    return folder


def test_a_broken_tile_is_black_and_the_others_are_looked_at(
    autofocus, rasters, log
):
    model = init_detector(autofocus.config, autofocus.checkpoint, device='cpu')
    with pytest.raises(OSError, match='b.tif cannot be read'):
        list(quiet(model, rasters))
    results = list(quiet(model, rasters, on_error='skip'))
    names = [Path(result.img_path).name for result in results]
    assert names == ['a.tif', 'b.tif', 'c.vrt']
    a, b, c = (result.pred_instances for result in results)
    assert torch.equal(a.bboxes, c.bboxes) and len(b)
    assert 'b.tif' in log.text
    # Overviews are no images.
    assert 'only the first of its' not in log.text
