"""MMDetection's own configs, rewritten."""

import gc
import json
import math
import random
import time

import pytest
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper
from tiny import ROOT, with_classes
from zoo import ZOO, delta_of

from sniper_mmdet.registry import DATASETS, MODELS
from sniper_mmdet.sniperize.config import read_plain, sniperize
from sniper_mmdet.sniperize.loop import classes_of_heads
from sniper_mmdet.sniperize.probe import without_weights
from sniper_mmdet.sniperize.rules import leaves

pytestmark = pytest.mark.usefixtures('fast_configs')

ZOO_DELTAS = sorted(
    path
    for path in (ROOT / 'configs/sniper').glob('*.py')
    if "'mmdet::" in path.read_text() and '_1x_' in path.stem
) + [
    ROOT / f'configs/sniper/{name}.py'
    for name in (
        'rtmdet_s_sniper_300e_coco',
        'dino-4scale_r50_sniper_12e_coco',
    )
]


@pytest.mark.parametrize('path', ZOO_DELTAS, ids=lambda path: path.stem)
def test_is_what_was_written_by_hand(path):
    """Configs of this package are the same deltas, by another hand."""
    base = 'mmdet::' + path.read_text().split("'mmdet::")[1].split("'")[0]
    text, _ = sniperize(read_plain(base), base)
    ours, hand = delta_of(text), Config.fromfile(path)
    # By hand it is the 200 of PyramidDetector.
    many = 'dino' in path.stem or 'rtmdet' in path.stem
    assert ours.model.pop('max_per_img') == (300 if many else 100)
    assert ours.model.to_dict() == hand.model.to_dict()
    for cfg in (ours, hand):
        # By hand the loader is not the user's.
        chips = cfg.train_dataloader.dataset
        cfg.train_dataloader = dict(
            sampler=cfg.train_dataloader.sampler, dataset=chips
        )
        chips.pipeline = [
            {k: v for k, v in step.items() if k in ('type', 'out_of_range')}
            for step in chips.pipeline
        ]
        # By hand the data set says it, to whatever pipeline.
        if 'out_of_range' in chips:
            told = chips.pop('out_of_range')
            chips.pipeline[2].out_of_range = told
        for key in ('backend_args', 'pipeline', '_scope_'):
            chips.dataset.pop(key, None)
    assert ours.train_dataloader.to_dict() == hand.train_dataloader.to_dict()
    assert {h.type for h in ours.custom_hooks} == {
        h.type for h in hand.custom_hooks
    }


@pytest.mark.parametrize(
    'name', ['retinanet_r50_fpn', 'faster-rcnn_r50-caffe_c4']
)
def test_focus_head_is_what_was_written_by_hand(name):
    hand = Config.fromfile(
        ROOT / f'configs/autofocus/{name}_autofocus_1x_coco.py'
    )
    plain = (ROOT / f'configs/sniper/{name}_sniper_1x_coco.py').read_text()
    base = str(ZOO / plain.split("'mmdet::")[1].split("'")[0])
    ours = delta_of(sniperize(read_plain(base), base, autofocus=True)[0])
    for key in ('type', 'focus_head', 'features', 'valid_ranges'):
        assert ours.model.get(key) == hand.model.get(key)
    assert ours.val_evaluator[1].type == 'sniper_mmdet.PixelsMetric'


def one_step(text, scenes, folder):
    """Train a step on two chips with what is written for a config.

    Returns:
        tuple: What it says of it, and a function that tests an image.
    """
    cfg = delta_of(text)
    num = max(classes_of_heads(cfg.model), default=80)
    classes = [f'class {i}' for i in range(num)]
    coco = with_classes(scenes / 'train.json', classes)
    (folder / 'train.json').write_text(json.dumps(coco))
    chips = cfg.train_dataloader.dataset
    chips.dataset = dict(
        type='CocoDataset',
        ann_file=str(folder / 'train.json'),
        data_prefix=dict(img=str(scenes / 'images')),
        metainfo=dict(classes=classes),
    )
    chips.update(
        scales=[1.2, 1.6],
        valid_ranges=[(30, None), (0, 50)],
        chip_size=320,
        stride=40,
    )
    cfg.model.data_preprocessor.batch_augments[0].size = (320, 320)
    cfg.model.scales = chips.scales
    cfg.model.valid_ranges = chips.valid_ranges
    torch.manual_seed(0)
    model = MODELS.build(without_weights(cfg.model))
    model.init_weights()
    for weight in model.parameters():
        # TridentNet's are what the memory held, without a checkpoint.
        if not weight.data.abs().max() < 1e3:
            weight.data.normal_(std=0.01)
    model.train()
    chips = DATASETS.build(chips)
    table = chips.mine(0, 0)
    batch = pseudo_collate([chips[table[0]], chips[table[-1]]])
    trained = [p for p in model.parameters() if p.requires_grad]
    # What a loop tells those that ask.
    for name in ('epoch', 'iter'):
        MessageHub.get_current_instance().update_info(name, 0)
    optim = OptimWrapper(torch.optim.SGD(trained, 1e-4))
    loss = model.train_step(batch, optim)['loss'].item()
    assert math.isfinite(loss)

    def test():
        model.eval()
        data, _ = next(leaves(cfg.val_dataloader.dataset, ''))
        image = Compose(data.pipeline)(chips.dataset.get_data_info(0))
        (found,) = model.test_step(pseudo_collate([image]))
        boxes = found.pred_instances
        if 'masks' in boxes:
            assert boxes.masks.shape[1:] == found.ori_shape
        return f'{len(boxes)} boxes of an image'

    return f'trained, loss {loss:.2f}', test


@pytest.mark.slow
def test_ten_configs_of_the_zoo(tiny_scenes, tmp_path, capsys):
    """Each trains a step, or it is told why not."""
    zoo = [p for p in ZOO.rglob('*.py') if '_base_' not in p.parts]
    random.seed(0)
    rows, wrong = [], []
    for path in random.sample(sorted(zoo), 10):
        start, text, test = time.perf_counter(), None, None
        try:
            text, _ = sniperize(read_plain(str(path)), str(path))
        except ValueError as error:
            row = f'refused: {error}'
        try:
            if text is not None:
                row, test = one_step(text, tiny_scenes, tmp_path)
                row = f'{row}; {test()}'
        except Exception as error:
            row = f'{type(error).__name__}: {error}'
            if not _is_of_this_machine(error):
                wrong.append(path)
        seconds = time.perf_counter() - start
        rows.append(f'{path.relative_to(ZOO)}: {row} ({seconds:.0f} s)')
        test = None
        gc.collect()
    with capsys.disabled():
        print('', *rows, sep='\n')
    assert not wrong, rows


def _is_of_this_machine(error):
    """Whether a package is missing, or a GPU: mmcv has operators for these."""
    return isinstance(error, ImportError) or any(
        words in str(error)
        for words in (
            'implementation for device cpu',
            'is not compiled with GPU support',
            'No NVIDIA driver',
            'not compiled with CUDA enabled',
        )
    )
