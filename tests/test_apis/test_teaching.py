"""New classes from pictures without boxes."""

import json
import shutil

import numpy as np
import pytest
import torch
from decoupled import COLOURS, write_checkpoint, write_config, write_pictures
from mmdet.apis import DetInferencer, inference_detector, init_detector
from pages import BLOCKS

from sniper_mmdet.apis import detect, teach
from sniper_mmdet.apis.linear_classifier import fit_new_classes
from sniper_mmdet.datasets import SampleDataset

pytestmark = pytest.mark.usefixtures('fast_configs')
OLD = tuple(SampleDataset.METAINFO['classes'])


@pytest.fixture
def detector(decoupled_files):
    return decoupled_files


@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp('pictures') / 'classes'
    return write_pictures(folder, COLOURS)


def weights(path):
    return torch.load(path, weights_only=False)['state_dict']


def test_the_program_of_the_docs(
    detector, pictures, tmp_path, monkeypatch, capsys
):
    (program,) = (
        block.text
        for block in BLOCKS
        if block.language == 'python' and "teach('CONFIG'" in block.text
    )
    config, checkpoint = map(str, detector)
    for word, value in {
        'CONFIG': config,
        'CHECKPOINT': checkpoint,
        'toys/': str(pictures),
        'FOLDER': str(pictures / 'blue'),
    }.items():
        program = program.replace(f"'{word}'", repr(value))
    monkeypatch.chdir(tmp_path)
    exec(program, {})
    assert "['blue'" in capsys.readouterr().out
    assert (tmp_path / 'toys.pth').exists()


@pytest.mark.parametrize('instead', [False, True])
def test_new_classes_are_found(detector, pictures, tmp_path, instead):
    out = tmp_path / 'new.pth'
    taught = teach(*detector, pictures, out, instead=instead)
    names = [*COLOURS] if instead else [*OLD, *COLOURS]
    assert taught.classes == names
    assert taught.pictures == dict.fromkeys(COLOURS, 6)
    assert taught.accuracy == 1
    model = init_detector(str(taught.config), str(out), device='cpu')
    assert list(model.dataset_meta['classes']) == names
    head = model.roi_head.bbox_head
    assert head.num_classes == len(names)
    assert head.hidden_classes == (len(OLD) if instead else 0)
    if instead:  # MMDetection's own programs take it as any other
        inferencer = DetInferencer(
            str(taught.config), str(out), device='cpu', show_progress=False
        )
        (told,) = inferencer(str(pictures / 'blue/0.png'))['predictions']
        assert told['labels'] and set(told['labels']) <= {0, 1}
    model.roi_head.test_cfg.score_thr = 0.0
    for name in COLOURS:
        found = next(iter(detect(model, pictures / name / '0.png')))
        best = found.pred_instances
        assert names[best.labels[best.scores.argmax()]] == name


def test_old_classes_stay_as_they_are(detector, pictures, tmp_path):
    teach(*detector, pictures, tmp_path / 'new.pth')
    old, new = weights(detector[1]), weights(tmp_path / 'new.pth')
    assert old.keys() == new.keys()
    changed = set()
    for key, value in old.items():
        now = new[key]
        if now.shape != value.shape:
            changed.add(key.partition('bbox_head.')[2])
            now = now[: len(value)]
        assert torch.equal(now, value), key
    assert changed == {
        'fc_fine.weight',
        'fc_fine.bias',
        'fine_means',
        'fine_counts',
    }


def test_one_class_alone_is_rejected_by_the_detector(
    detector, pictures, tmp_path
):
    """Where there is one, the softmax of the original is always 1."""
    out = tmp_path / 'one.pth'
    taught = teach(*detector, pictures, out, classes=['blue'], instead=True)
    model = init_detector(str(taught.config), str(out), device='cpu')
    head = model.roi_head.bbox_head
    own = torch.from_numpy(head.fine_means.numpy())
    prob = head.fine_scores(own)[:, 0]
    assert prob[0] > 0.9 and prob[1:].max() < 0.5


def test_what_is_learnt_again_does_not_compete_with_itself(detector, tmp_path):
    folder = write_pictures(tmp_path / 'again', {OLD[1]: (220, 30, 30)}, 2)
    out = tmp_path / 'again.pth'
    taught = teach(*detector, folder, out, instead=True)
    model = init_detector(str(taught.config), str(out), device='cpu')
    assert taught.classes == [OLD[1]]
    assert model.roi_head.bbox_head.hidden_classes == len(OLD) - 1


def test_the_released_solver(detector, pictures, tmp_path):
    how = dict(solver='released', rois='whole', instead=True, epochs=3)
    taught = teach(*detector, pictures, tmp_path / 'new.pth', **how)
    found = weights(taught.checkpoint)['roi_head.bbox_head.fc_fine.weight']
    assert found.shape == (2, 32) and abs(found).max() < 0.1
    model = init_detector(
        str(taught.config), str(taught.checkpoint), device='cpu'
    )
    image = np.zeros((64, 80, 3), np.uint8)
    inference_detector(model, image)


def test_classes_get_the_order_of_a_file(detector, pictures, tmp_path):
    ann = tmp_path / 'ann.json'
    names = ['lime', *OLD, 'blue']
    categories = [dict(id=i, name=n) for i, n in enumerate(names)]
    ann.write_text(json.dumps(dict(images=[], categories=categories)))
    taught = teach(*detector, pictures, tmp_path / 'new.pth', ann_file=ann)
    assert taught.classes == names
    old, new = weights(detector[1]), weights(tmp_path / 'new.pth')
    key = 'roi_head.bbox_head.fc_fine.weight'
    assert torch.equal(new[key][1:5], old[key])


def broken(folder, pictures, what):
    copy = folder / 'broken'
    shutil.copytree(pictures, copy)
    if what == 'empty':
        (copy / 'red').mkdir()
        return copy, 'red must hold at least 2 images.*Received: 0'
    if what == 'one picture':
        write_pictures(copy, dict(red=(0, 0, 99)), 1)
        return copy, 'red must hold at least 2 images.*Received: 1'
    if what == 'unreadable':
        (copy / 'blue/0.png').write_text('no picture')
        return copy, '0.png cannot be read as an image'
    if what == 'twice':
        write_pictures(copy, dict(Lime=(0, 99, 0)))
        return copy, "a class twice: 'Lime' and 'lime'"
    if what == 'known':
        write_pictures(copy, {OLD[0]: (0, 99, 0)})
        return copy, f"knows the class '{OLD[0]}' already"
    return folder / 'nothing', 'is not a folder'


@pytest.mark.parametrize(
    'what',
    ['empty', 'one picture', 'unreadable', 'twice', 'known', 'no folder'],
)
def test_wrong_pictures(detector, pictures, tmp_path, what):
    folder, message = broken(tmp_path, pictures, what)
    with pytest.raises((ValueError, OSError), match=message):
        teach(*detector, folder, tmp_path / 'new.pth')
    assert not list(tmp_path.glob('*.p*'))


def test_a_checkpoint_without_a_fine_branch(
    detector, pictures, tiny_scenes, tmp_path
):
    more = (
        "model['roi_head']['bbox_head'].update(type='Shared2FCBBoxHead')\n"
        "model['roi_head'].update(type='StandardRoIHead')\n"
    )
    config = write_config(tmp_path / 'plain.cfg.py', tiny_scenes, more)
    checkpoint = write_checkpoint(config, tmp_path / 'plain.weights')
    with pytest.raises(ValueError, match='weights has no fine branch'):
        teach(detector[0], checkpoint, pictures, tmp_path / 'new.pth')
    with pytest.raises(ValueError, match='Received: Shared2FCBBoxHead'):
        teach(config, checkpoint, pictures, tmp_path / 'new.pth')
    assert not (tmp_path / 'new.pth').exists()


def test_a_released_solver_needs_classes_of_its_own(
    detector, pictures, tmp_path
):
    with pytest.raises(ValueError, match='it needs instead=True'):
        teach(*detector, pictures, tmp_path / 'a.pth', solver='released')


def test_new_classes_beside_fixed_ones():
    """Two groups of features, and a third that fixed logits claim."""
    rng = np.random.default_rng(0)
    centres = np.eye(3) * 5
    x = centres.repeat(50, 0) + rng.normal(size=(150, 3))
    y = np.array([0, 1, -1]).repeat(50)
    other = x[:, 2] * 2 - 4
    weight, bias = fit_new_classes(x, y, 2, other)
    logits = np.column_stack([x @ weight.T + bias, other])
    assert (logits.argmax(1) == np.array([0, 1, 2]).repeat(50)).mean() > 0.98
    # One class alone needs what it is not.
    weight, bias = fit_new_classes(x, np.where(y == 0, 0, -1), 1, other)
    assert weight.shape == (1, 3)
    above = x @ weight[0] + bias > other
    assert (above == (y == 0)).mean() > 0.98
