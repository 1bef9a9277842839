"""Proposal files, whole and damaged, and the chips that they ask for."""

import os
import pickle

import numpy as np
import pytest
import torch
from chip_data import chip_dataset, coco_config, read, write
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sniper_mmdet.datasets import (
    ProposalFile,
    image_id,
    image_keys,
    write_proposals,
)
from sniper_mmdet.datasets.proposals import join_proposals
from sniper_mmdet.utils.errors import UserError

KEYS = ['7 a.jpg', '3 ä ö.png', 'c.jpg']
SIZES = np.array([(640, 480), (0, 0), (99, 1)])
ABOUT = dict(detector='x.pth', nms=0.7, parts=[1, 2])


def random_boxes(counts, seed=0):
    rng = np.random.default_rng(seed)
    boxes = [rng.uniform(0, 900, (n, 4)).astype(np.float32) for n in counts]
    scores = [rng.uniform(0, 1, n).astype(np.float32) for n in counts]
    return boxes, scores


def arrays_of(counts=(3, 0, 2), **changes):
    """What numpy.load reads from a file of three images."""
    boxes, scores = random_boxes(counts)
    return {
        'boxes': np.concatenate(boxes),
        'scores': np.concatenate(scores),
        'offsets': np.array([0, 3, 3, 5]),
        'keys': np.array([k.encode() for k in KEYS]),
        'sizes': SIZES,
        'about': np.array(b'{}'),
        **changes,
    }


def check(file, keys, boxes, scores):
    found = file.select(keys)
    assert file.keys == list(keys) and len(file) == len(keys)
    for i in range(len(keys)):
        span = found.span(i)
        assert (found.boxes[span] == boxes[i]).all()
        assert (found.scores[span] == scores[i]).all()
        assert span.stop - span.start == len(boxes[i])
    assert found.boxes.dtype == found.scores.dtype == np.float32


@pytest.fixture(scope='module')
def small(tmp_path_factory):
    """A file of three images, the second without proposals."""
    path = tmp_path_factory.mktemp('small') / 'small.npz'
    write_proposals(path, KEYS, SIZES, *random_boxes([300, 0, 100]), ABOUT)
    return path


@given(
    counts=st.lists(st.integers(0, 30), max_size=5),
    names=st.lists(
        st.text(st.characters(exclude_categories=['C']), min_size=1),
        min_size=5,
        max_size=5,
        unique=True,
    ),
)
@settings(max_examples=40, deadline=None)
def test_what_is_written_is_read(tmp_path_factory, counts, names):
    folder = tmp_path_factory.mktemp('round')
    path, keys = folder / 'new/a.npz', names[: len(counts)]
    boxes, scores = random_boxes(counts)
    sizes = np.arange(2 * len(counts)).reshape(-1, 2)
    write_proposals(path, keys, sizes, boxes, scores, ABOUT)
    file = ProposalFile(str(path))
    check(file, keys, boxes, scores)
    assert (file.sizes == sizes).all() and file.about == ABOUT
    assert os.listdir(folder / 'new') == ['a.npz']
    assert file.select(keys).source == str(path)


def test_arrays_are_mapped_and_numpy_reads_them(small):
    file = ProposalFile(small)
    with np.load(small) as loaded:
        for name in ('boxes', 'scores', 'offsets', 'sizes'):
            assert (loaded[name] == getattr(file, name)).all()
    for array in (file.boxes, file.scores):
        assert isinstance(array.base, np.memmap)
        assert not array.flags.writeable
        with pytest.raises(ValueError):
            array[:] = 0


def test_a_pickled_file_is_mapped_anew(tmp_path):
    path = tmp_path / 'a.npz'
    boxes, scores = random_boxes([5000, 1])
    write_proposals(path, KEYS[:2], SIZES[:2], boxes, scores, {})
    data = pickle.dumps(ProposalFile(path))
    assert len(data) < 500
    file = pickle.loads(data)
    check(file, KEYS[:2], boxes, scores)
    assert isinstance(file.boxes.base, np.memmap)


@given(
    counts=st.lists(
        st.lists(st.integers(0, 4), max_size=3), min_size=1, max_size=4
    )
)
@settings(max_examples=40, deadline=None)
def test_parts_joined_are_the_file_written_at_once(tmp_path_factory, counts):
    folder = tmp_path_factory.mktemp('join')
    flat = sum(counts, [])
    keys = [f'{i} name.jpg' for i in range(len(flat))]
    sizes = np.arange(2 * len(flat)).reshape(-1, 2)
    boxes, scores = random_boxes(flat)
    write_proposals(folder / 'whole', keys, sizes, boxes, scores, ABOUT)
    parts, start = [], 0
    for part in counts:
        span = slice(start, start + len(part))
        parts.append(folder / f'part{start}{len(parts)}')
        rows = keys[span], sizes[span], boxes[span], scores[span]
        write_proposals(parts[-1], *rows, {})
        start += len(part)
    join_proposals(folder / 'joined', parts, ABOUT)
    joined, whole = (folder / name for name in ('joined', 'whole'))
    assert joined.read_bytes() == whole.read_bytes()
    assert len(os.listdir(folder)) == len(parts) + 2


def test_selection(small):
    file = ProposalFile(small)
    boxes, scores = random_boxes([300, 0, 100])
    keys = [KEYS[2], KEYS[0], KEYS[2]]
    found = file.select(keys)
    assert found.entries.tolist() == [2, 0, 2]
    assert (found.boxes[found.span(0)] == boxes[2]).all()
    assert (found.scores[found.span(1)] == scores[0]).all()
    with pytest.raises(ValueError, match="for 1 of the 2 .* is '9 a.jpg'"):
        file.select(['3 ä ö.png', '9 a.jpg'])
    found = file.select(['9 a.jpg', KEYS[0]], missing='skip')
    assert found.entries.tolist() == [-1, 0]
    assert found.span(0) == slice(0, 0)
    assert len(file.select([]).entries) == 0
    for missing in ('raise', 'skip'):
        with pytest.raises(ValueError, match="small.npz .* none of .*'a.jpg'"):
            file.select(['a.jpg', 'b.jpg'], missing=missing)


def test_sizes_of_the_images_must_be_those_of_the_file(small):
    file = ProposalFile(small)
    keys = [KEYS[2], KEYS[1], KEYS[0], 'new']
    sizes = np.array([(99, 1), (7, 7), (640, 480), (5, 5)])
    file.select(keys, sizes, 'skip')
    file.select(keys, sizes * (1, 0), 'skip')
    for size in ((480, 640), (640, 481)):
        sizes[2] = size
        sentence = rf"'7 a.jpg' is \[640, 480\] pixels there, and \[{size[0]}"
        with pytest.raises(ValueError, match=sentence):
            file.select(keys, sizes, 'skip')


def test_images_need_names_of_their_own(tmp_path):
    boxes, scores = random_boxes([1, 1, 1])
    keys = ['a', 'b', 'a']
    with pytest.raises(ValueError, match="have the key 'a'"):
        write_proposals(tmp_path / 'a', keys, SIZES, boxes, scores, {})
    assert os.listdir(tmp_path) == []


def test_names_of_images():
    infos = [
        dict(img_path='/x/a/y.jpg', img_id=0),
        dict(img_path='/x/a/y.jpg'),
        dict(img_path='/x/a/c/y.jpg', img_id=2),
        dict(img_path='/x/b/c/y.jpg', img_id=2),
        dict(img_path='/x//a/c/y.jpg', img_id=2),  # the third again
        dict(img_path='/x/b/c/y.jpg', img_id=3),
    ]
    assert image_keys([image_id(info) for info in infos]) == [
        '0 y.jpg',
        'y.jpg',
        '2 a/c/y.jpg',
        '2 b/c/y.jpg',
        '2 a/c/y.jpg',
        '3 y.jpg',
    ]
    assert image_keys([]) == []
    with pytest.raises(ValueError, match=r"images: .*'1', 'a'.*'', '1 a'"):
        image_keys([('1', 'a'), ('', '1 a'), ('2', 'a')])


@pytest.mark.parametrize('broken', ['os.replace', 'os.fsync', 'numpy.savez'])
def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch, broken):
    old, new = tmp_path / 'old.npz', tmp_path / 'new.npz'
    boxes, scores = random_boxes([3, 0, 2])
    write_proposals(old, KEYS, SIZES, boxes, scores, ABOUT)
    reader, before = ProposalFile(old), old.read_bytes()

    def fail(file, *_, **arrays):
        if arrays:
            file.write(before[:200])
        raise OSError('disk full')

    rows = KEYS, SIZES, boxes[::-1], scores[::-1], {}
    with monkeypatch.context() as patch:
        patch.setattr(broken, fail)
        for path in (old, new):
            with pytest.raises(OSError, match='disk full'):
                write_proposals(path, *rows)
    assert old.read_bytes() == before and not new.exists()
    write_proposals(old, *rows)
    check(ProposalFile(old), KEYS, boxes[::-1], scores[::-1])
    check(reader, KEYS, boxes, scores)


@pytest.mark.parametrize('images', [0, 2, 9])
def test_a_file_that_is_written_over_in_place(scenes, images):
    """Reading what is no longer there would end the process by a signal."""
    path = scenes / 'all.npz'
    dataset = chip_dataset(
        coco_config(scenes), proposals=str(path), negatives=FEW
    )
    before = dataset.mine(0, 0)
    os.utime(path, (1, 1))
    copied = path.read_bytes()
    # Another file of that name, and none, do no harm.
    path.rename(scenes / 'kept.npz')
    assert dataset.mine(0, 0).tobytes() == before.tobytes()
    path.write_bytes(b'')
    assert dataset.mine(0, 0).tobytes() == before.tobytes()
    (scenes / 'kept.npz').rename(path)
    assert dataset.mine(0, 0).tobytes() == before.tobytes()
    propose(scenes, 'other.npz', range(images))
    with path.open('r+b') as file:
        file.write((scenes / 'other.npz').read_bytes())
        file.truncate()
    with pytest.raises(UserError, match='all.npz was overwritten while it'):
        dataset.mine(0, 1)
    path.write_bytes(copied)
    assert dataset.mine(0, 0).tobytes() == before.tobytes()


def is_refused(path, data):
    """Whether the data is no proposal file; what is one can be used."""
    path.write_bytes(data)
    try:
        file = ProposalFile(path)
        found = file.select(file.keys, file.sizes)
        for i in range(len(file)):
            span = found.span(i)
            assert found.boxes[span].shape == (span.stop - span.start, 4)
            assert len(found.scores[span]) == span.stop - span.start
    except ValueError as error:
        return str(path) in str(error)
    return False


def test_file_that_breaks_off(small, tmp_path):
    data = small.read_bytes()
    for length in (*range(0, len(data), 61), len(data) - 1):
        assert is_refused(tmp_path / 'a.npz', data[:length])


#: What begins an entry of a zip's directory, a member and an array.
ENTRY, MEMBER, ARRAY = b'PK\x01\x02', b'PK\x03\x04', b'\x93NUMPY'


@given(
    start=st.sampled_from([ENTRY, MEMBER, ARRAY, b'']),
    flips=st.lists(
        st.tuples(
            st.integers(0, 130) | st.integers(0, 10000), st.integers(1, 255)
        ),
        min_size=1,
        max_size=3,
    ),
)
@example(ENTRY, [(6, 0x40)])  # the version of zip that is needed
@example(ENTRY, [(8, 0x01)])  # encrypted
@example(ENTRY, [(8, 0x20)])  # patched
@example(MEMBER, [(29, 0x08)])  # length of the extra field
@example(ARRAY, [(8, 0x77)])  # no bracket
@example(ARRAY, [(21, 0x10)])  # , for <
@example(ARRAY, [(26, 0x62)])  # bytes for a text
@settings(max_examples=400, deadline=5000)
def test_file_with_wrong_bytes(small, start, flips):
    data = bytearray(small.read_bytes())
    for place, change in flips:
        data[(data.find(start) + place) % len(data)] ^= change
    is_refused(small.with_name('wrong.npz'), data)


@pytest.mark.parametrize('name', list(arrays_of()))
def test_file_without_an_array(tmp_path, name):
    arrays = arrays_of()
    del arrays[name]
    np.savez(tmp_path / 'a.npz', **arrays)
    with pytest.raises(ValueError, match=f'a.npz .*{name}'):
        ProposalFile(tmp_path / 'a.npz')


@pytest.mark.parametrize(
    'changes',
    [
        dict(boxes=np.zeros((5, 5), np.float32)),
        dict(boxes=np.zeros((4, 4), np.float32)),
        dict(boxes=np.zeros(20, np.float32)),
        dict(boxes=np.zeros((5, 4), np.int32)),
        dict(boxes=np.zeros((5, 4), '>f4')),
        dict(scores=np.zeros(5, np.float16)),
        dict(boxes=np.asfortranarray(np.ones((5, 4), np.float32))),
        dict(scores=np.zeros(6, np.float32)),
        dict(scores=np.zeros((5, 1), np.float32)),
        dict(offsets=np.array([0, 3, 5])),
        dict(offsets=np.array([0, 4, 3, 5])),
        dict(offsets=np.array([1, 3, 3, 5])),
        dict(offsets=np.array([0, 3, 3, 4])),
        dict(offsets=np.array([0, 3, 3, 6])),
        dict(offsets=np.array([0.0, 3, 3, 5])),
        dict(keys=np.array([b'a', b'b'])),
        dict(keys=np.array([b'a', b'b', b'\xff'])),
        dict(keys=np.array(KEYS, object)),
        dict(sizes=SIZES[:2]),
        dict(sizes=SIZES[:, :1]),
        dict(about=np.array(b'{')),
    ],
)
def test_arrays_that_do_not_fit(tmp_path, changes):
    np.savez(tmp_path / 'good.npz', **arrays_of())
    assert len(ProposalFile(tmp_path / 'good.npz')) == 3
    np.savez(tmp_path / 'bad.npz', **arrays_of(**changes))
    with pytest.raises(ValueError, match='bad.npz'):
        ProposalFile(tmp_path / 'bad.npz')


def test_files_of_other_kinds(tmp_path):
    np.savez_compressed(tmp_path / 'packed.npz', **arrays_of())
    with pytest.raises(ValueError, match='packed.npz .* compressed'):
        ProposalFile(tmp_path / 'packed.npz')
    with pytest.raises(FileNotFoundError, match='no proposal file none.npz'):
        ProposalFile('none.npz')
    with pytest.raises(ValueError, match='is not a proposal file'):
        ProposalFile(tmp_path)
    assert is_refused(tmp_path / 'text', b'x1,y1,x2,y2')
    assert is_refused(tmp_path / 'empty', b'')


@pytest.fixture
def scenes(folder):
    """The folder, its image 1 without boxes, and proposals for all images."""
    coco = read(folder)
    coco['annotations'] = [
        ann for ann in coco['annotations'] if ann['image_id'] != 11
    ]
    write(folder, coco)
    propose(folder, 'all.npz', range(4))
    return folder


def propose(folder, name, images, size=(0, 0)):
    """Write twelve proposals an image, of a size that both levels train."""
    keys = [f'{10 + i} {i}.jpg' for i in images]
    box = np.tile(np.float32([100, 100, 130, 130]), (12, 1))
    rows = [size] * len(keys), [box] * len(keys), [np.ones(12)] * len(keys)
    write_proposals(folder / name, keys, *rows, {})
    return str(folder / name)


def negatives_of(dataset, image=1):
    table = dataset.mine(0, 0)
    return table[(table['image'] == image) & ~table['positive']]


FEW = dict(min_proposals=12)


def test_negative_chips_of_a_data_set(scenes):
    path = str(scenes / 'all.npz')
    dataset = chip_dataset(coco_config(scenes), proposals=path, negatives=FEW)
    rows = negatives_of(dataset)
    assert rows['level'].tolist() == [0, 1]
    assert len(dataset) == len(dataset.mine(0, 0))
    for row in rows:
        sample = dataset[row]
        assert sample['inputs'].shape == (3, 96, 96)
        assert sample['data_samples'].img_id == 11
        assert sample['data_samples'].metainfo['chip']['positive'] is False
        assert len(sample['data_samples'].gt_instances) == 0
    for negatives, count in (
        (dict(FEW, max_per_image=1), 1),
        (dict(min_proposals=(12, 13)), 1),
        (None, 1),  # the finest level needs 26
        (dict(min_proposals=13), 0),
    ):
        dataset = chip_dataset(
            coco_config(scenes), proposals=path, negatives=negatives
        )
        assert len(negatives_of(dataset)) == count
    dataset = chip_dataset(coco_config(scenes), negatives=FEW)
    assert dataset.proposals is None and dataset.mine(0, 0)['positive'].all()


@pytest.mark.parametrize(
    ('changes', 'sentence'),
    [
        (dict(missing_proposals='ignore'), "missing_proposals must be .*'ig"),
        (dict(negatives=dict(min_proposals=(1, 2, 3))), 'has 3 entries for 2'),
        (dict(negatives=dict(max_per_image=-1)), 'max_per_image must be'),
        (dict(negatives=dict(valid_ranges=[(0, 9)])), '1 entries for 2'),
        (dict(proposals='none.npz'), 'no proposal file none.npz'),
    ],
)
def test_settings_that_are_refused(scenes, changes, sentence):
    (scenes / 'coco.json').unlink()
    with pytest.raises((ValueError, FileNotFoundError), match=sentence):
        chip_dataset(coco_config(scenes, lazy_init=True), **changes)


def test_images_that_the_file_has_not(scenes):
    config = dict(proposals=propose(scenes, 'some.npz', [0, 1, 3]))
    dataset = chip_dataset(coco_config(scenes), **config, negatives=FEW)
    with pytest.raises(ValueError, match="for 1 of the 4 .*'12 2.jpg'"):
        dataset.mine(0, 0)
    config['missing_proposals'] = 'skip'
    dataset = chip_dataset(coco_config(scenes), **config, negatives=FEW)
    assert dataset.proposals.entries.tolist() == [0, 1, -1, 2]
    assert len(negatives_of(dataset)) == 2
    assert len(negatives_of(dataset, 2)) == 0


def test_proposals_of_other_images(scenes):
    for path, sentence in (
        (propose(scenes, 'b.npz', [7, 8]), "none of .* such as '10 0.jpg'"),
        (propose(scenes, 'c.npz', range(4), (240, 320)), "'11 1.jpg' is"),
    ):
        dataset = chip_dataset(
            coco_config(scenes), proposals=path, missing_proposals='skip'
        )
        with pytest.raises(ValueError, match=f'{path}.*{sentence}'):
            len(dataset)


def test_proposals_that_come_later(scenes):
    dataset = chip_dataset(coco_config(scenes), negatives=FEW)
    before, length = dataset.mine(0, 0), len(dataset)
    dataset.set_proposals(ProposalFile(scenes / 'all.npz'))
    after = dataset.mine(0, 0)
    assert len(after) > length == len(dataset)
    assert after[after['positive']].tobytes() == before.tobytes()
    path = propose(scenes, 'one.npz', [0])
    with pytest.raises(ValueError, match='3 of the 4 images'):
        dataset.set_proposals(ProposalFile(path))
    assert dataset.mine(0, 0).tobytes() == after.tobytes()


def test_images_that_cannot_be_read_get_no_chips(scenes):
    coco = read(scenes)
    coco['images'][1].update(width=0, height=0)
    write(scenes, coco)
    path = propose(scenes, 'known.npz', [1, 3], (320, 240))
    config = dict(negatives=FEW, missing_proposals='skip', on_error='skip')
    (scenes / 'images/1.jpg').write_bytes(b'')
    dataset = chip_dataset(coco_config(scenes), proposals=path, **config)
    assert dataset.skipped_images == [1]
    assert set(dataset.mine(0, 0)['image']) == {0, 2, 3}


def test_workers_map_the_proposals_themselves(scenes):
    path = str(scenes / 'all.npz')
    dataset = chip_dataset(coco_config(scenes), proposals=path, negatives=FEW)
    plain = chip_dataset(coco_config(scenes), negatives=FEW)
    row = negatives_of(dataset)[0]
    assert len(plain) < len(dataset)
    data = pickle.dumps(dataset)
    rows = (len(dataset) - len(plain)) * row.nbytes
    assert len(data) - len(pickle.dumps(plain)) < rows + len(path) + 200
    worker = pickle.loads(data)
    assert torch.equal(worker[row]['inputs'], dataset[row]['inputs'])
    assert worker.mine(1, 2).tobytes() == dataset.mine(1, 2).tobytes()
    assert isinstance(worker.proposals.boxes.base, np.memmap)
