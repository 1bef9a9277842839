"""Tools end in a sentence where classes do not go together."""

import json
from types import SimpleNamespace

import pytest
import torch
from tiny import SAMPLE_CONFIG, sample_options

from sniper_mmdet.apis import inference

pytestmark = pytest.mark.usefixtures('fast_configs')
CLASSES = ('disc', 'square', 'triangle', 'ring')


@pytest.fixture
def reversed_val(here):
    coco = json.loads((here / 'data/sample/val.json').read_text())
    coco['categories'].reverse()
    (here / 'reversed.json').write_text(json.dumps(coco))
    return here / 'reversed.json'


@pytest.mark.parametrize('number', [3, 80])
def test_train_compares_the_classes_with_the_heads(tool, number):
    options = sample_options(
        **{'model.roi_head.bbox_head.num_classes': number}
    )
    sentence = f'^train: model.roi_head.bbox_head.num.* Received: {number}.$'
    with pytest.raises(SystemExit, match=sentence):
        tool('train.py', SAMPLE_CONFIG, '--work-dir', 'out', **options)


@pytest.mark.parametrize('given', [(), ('--format-only',)])
def test_test_compares_the_orders_of_files(tool, trained, reversed_val, given):
    options = {
        'test_dataloader.dataset.ann_file': reversed_val,
        'test_evaluator.ann_file': reversed_val,
    }
    args = SAMPLE_CONFIG, trained, '--work-dir', 'out', *given
    with pytest.raises(SystemExit, match='^test: the categories of .*reverse'):
        tool('test.py', *args, **sample_options(**options))


def test_test_compares_the_classes_of_a_checkpoint(tool, trained, here):
    found = torch.load(trained, weights_only=False)
    found['meta']['dataset_meta']['classes'] = CLASSES[::-1]
    torch.save(found, here / 'other.pth')
    args = SAMPLE_CONFIG, here / 'other.pth', '--work-dir', 'out'
    with pytest.raises(SystemExit, match='^test: the classes of the check'):
        tool('test.py', *args, **sample_options())


def test_a_detector_and_its_test_data_name_labels_alike():
    data = dict(type='CocoDataset', metainfo=dict(classes=CLASSES))
    head = SimpleNamespace(num_classes=4)
    model = SimpleNamespace(
        bbox_head=head,
        dataset_meta=dict(classes=CLASSES[::-1]),
        cfg=dict(test_dataloader=dict(dataset=data)),
    )
    with pytest.raises(ValueError, match="checkpoint and of the config's"):
        inference.class_names(model)
    model.dataset_meta = dict(classes=CLASSES)
    assert inference.class_names(model) == CLASSES
