"""SSH gives what Caffe gave, and the original's own code after it."""

import numpy as np
import pytest
import torch
from caffe_files import write_caffemodel
from mmdet.structures import DetDataSample
from mmengine.runner import load_checkpoint
from mmengine.structures import InstanceData
from ssh_parity import FOLDERS, config_of, each_case, options
from ssh_parity import weights as weights_of
from tiny import ROOT

from sniper_mmdet.engine.build import load_config
from sniper_mmdet.registry import MODELS
from sniper_mmdet.released.caffemodel import read_caffemodel
from sniper_mmdet.released.conversion import convert_file
from sniper_mmdet.released.outputs import compare_outputs

pytestmark = pytest.mark.usefixtures('fast_configs')
MODULES = (1, 2, 3)


@pytest.fixture(scope='module')
def checkpoints(tmp_path_factory):
    """Converts the weights of a folder's network, each once."""
    known = {}

    def convert(folder, network):
        key = folder.path, network
        if key not in known:
            path = tmp_path_factory.mktemp('ssh') / 'net.caffemodel'
            arrays = folder.weights(network)
            write_caffemodel(path, arrays)
            known[key] = path.with_suffix('.pth')
            config = ROOT / 'configs/ssh/ssh_vgg16_13e_wider-face.py'
            shapes = options(folder.shapes(network))
            done = convert_file(path, known[key], config, shapes)
            path.unlink()
            assert len(done.mapped) == len(arrays) and not done.unused
        return known[key]

    return convert


@pytest.fixture
def build(checkpoints):
    """The converted detector of a case's config."""

    def build(folder, case, **changes):
        about = folder.cases[case]
        name, settings = config_of(about)
        settings |= options(folder.shapes(about['network'])) | changes
        config = load_config(ROOT / f'configs/ssh/{name}.py', settings)
        model = MODELS.build(config.model).eval()
        path = checkpoints(folder, about['network'])
        load_checkpoint(model, str(path), strict=True)
        return model

    return build


@each_case('image')
def test_finds_what_the_original_finds(folder, case, build):
    model = build(folder, case)
    about = folder.cases[case]
    img = folder.arrays[about['image']]
    h, w = img.shape[:2]
    assert model.pyramid.factors(w, h).tolist() == about['scales']
    sizes = [tuple(blob[:1:-1]) for blob in about['blobs']]
    assert list(map(tuple, model.pyramid.level_sizes(w, h))) == sizes
    shape = dict(ori_shape=(h, w), img_shape=(h, w))
    data = [torch.from_numpy(img).permute(2, 0, 1)]
    sample = model.predict(data, [DetDataSample(metainfo=shape)])[0]
    found = sample.pred_instances
    assert len(found) == len(folder.arrays[f'{case}.dets'])
    same(found.bboxes, found.scores, folder.arrays[f'{case}.dets'])


def same(boxes, scores, expected):
    """Scores that are close change places. 0.01 px are as bad as 0.0002."""
    expected = torch.from_numpy(expected)
    found = torch.cat([boxes, scores[:, None] * 50], 1)
    apart = found[:, None] - expected * expected.new_tensor([1, 1, 1, 1, 50])
    nearest = apart.abs().amax(-1).argmin(0)
    assert len(nearest.unique()) == len(expected)
    assert (boxes[nearest] - expected[:, :4]).abs().max() < 0.01
    assert (scores[nearest] - expected[:, 4]).abs().max() < 2e-4


@each_case('s0.')
def test_each_module_finds_what_the_original_finds(folder, case, build):
    """At each level, before any NMS."""
    about = folder.cases[case]
    model = build(folder, case, **{'model.test_cfg.score_thr': -1})
    img = folder.arrays[about['image']]
    head = model.detector.bbox_head
    for level in range(len(about['scales'])):
        batch = next(model.level_batches([img], level))
        data = model._preprocess(*batch)
        with torch.no_grad():
            maps = head(model.detector.extract_feat(data['inputs']))
        metas = [sample.metainfo for sample in data['data_samples']]
        for module in MODULES:
            expected = folder.of(case, f's{level}.m{module}.top').get('')
            if expected is None:
                continue
            own = [
                [
                    x if index == module - 1 else x[..., :0, :]
                    for index, x in enumerate(of_maps)
                ]
                for of_maps in maps
            ]
            (found,) = head.predict_by_feat(
                *own, batch_img_metas=metas, with_nms=False
            )
            found = found[found.scores.argsort(descending=True)]
            # Which are the first may hang on rounding.
            found = found[: len(expected) + 10]
            same(found.bboxes, found.scores, expected)


@each_case('out.conv5_3')
def test_gives_what_caffe_gives(folder, case, build):
    model = build(folder, case)
    about = folder.cases[case]
    img = folder.arrays[about['image']]
    (inputs,), samples = next(model.level_batches([img], 0))
    data = model._preprocess([inputs], samples)['inputs']
    expected = folder.arrays[f'{case}.data']
    assert np.abs(data.numpy() - expected).max() < 1e-4
    errors = compare_outputs(model, folder.path / 'ssh.npz', case=case)
    outputs = {
        name.removesuffix('_output') for name in folder.of(case, 'out.')
    }
    assert set(errors) == outputs and len(outputs) > 9
    assert max(errors.values()) < 1e-4


@each_case('train.gt')
def test_learns_what_the_original_learns(folder, case):
    """Labels, targets, losses and gradients, of the original's own maps."""
    config = ROOT / 'configs/ssh/ssh_vgg16_13e_wider-face.py'
    cfg = load_config(config).model
    cfg.bbox_head.update(train_cfg=cfg.train_cfg, test_cfg=cfg.test_cfg)
    head = MODELS.build(cfg.bbox_head)
    outputs, expected = folder.of(case, 'out.'), folder.of(case, 'train.')
    scores = [outputs[f'm{m}@ssh_cls_score_output'] for m in MODULES]
    deltas = [outputs[f'm{m}@ssh_bbox_pred_output'] for m in MODULES]
    scores = [torch.from_numpy(anchor_first(x)) for x in scores]
    deltas = [torch.from_numpy(x) for x in deltas]
    for x in (*scores, *deltas):
        x.requires_grad_()
    boxes = torch.from_numpy(expected['gt'])
    labels = torch.zeros(len(boxes), dtype=torch.long)
    faces = InstanceData(bboxes=boxes, labels=labels)
    _, _, h, w = folder.cases[case]['blobs'][0]
    meta = dict(img_shape=(h, w), pad_shape=(h, w))
    losses = head.loss_by_feat(scores, deltas, [faces], [meta])
    sum(map(sum, losses.values())).backward()
    sizes = [x.shape[-2:] for x in scores]
    (anchors,), (valid,) = head.get_anchors(sizes, [meta], 'cpu')
    for k, m in enumerate(MODULES):
        start = f'm{m}.'
        of = {
            key.removeprefix(start): values
            for key, values in expected.items()
            if key.startswith(start)
        }
        flat = scores[k].detach().permute(0, 2, 3, 1).reshape(-1, 2)
        found = head._probabilities(flat)
        own, weights, targets, positive = head.targets_of_map(
            *(anchors[k], valid[k], found, faces, meta, None),
            head.train_cfg['allowed_border'][k],
        )
        own = torch.where(weights > 0, 1 - own, -1)
        assert np.array_equal(as_map(own, sizes[k]), of['labels'])
        assert positive.sum() == (of['labels'] == 1).sum() > 0
        targets = as_map(targets, sizes[k])
        where = np.repeat(of['labels'] == 1, 4, axis=0)
        assert np.abs(targets - of['targets'])[where].max() < 1e-4
        for name, kind in dict(loss_cls='cls', loss_bbox='reg').items():
            loss = losses[name][k].item()
            assert loss == pytest.approx(float(of[f'loss_{kind}']), rel=1e-4)
        grads = anchor_first(of['grad_score']), of['grad_delta']
        for maps, grad in zip((scores, deltas), grads, strict=True):
            error = np.abs(maps[k].grad.numpy() - grad).max()
            assert error < 1e-4 * np.abs(grad).max()


def anchor_first(scores):
    """Backgrounds, then faces, to the face and the background of each."""
    b, c, h, w = scores.shape
    pairs = scores.reshape(b, 2, c // 2, h, w)[:, ::-1].swapaxes(1, 2)
    return np.ascontiguousarray(pairs.reshape(b, c, h, w))


def as_map(values, size):
    """(N, ...) by place and anchor, to (A * ..., h, w)."""
    h, w = size
    values = values.reshape(h, w, -1)
    return values.permute(2, 0, 1).numpy()


FILES = ['ssh_slim16', 'ssh_slim16_train', 'vgg_slim16_v1']


@pytest.mark.real_data
@pytest.mark.parametrize('name', FILES)
def test_files_of_caffe_are_read_exactly_by_ssh(name, tmp_path):
    folder = FOLDERS['there']
    path = folder.path / f'{name}.caffemodel'
    if not path.exists():
        pytest.skip(f'there is no {path}')
    found = read_caffemodel(path)
    shapes = folder.shapes('slim16')
    expected = {
        key: weights_of(key, shape, folder.salt)
        for key, shape in shapes.items()
        if name != 'vgg_slim16_v1' or key in found
    }
    assert set(expected) <= set(found) and len(expected) > 25
    for key, values in expected.items():
        assert found[key].dtype == np.float32
        assert found[key].tobytes() == values.tobytes(), key
        old = name == 'vgg_slim16_v1' and values.ndim == 1
        sides = (1, 1, 1, *values.shape) if old else values.shape
        assert found[key].shape == sides
    out = tmp_path / 'net.pth'
    config = ROOT / 'configs/ssh/ssh_vgg16_13e_wider-face.py'
    done = convert_file(path, out, config, options(shapes))
    assert set(done.mapped) == set(expected)
    for key in done.unused:
        assert key.endswith(('_ohem.0', '_ohem.1')) or key[:2] == 'fc'
    for key in ('conv3_2.0', 'conv5_1.1'):
        assert np.array_equal(done.state[done.mapped[key]], expected[key])
