"""Copies of pictures in which what is detected is hidden."""

import csv
import io
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from PIL import Image, ImageCms

from sniper_mmdet.apis import hide_objects, write_list
from sniper_mmdet.images import WAYS, ImageError, turn, turn_boxes
from sniper_mmdet.images.orientation import turn_boxes_back
from sniper_mmdet.utils.errors import UserError

#: A face as it is looked at: 24 px wide, black and white above, grey below.
SIDE, LEFT, TOP = 24, 31, 17
CHECKS = np.indices((SIDE // 2, SIDE)).sum(0) % 2
FACE = np.concatenate([CHECKS * 255, np.full(CHECKS.shape, 90)]).astype(
    'uint8'
)
BOX = [LEFT, TOP, LEFT + SIDE, TOP + SIDE]


class FaceDetector:
    """Finds upright faces only: wide and white, with grey below."""

    dataset_meta = dict(classes=('face', 'other'))

    def __init__(self):
        init_default_scope('mmdet')
        keys = ('img_id', 'img_path', 'ori_shape')
        pipeline = [
            dict(type='LoadImageFromFile'),
            dict(type='PackDetInputs', meta_keys=keys),
        ]
        loader = dict(dataset=dict(pipeline=pipeline))
        content = dict(test_dataloader=loader)
        self.cfg = Config(content, cfg_text=' ', filename='face.py')
        self.seen = 0

    def test_step(self, data):
        for pixels, sample in zip(*data.values(), strict=True):
            self.seen += 1
            y, x = (pixels.float().mean(0) > 200).nonzero().T
            boxes = torch.zeros(0, 4)
            if len(x) and x.max() - x.min() > y.max() - y.min():
                x1, y1, x2 = x.min(), y.min(), x.max() + 1
                y2 = y1 + x2 - x1
                below = pixels[:, int(y2) - 5 : int(y2) - 2, int(x1) + 9]
                if 60 < below.float().mean() < 130:
                    boxes = torch.stack([x1, y1, x2, y2])[None].float()
            count = len(boxes)
            sample.pred_instances = InstanceData(
                bboxes=boxes,
                scores=torch.full((count,), 0.9),
                labels=torch.zeros(count, dtype=torch.long),
            )
        return data['data_samples']


@pytest.fixture
def model():
    return FaceDetector()


def grey(size=(101, 67), left=LEFT):
    image = np.full(size[::-1], 20, np.uint8)
    image[TOP : TOP + SIDE, left : left + SIDE] = FACE
    return image


def stored(image, orientation):
    """How a camera would store what is looked at so."""
    inverse = {6: 8, 8: 6}.get(orientation, orientation)
    return np.ascontiguousarray(turn(image, inverse))


def checks_in(path, orientation=1, left=LEFT) -> float:
    """How much of the face's pattern is left, 0 to about 127."""
    with Image.open(path) as image:
        if image.mode[0] in 'IF':
            pixels = np.asarray(image).astype(float)
            pixels *= 255 / max(pixels.max(), 1)
        else:
            pixels = np.asarray(image.convert('RGB').convert('L'), float)
    part = turn(pixels, orientation)[TOP : TOP + SIDE // 2, left : left + SIDE]
    signs = 2.0 * CHECKS - 1
    return abs((part * signs).mean())


def as_mode(image, mode):
    """A grey array as an image of a kind of pixels."""
    if mode == 'I;16':
        return Image.fromarray(image.astype(np.uint16) * 257)
    if mode == '12 bits':
        return Image.fromarray(image.astype(np.uint16) * 16)
    if mode == '1':  # what a scanner sees: no grey, here one white pixel
        image = image > 128
        image[TOP + SIDE - 4, LEFT + 9] = True
        return Image.fromarray(image)
    if mode == 'F':
        return Image.fromarray(image.astype(np.float32) / 300)
    made = Image.fromarray(image)
    if mode in ('LA', 'RGBA'):
        made = made.convert(mode)
        made.putalpha(128)
        return made
    if mode == 'shape in alpha':
        made = Image.new('RGBA', made.size, (255, 255, 255, 0))
        black = Image.fromarray(255 - image)
        made = Image.new('RGBA', made.size, 'black')
        made.putalpha(black)
        return made
    if mode == 'LAB':
        srgb, lab = map(ImageCms.createProfile, ('sRGB', 'LAB'))
        return ImageCms.profileToProfile(
            made.convert('RGB'), srgb, lab, outputMode='LAB'
        )
    return made.convert(mode)


@pytest.mark.parametrize(
    'mode, ending',
    [
        ('1', 'png'),
        ('L', 'png'),
        ('L', 'jpg'),
        ('LA', 'png'),
        ('P', 'png'),
        ('P', 'gif'),
        ('RGB', 'jpg'),
        ('RGB', 'png'),
        ('RGB', 'bmp'),
        ('RGB', 'tif'),
        ('RGB', 'webp'),
        ('RGB', 'ppm'),
        ('RGBA', 'png'),
        ('RGBA', 'tif'),
        ('shape in alpha', 'png'),
        ('CMYK', 'jpg'),
        ('CMYK', 'tif'),
        ('I;16', 'png'),
        ('I;16', 'tif'),
        ('12 bits', 'png'),
        ('F', 'tif'),
        ('YCbCr', 'jpg'),
    ],
)
def test_kinds_of_pixels(model, tmp_path, mode, ending):
    path = tmp_path / f'in/a.{ending}'
    path.parent.mkdir()
    as_mode(grey(), mode).save(
        path, **({'quality': 95} if ending == 'jpg' else {})
    )
    (result,) = hide_objects(model, path, tmp_path / 'out', margin=0)
    out = tmp_path / f'out/a.{ending}'
    assert result['file'] == str(path) and result['out'] == str(out)
    assert result['objects'], 'the face was not found'
    np.testing.assert_allclose(result['objects'][0]['box'], BOX, atol=2)
    with Image.open(path) as before, Image.open(out) as after:
        assert before.format == after.format and before.size == after.size
        same = before.mode if before.mode != 'P' or ending == 'gif' else 'RGB'
        assert after.mode == same
        if mode == 'shape in alpha':
            before, after = (
                image.getchannel('A') for image in (before, after)
            )
            before.save(path)
            after.save(out)
    if mode == 'LA' or mode == 'RGBA':
        Image.open(out).convert('RGB').save(out)
    assert checks_in(path) > 70
    assert checks_in(out) < 12


def test_a_pixel_that_is_much_too_bright(model, tmp_path):
    pixels = np.asarray(as_mode(grey(), '12 bits')).copy()
    pixels[TOP, LEFT + 1] = 65535
    Image.fromarray(pixels).save(tmp_path / 'a.png')
    (result,) = hide_objects(model, tmp_path / 'a.png', tmp_path / 'out')
    assert [one['box'] for one in result['objects']] == [BOX]


@pytest.mark.parametrize('way', WAYS)
@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('ending', ['jpg', 'png', 'tif', 'webp'])
def test_orientations(model, tmp_path, orientation, ending, way):
    if ending != 'jpg' and way != 'blur':
        return
    path, out = tmp_path / f'a.{ending}', tmp_path / 'out'
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(stored(grey(), orientation)).convert('RGB')
    image.save(path, exif=exif, **({} if ending == 'tif' else {'quality': 95}))
    (result,) = hide_objects(model, path, out, way=way, margin=0.05)
    assert len(result['objects']) == 1
    np.testing.assert_allclose(result['objects'][0]['box'], BOX, atol=1)
    with Image.open(result['out']) as after:
        after.load()
        # Pillow turns TIFFs as it loads them.
        orientation = orientation if ending != 'tif' else 1
        assert after.getexif().get(0x0112, 1) == orientation
        assert turn(np.asarray(after), orientation).shape[:2] == (67, 101)
    assert checks_in(path, orientation) > 70
    assert checks_in(result['out'], orientation) < 10


def test_an_orientation_that_is_wrong(model, tmp_path):
    """The pixels were turned once, and the tag stayed."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(grey()).save(tmp_path / 'a.jpg', exif=exif, quality=95)
    (result,) = hide_objects(model, tmp_path / 'a.jpg', tmp_path / 'out')
    assert len(result['objects']) == 1 and checks_in(result['out']) < 10


@pytest.mark.parametrize('orientation', range(1, 9))
def test_boxes_are_turned_as_images(orientation):
    image = np.zeros((7, 11), int)
    image[2:5, 3:9] = 1
    boxes = np.array([[3.0, 2, 9, 5]])
    seen = turn(image, orientation)
    ((x1, y1, x2, y2),) = turn_boxes(boxes, orientation, (11, 7)).astype(int)
    assert seen[y1:y2, x1:x2].all() and seen.sum() == (y2 - y1) * (x2 - x1)
    found = turn_boxes(boxes, orientation, (11, 7))
    back = turn_boxes_back(found, orientation, (11, 7))
    assert back.tolist() == boxes.tolist()


def test_what_a_photograph_keeps(model, tmp_path):
    profile = ImageCms.ImageCmsProfile(
        ImageCms.createProfile('sRGB')
    ).tobytes()
    image = Image.fromarray(grey()).convert('RGB')
    thumbnail = io.BytesIO()
    image.resize((50, 33)).save(thumbnail, 'JPEG')
    exif = Image.Exif()
    exif[0x010F], exif[0x0132] = 'Maker', '2020:01:02 03:04:05'
    exif[0x8769] = {0x9003: '2019:01:02 03:04:05', 0x927C: b'secret note'}
    exif[0x8825] = {1: 'N', 2: (48.0, 8.0, 1.0)}
    content = exif.tobytes()
    # What a camera writes: a second directory, that of a small picture.
    first = int.from_bytes(
        content[10:14], 'little' if content[6:8] == b'II' else 'big'
    )
    order = 'little' if content[6:8] == b'II' else 'big'
    count = int.from_bytes(content[6 + first : 8 + first], order)
    link = 6 + first + 2 + 12 * count
    start = len(content) - 6
    picture = thumbnail.getvalue()

    def number(value, size):
        return value.to_bytes(size, order)

    entries = [
        number(tag, 2) + number(4, 2) + number(1, 4) + number(value, 4)
        for tag, value in ((0x0201, start + 30), (0x0202, len(picture)))
    ]
    directory = number(2, 2) + b''.join(entries) + bytes(4)
    content = content[:link] + number(start, 4) + content[link + 4 :]
    content += directory + picture
    path = tmp_path / 'a.jpg'
    image.save(
        path,
        exif=content,
        icc_profile=profile,
        dpi=(300, 300),
        quality=93,
        subsampling=0,
        progressive=True,
    )
    assert picture in path.read_bytes()
    (result,) = hide_objects(model, path, tmp_path / 'out')
    with Image.open(path) as before, Image.open(result['out']) as after:
        assert after.info['icc_profile'] == profile
        assert after.info['dpi'] == before.info['dpi']
        assert after.quantization == before.quantization
        assert after.info['progressive']
        kept = after.getexif()
        assert (kept[0x010F], kept[0x0132]) == ('Maker', '2020:01:02 03:04:05')
        assert kept.get_ifd(0x8769) == {0x9003: '2019:01:02 03:04:05'}
        assert kept.get_ifd(0x8825)[1] == 'N'
        # Away from the face nothing has changed but by JPEG itself.
        same = np.asarray(before, int)[50:] - np.asarray(after, int)[50:]
    assert np.abs(same).max() < 3
    written = (tmp_path / 'out/a.jpg').read_bytes()
    assert picture not in written and b'secret note' not in written
    assert written.count(b'\xff\xd8\xff') == 1


@pytest.mark.parametrize('shape', [(1, 1), (2, 90), (67, 101), (5, 5), (9, 7)])
@pytest.mark.parametrize('kind', ['uint8', 'uint16', 'int32', 'float32'])
@pytest.mark.parametrize('channels', [(), (3,), (4,)])
@pytest.mark.parametrize('way', WAYS)
def test_nothing_stays_sharp(shape, kind, channels, way):
    from sniper_mmdet.images import hide

    noise = np.random.default_rng(0).uniform(0, 250, (*shape, *channels))
    image = noise.astype(kind)
    before = image.copy()
    hide(image, np.array([[-5.0, -5, 500, 500]]), way)
    assert image.dtype == kind and image.shape == before.shape
    values = {tuple(np.ravel(v)) for v in image.reshape(-1, *channels)}
    if way == 'box':
        assert len(values) == 1
    elif way == 'pixelate':
        assert len(values) <= 36 and len(values) <= max(
            np.prod(np.array(shape) // 4), max(shape) // 4, 1
        )
    spread = before.astype(float).std() + 1e-9
    if min(shape) > 8:
        assert image.astype(float).std() < 0.7 * spread or way == 'box'


def test_every_pixel_that_a_box_touches_is_hidden():
    from sniper_mmdet.images import hide
    from sniper_mmdet.images.hiding import regions

    image = np.full((20, 20), 9, np.uint8)
    hide(image, np.array([[4.9, 5.1, 6.1, 6.9], [np.nan, 0, 9, 9]]), 'box')
    assert np.argwhere(image == 0).tolist() == [
        [y, x] for y in (5, 6) for x in (4, 5, 6)
    ]
    wide = regions(
        [[10, 10, 20, 14], [30, 3, 40, 9], [3, 3, 3, 3]], (25, 20), 0.2
    )
    assert wide.tolist() == [[8, 8, 22, 16]]


def test_a_folder(model, tmp_path):
    source, out = tmp_path / 'in', tmp_path / 'out'
    (source / 'b').mkdir(parents=True)
    for name in ('a.png', 'b/a.png'):
        Image.fromarray(grey()).save(source / name)
    Image.fromarray(np.full((9, 9), 30, np.uint8)).save(source / 'none.png')
    (source / 'c.ras').write_bytes(b'')
    with pytest.raises(ImageError, match='c.ras cannot be read as an image'):
        list(hide_objects(model, source, out))
    results = list(hide_objects(model, source, out, on_error='skip'))
    assert [
        (r['out'][len(str(out)) + 1 :], len(r['objects'])) for r in results
    ] == [('a.png', 1), ('b/a.png', 1), ('none.png', 0)]
    assert not (out / 'c.ras').exists()
    write_list(tmp_path / 'l/list.csv', results)
    rows = list(csv.reader((tmp_path / 'l/list.csv').open()))
    assert rows[0] == 'file out frame class score x1 y1 x2 y2'.split()
    assert [row[3:] for row in rows[1:]] == [
        ['face', '0.9', *map(str, map(float, BOX))]
    ] * 2
    write_list(tmp_path / 'list.json', results)
    assert json.loads((tmp_path / 'list.json').read_text()) == results


def test_no_input_is_written_over(model, tmp_path):
    source = tmp_path / 'in'
    source.mkdir()
    Image.fromarray(grey()).save(source / 'a.png')
    before = (source / 'a.png').read_bytes()
    (tmp_path / 'link').symlink_to(source)
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other/a.png').symlink_to(source / 'a.png')
    for out in (
        source,
        source / '../in',
        tmp_path / 'link',
        tmp_path / 'other',
    ):
        with pytest.raises(UserError, match='inputs are never overwritten'):
            hide_objects(model, source, out)
        with pytest.raises(UserError, match='inputs are never overwritten'):
            hide_objects(model, source / 'a.png', out)
    (tmp_path / 'hard').mkdir()
    (tmp_path / 'hard/a.png').hardlink_to(source / 'a.png')
    list(hide_objects(model, source, tmp_path / 'hard'))
    assert (source / 'a.png').read_bytes() == before
    assert (tmp_path / 'hard/a.png').read_bytes() != before


def test_what_is_hidden_can_be_chosen(model, tmp_path):
    path = tmp_path / 'a.png'
    Image.fromarray(grey()).save(path)

    def count(**settings):
        found = list(hide_objects(model, path, tmp_path / 'out', **settings))
        return len(found[0]['objects'])

    assert count() == count(classes=['face']) == count(score_thr=0.9) == 1
    assert count(classes=['other']) == count(score_thr=0.91) == 0
    with pytest.raises(UserError, match='detector: face, other.*: .dog'):
        count(classes=['face', 'dog'])
    with pytest.raises(ValueError, match="way must be 'blur' or"):
        count(way='none')
    for margin in (-1, float('nan'), float('inf')):
        with pytest.raises(UserError, match='must be numbers of at least 0'):
            count(margin=margin)
    for score_thr in (30, float('nan')):
        with pytest.raises(ValueError, match=r'score_thr must be in \[0, 1\]'):
            count(score_thr=score_thr)
    with pytest.raises(FileNotFoundError):
        hide_objects(model, tmp_path / 'none', tmp_path / 'out')


def test_several_pictures_in_one(model, tmp_path):
    first, second = Image.fromarray(grey()), Image.fromarray(grey(left=60))
    path = tmp_path / 'a.tif'
    first.save(path, save_all=True, append_images=[second])
    (result,) = hide_objects(model, path, tmp_path / 'out')
    with Image.open(result['out']) as after:
        assert getattr(after, 'n_frames', 1) == 1


@pytest.mark.parametrize(
    'ending, size', [('avi', (101, 67)), ('mp4', (102, 68))]
)
def test_a_video(model, tmp_path, ending, size):
    path = tmp_path / f'a.{ending}'
    codec = cv2.VideoWriter_fourcc(*('MJPG' if ending == 'avi' else 'mp4v'))
    writer = cv2.VideoWriter(str(path), codec, 12.0, size)
    assert writer.isOpened()
    # The face is seen in frame 4 only, and half as bright before and after.
    for number in range(9):
        image = grey(size) if number == 4 else grey(size) // 2 + 20
        writer.write(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR))
    writer.release()
    results = list(hide_objects(model, path, tmp_path / 'out', hold=2))
    assert [result['frame'] for result in results] == [4]
    assert {result['out'] for result in results} == {
        str(tmp_path / 'out' / path.name)
    }
    video = cv2.VideoCapture(str(tmp_path / 'out' / path.name))
    left = []
    for _ in range(9):
        cv2.imwrite(str(tmp_path / 'frame.png'), video.read()[1])
        left.append(checks_in(tmp_path / 'frame.png'))
    assert video.read()[1] is None and video.get(cv2.CAP_PROP_FPS) == 12
    assert max(left[2:7]) < 10 and min(left[:2] + left[7:]) > 25


def test_a_video_that_is_broken(model, tmp_path):
    (tmp_path / 'a.mp4').write_bytes(b'nothing')
    out = tmp_path / 'out'
    with pytest.raises(ImageError, match='a.mp4 cannot be read as a video'):
        list(hide_objects(model, tmp_path / 'a.mp4', out))
    assert not list(
        hide_objects(model, tmp_path / 'a.mp4', out, on_error='skip')
    )
    assert not list(out.iterdir())


def test_the_tool(small, demo, tmp_path, capsys, monkeypatch):
    spot = small('sniper/faster-rcnn_r18-slim_fpn_sniper_2e_sample')
    Image.fromarray(grey()).save(tmp_path / 'a.png')
    args = 'a.png', spot.config, spot.checkpoint
    demo(*args, '--score-thr', '0', '--list', 'l.csv', tool='blur_faces')
    rows = list(csv.DictReader((tmp_path / 'l.csv').open()))
    assert rows and {row['file'] for row in rows} == {'a.png'}
    count = f'{len(rows)} objects are hidden in the copies in out'
    assert count in capsys.readouterr().out
    shutil.copy('a.png', 'b.png')
    with pytest.raises(
        SystemExit, match='must be those of the detector: disc'
    ):
        demo(*args, '--classes', 'face', tool='blur_faces')
    # Nothing was hidden: a list of an earlier run would be lost.
    assert not Path('out/hidden.json').exists()
    with pytest.raises(SystemExit):
        demo(*args, '--list', 'l.txt', tool='blur_faces')
    assert '--list must be .json or .csv' in capsys.readouterr().err
    for option, value in (('--margin', 'nan'), ('--score-thr', '30')):
        with pytest.raises(SystemExit):
            demo(*args, option, value, tool='blur_faces')
        assert f'{option} must be ' in capsys.readouterr().err
    # What is hidden before an error is listed.
    (tmp_path / 'in').mkdir()
    shutil.copy('a.png', 'in/a.png')
    Path('in/b.png').write_bytes(b'nothing')
    args = 'in', *args[1:]
    with pytest.raises(SystemExit, match='b.png cannot be read'):
        demo(*args, '--score-thr', '0', tool='blur_faces')
    hidden = json.loads(Path('out/hidden.json').read_text())
    assert [one['file'] for one in hidden] == ['in/a.png']
