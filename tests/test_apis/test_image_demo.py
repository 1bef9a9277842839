"""The tool image_demo on folders, videos and odd names."""

import json
from pathlib import Path

import cv2
import mmcv
import pytest
import torch
from mmdet.visualization import DetLocalVisualizer
from PIL import Image
from pycocotools.coco import COCO
from spots import spot


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
