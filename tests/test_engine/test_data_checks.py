"""What a run reads goes together, or the run does not start."""

import json

import pytest
import torch
from mmdet.evaluation import CocoMetric, VOCMetric
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from tiny import SAMPLE_CONFIG, plain_detector, sample_options, write_voc

from sniper_mmdet.engine.build import checked_runner
from sniper_mmdet.engine.data_checks import check_split
from sniper_mmdet.engine.detector_checks import (
    DataError,
    check_heads,
    check_names,
)
from sniper_mmdet.registry import DATASETS, MODELS

pytestmark = pytest.mark.usefixtures('fast_configs')
CLASSES = ('disc', 'square', 'triangle', 'ring')


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmdet')


@pytest.fixture
def scenes(tiny_scenes, tmp_path):
    """The scenes, with annotation files to change."""
    (tmp_path / 'images').symlink_to(tiny_scenes / 'images')
    for name in ('train.json', 'val.json'):
        (tmp_path / name).write_text((tiny_scenes / name).read_text())
    return tmp_path


def change(path, function):
    coco = json.loads(path.read_text())
    function(coco)
    path.write_text(json.dumps(coco))


def val_data(scenes, ann_file='val.json', **changes):
    return DATASETS.build(
        dict(
            type='CocoDataset',
            data_root=str(scenes),
            ann_file=ann_file,
            data_prefix=dict(img='images/'),
            metainfo=dict(classes=CLASSES),
            test_mode=True,
            **changes,
        )
    )


def coco_metric(scenes, ann_file='val.json'):
    return dict(type='CocoMetric', ann_file=f'{scenes}/{ann_file}')


def checked(dataset, *settings):
    evaluator = Evaluator(list(settings))
    check_split(dataset, evaluator, list(settings))
    return evaluator.metrics


# The files of data sets and of metrics.


def test_one_file(scenes):
    checked(val_data(scenes), coco_metric(scenes))


@pytest.mark.parametrize('wrapper', ['ConcatDataset', 'RepeatDataset'])
def test_one_file_through_a_wrapper(scenes, wrapper):
    data = val_data(scenes)
    if wrapper == 'ConcatDataset':
        data = dict(type=wrapper, datasets=[data])
    else:
        data = dict(type=wrapper, dataset=data, times=1)
    checked(DATASETS.build(data), coco_metric(scenes))


def test_another_file_of_the_same_images(scenes):
    (scenes / 'copy.json').write_text((scenes / 'val.json').read_text())
    checked(val_data(scenes), coco_metric(scenes, 'copy.json'))


def test_a_metric_of_another_file(scenes):
    message = 'train.json, which evaluates .*val.json'
    with pytest.raises(DataError, match=message):
        checked(val_data(scenes), coco_metric(scenes, 'train.json'))


def test_a_metric_of_more_images(scenes):
    def add(coco):
        first = dict(coco['images'][0], id=99, file_name='more.jpg')
        coco['images'].append(first)

    (scenes / 'more.json').write_text((scenes / 'val.json').read_text())
    change(scenes / 'more.json', add)
    with pytest.raises(DataError, match='Received: 3 images .* and 2 in'):
        checked(val_data(scenes), coco_metric(scenes, 'more.json'))
    # Of one file, somebody looks at a few images on purpose: AP is theirs.
    few = val_data(scenes, indices=1)
    (metric,) = checked(few, coco_metric(scenes))
    assert metric.img_ids == [few.get_data_info(0)['img_id']]
    (metric,) = checked(val_data(scenes), coco_metric(scenes))
    assert metric.img_ids is None  # all


def test_a_metric_that_knows_no_image(scenes):
    def rename(coco):
        for image in coco['images']:
            image['id'] = f'x{image["id"]}'
        for annotation in coco['annotations']:
            annotation['image_id'] = f'x{annotation["image_id"]}'

    (scenes / 'other.json').write_text((scenes / 'val.json').read_text())
    change(scenes / 'other.json', rename)
    with pytest.raises(DataError, match='image 1 is missing'):
        checked(val_data(scenes), coco_metric(scenes, 'other.json'))


def test_a_metric_of_another_order(scenes):
    (scenes / 'other.json').write_text((scenes / 'val.json').read_text())
    change(scenes / 'other.json', lambda coco: coco['categories'].reverse())
    with pytest.raises(ValueError, match='other.json number the labels in'):
        checked(val_data(scenes), coco_metric(scenes, 'other.json'))


def test_a_metric_that_lacks_a_class(scenes):
    (scenes / 'other.json').write_text((scenes / 'val.json').read_text())
    change(scenes / 'other.json', lambda coco: coco['categories'].pop())
    with pytest.raises(ValueError, match="'ring', which .*other.json lacks"):
        checked(val_data(scenes), coco_metric(scenes, 'other.json'))


def test_a_metric_that_calls_a_class_otherwise(scenes):
    """The file has as many, all of them known but one."""
    (scenes / 'other.json').write_text((scenes / 'val.json').read_text())
    change(
        scenes / 'other.json',
        lambda coco: coco['categories'][3].update(name='rings'),
    )
    with pytest.raises(ValueError, match="'ring', which .* 'rings'"):
        checked(val_data(scenes), coco_metric(scenes, 'other.json'))


def test_classes_by_name_whose_ids_are_not_sorted(scenes):
    def renumber(coco):
        for one in coco['categories']:
            one['id'] = 9 - one['id']
        for one in coco['annotations']:
            one['category_id'] = 9 - one['category_id']

    change(scenes / 'val.json', renumber)
    checked(val_data(scenes), coco_metric(scenes))
    settings = dict(coco_metric(scenes), classwise=True)
    with pytest.raises(DataError, match=r'classwise=True.*\[8, 7, 6, 5\]'):
        checked(val_data(scenes), settings)


def test_metrics_of_parts(scenes):
    """mmdet's MultiDatasetsEvaluator has a metric for each."""
    data = [val_data(scenes), val_data(scenes, 'train.json')]
    data = DATASETS.build(dict(type='ConcatDataset', datasets=data))
    names = 'val.json', 'train.json'
    for order in (names, names[::-1]):
        settings = [coco_metric(scenes, name) for name in order]
        evaluator = Evaluator(settings)
        evaluator.dataset_prefixes = names
        if order == names:
            check_split(data, evaluator, dict(metrics=settings))
            continue
        with pytest.raises(DataError, match='must have the same images'):
            check_split(data, evaluator, dict(metrics=settings))


# What annotations hold.


def test_a_metric_numbers_its_annotations_anew(scenes):
    def from_zero(coco):
        for number, one in enumerate(coco['annotations']):
            one['id'] = number

    change(scenes / 'val.json', from_zero)
    data = val_data(scenes)
    (metric,) = checked(data, coco_metric(scenes))
    metric.dataset_meta = data.metainfo
    for k in range(len(data)):
        info = data.get_data_info(k)
        boxes = [one['bbox'] for one in info['instances']]
        labels = [one['bbox_label'] for one in info['instances']]
        found = dict(bboxes=torch.tensor(boxes), labels=torch.tensor(labels))
        sample = dict(
            img_id=info['img_id'],
            ori_shape=(info['height'], info['width']),
            pred_instances=dict(found, scores=torch.ones(len(boxes))),
        )
        metric.process(None, [sample])
    assert metric.evaluate(len(data))['coco/bbox_mAP'] == 1


def test_a_metric_whose_annotations_lack_iscrowd(scenes):
    def without(coco):
        for one in coco['annotations']:
            del one['iscrowd']

    change(scenes / 'val.json', without)
    (metric,) = checked(val_data(scenes), coco_metric(scenes))
    assert {one['iscrowd'] for one in metric._coco_api.anns.values()} == {0}


@pytest.mark.parametrize('metric', ['bbox', 'segm'])
def test_a_metric_whose_annotations_lack_a_field(scenes, metric):
    field = dict(bbox='area', segm='segmentation')[metric]
    (scenes / 'other.json').write_text((scenes / 'val.json').read_text())
    change(
        scenes / 'other.json',
        lambda coco: [one.pop(field, 0) for one in coco['annotations']],
    )
    settings = dict(coco_metric(scenes, 'other.json'), metric=metric)
    with pytest.raises(ValueError, match=f'other.json, .* has no {field}'):
        checked(val_data(scenes), settings)
    # No annotation is read where nothing is evaluated.
    settings.update(format_only=True, outfile_prefix=f'{scenes}/out')
    checked(val_data(scenes), settings)


def test_a_test_set_without_annotations(scenes):
    change(scenes / 'val.json', lambda coco: coco.pop('annotations'))
    checked(val_data(scenes), coco_metric(scenes))


@pytest.mark.parametrize('fields', [dict(iscrowd=1), dict(category_id='1')])
def test_a_metric_without_an_object(scenes, fields):
    change(
        scenes / 'val.json',
        lambda coco: [one.update(fields) for one in coco['annotations']],
    )
    with pytest.raises(
        ValueError, match='val.json.* (no box|must be the id of a cat)'
    ):
        checked(val_data(scenes), coco_metric(scenes))


def test_a_metric_of_images_whose_ids_repeat(scenes):
    change(scenes / 'val.json', lambda coco: coco['images'][1].update(id=1))
    with pytest.raises(ValueError, match='val.json has two images of the id'):
        checked(val_data(scenes), coco_metric(scenes))


# Metrics that evaluate by the data set itself.


@pytest.fixture
def voc(tiny_scenes, tmp_path):
    write_voc(tiny_scenes, tmp_path / 'VOC2007', dict(test='val'), CLASSES)

    def make(**changes):
        return DATASETS.build(
            dict(
                type='VOCDataset',
                data_root=str(tmp_path),
                ann_file='VOC2007/ImageSets/Main/test.txt',
                data_prefix=dict(sub_data_root='VOC2007/'),
                test_mode=True,
                **changes,
            )
        )

    return make


@pytest.mark.parametrize('kind', [VOCMetric, CocoMetric])
def test_voc_whose_metainfo_was_forgotten(voc, kind):
    check_split(voc(metainfo=dict(classes=CLASSES)), [kind()])
    with pytest.raises(DataError, match='test.txt has no box of a class'):
        check_split(voc(), [kind()])


def test_parts_whose_images_have_the_same_ids(scenes):
    pack = dict(type='PackDetInputs', meta_keys=('img_id', 'instances'))
    parts = [
        val_data(scenes, name, pipeline=[pack])
        for name in ('val.json', 'train.json')
    ]
    data = dict(type='ConcatDataset', datasets=parts)
    for metric in (coco_metric(scenes), dict(type='CocoMetric')):
        with pytest.raises(DataError, match='val.json and .*train.json'):
            checked(DATASETS.build(data), metric)
    checked(DATASETS.build(data), dict(type='VOCMetric'))


def test_coco_metric_needs_what_is_not_packed(voc):
    meta = dict(classes=CLASSES)
    for keys in (('img_id', 'instances'), ('img_id',)):
        pack = dict(type='PackDetInputs', meta_keys=keys)
        data = voc(metainfo=meta, pipeline=[pack])
        if 'instances' in keys:
            check_split(data, [CocoMetric()])
            continue
        with pytest.raises(DataError, match='needs "instances" among'):
            check_split(data, [CocoMetric()])


# Heads.


class Named:
    """A data set, for the names of its classes."""

    ann_file = 'some.json'

    def __init__(self, count, **meta):
        names = tuple(f'c{k}' for k in range(count))
        self.metainfo = dict(classes=names, **meta)


@pytest.mark.parametrize(
    ('name', 'keys'),
    [
        ('faster-rcnn', 'model.roi_head.bbox_head.num_classes'),
        (
            'mask-rcnn',
            'model.roi_head.bbox_head.num_classes, '
            'model.roi_head.mask_head.num_classes',
        ),
        ('retinanet', 'model.bbox_head.num_classes'),
    ],
)
@pytest.mark.parametrize('around', [False, True])
def test_heads(name, keys, around):
    model = plain_detector(name)
    if around:
        scales = dict(scales=[1.0])
        model = dict(
            type='sniper_mmdet.PyramidDetector', detector=model, **scales
        )
    model = MODELS.build(model)
    check_heads(model, Named(3))
    # Of panoptic data, some heads have the things only.
    check_heads(model, Named(5, thing_classes=('a', 'b', 'c')))
    check_heads(model, Named(0))
    for count in (2, 4):
        with pytest.raises(DataError) as error:
            check_heads(model, Named(count))
        text = str(error.value)
        assert text.startswith(f'{keys} must be {count}, the number of meta')
        assert 'some.json' in text
        assert 'Received: 3' in text


def test_an_rpn_alone_has_one_class():
    """It is the first stage of negative chips; mmdet calls it bbox_head."""
    model = dict(detector=plain_detector('faster-rcnn'), rpn_only=True)
    model = MODELS.build(
        dict(model, type='sniper_mmdet.PyramidDetector', scales=[1.0])
    )
    check_heads(model, Named(4))


def test_one_head_of_several():
    bare = torch.nn.Module()
    bare.bbox_head = torch.nn.ModuleList(torch.nn.Module() for _ in range(3))
    for k, head in enumerate(bare.bbox_head):
        head.num_classes = 3 if k else 80
    bare.rpn_head = torch.nn.Module()
    bare.rpn_head.num_classes = 1
    bare.mask_head = torch.nn.Module()
    bare.mask_head.num_classes, bare.mask_head.class_agnostic = 80, True
    with pytest.raises(DataError, match=r'^model.bbox_head.0.num_classes mu'):
        check_heads(bare, Named(3))
    bare.language_model = torch.nn.Module()
    check_heads(bare, Named(3))


def test_names():
    check_names([], 'checkpoint', CLASSES, 'test data')
    check_names(CLASSES, 'checkpoint', CLASSES, 'test data')
    with pytest.raises(DataError, match=r'of the checkpoint .*disc.*ring'):
        check_names(CLASSES[::-1], 'checkpoint', CLASSES, 'test data')


# Whole runs.


def config(scenes, **options):
    cfg = Config.fromfile(SAMPLE_CONFIG)
    name = str(scenes / 'out')
    options = {
        'work_dir': name,
        'experiment_name': name,
        'visualizer.name': name,
        'train_dataloader.sampler.epoch_size': 2,
        'train_cfg.max_epochs': 1,
        **options,
    }
    cfg.merge_from_dict(sample_options(**options))
    for split in ('train', 'val', 'test'):
        data = cfg[f'{split}_dataloader'].dataset
        (data.dataset if split == 'train' else data).data_root = f'{scenes}/'
    for split in ('val', 'test'):
        cfg[f'{split}_evaluator'].ann_file = f'{scenes}/val.json'
    return cfg


WRONG = [
    (
        {'model.roi_head.bbox_head.num_classes': 80},
        r'model.roi_head.bbox_head.num_classes must be 4.*Received: 80',
    ),
    (
        {'val_dataloader.dataset.metainfo': dict(classes=CLASSES[::-1])},
        'val.json number the labels in another order',
    ),
    (
        {'val_dataloader.dataset.type': 'CocoDataset'},
        "names the class 'person', which .*val.json lacks",
    ),
    (
        {'val_dataloader.dataset.ann_file': 'train.json'},
        'val.json, which evaluates .*train.json, must have',
    ),
]


@pytest.mark.parametrize(('options', 'sentence'), WRONG)
def test_a_run_stops_before_its_first_iteration(scenes, options, sentence):
    """With MMDetection's own script too: by the hook of the config."""
    runner = Runner.from_cfg(config(scenes, **options))
    with pytest.raises(ValueError, match=sentence):
        runner.train()
    assert runner.iter == 0


def test_training_and_validation_of_two_orders(scenes):
    change(scenes / 'val.json', lambda coco: coco['categories'].reverse())
    meta = dict(classes=CLASSES[::-1])
    cfg = config(scenes, **{'val_dataloader.dataset.metainfo': meta})
    with pytest.raises(DataError, match='the train data and of the val data'):
        checked_runner(cfg, 'train', 'val')


BROKEN = [
    ('annotations', dict(area=None), 'the area of annotation 2 must be a num'),
    ('annotations', dict(bbox=None), 'the bbox of annotation 2 must be .x, y'),
    ('annotations', dict(id=1), 'has two annotations of the id 1'),
    ('images', dict(id=1), 'has two images of the id 1: '),
    ('images', dict(width='160'), 'the width of image 2 must be a number'),
    ('images', dict(file_name=None), 'the file_name of image 2 must be text'),
]


@pytest.mark.parametrize(('entries', 'fields', 'sentence'), BROKEN)
@pytest.mark.parametrize('metric', ['val.json', None])
def test_a_broken_val_file_is_named(scenes, entries, fields, sentence, metric):
    """Whether the metric reads a file or not."""
    change(scenes / 'val.json', lambda coco: coco[entries][1].update(fields))
    cfg = config(scenes)
    if metric is None:
        cfg.val_evaluator.ann_file = None
    with pytest.raises(ValueError, match=f'val.json.* {sentence}'):
        checked_runner(cfg, 'val')


def test_val_images_without_a_size(scenes):
    """Their headers have it, as in training."""
    change(
        scenes / 'val.json',
        lambda coco: [one.pop('width') for one in coco['images']],
    )
    runner = checked_runner(config(scenes), 'val')
    info = runner.val_dataloader.dataset.get_data_info(0)
    assert info['width'] > 1


def test_a_broken_voc_file_to_validate_on_is_named(scenes):
    write_voc(scenes, scenes / 'VOC', dict(test='val'), CLASSES)
    data = dict(
        type='VOCDataset',
        ann_file='VOC/ImageSets/Main/test.txt',
        data_prefix=dict(sub_data_root='VOC/'),
        data_root=f'{scenes}/',
        metainfo=dict(classes=CLASSES),
        test_mode=True,
    )
    cfg = config(scenes)
    cfg.val_dataloader.dataset = data
    cfg.val_evaluator = dict(type='VOCMetric')
    checked_runner(cfg, 'val')
    *_, last = sorted((scenes / 'VOC/Annotations').iterdir())
    last.write_text(last.read_text().replace('<xmin>', '<xmin>at '))
    cfg.experiment_name = cfg.visualizer.name = f'{scenes}/again'
    with pytest.raises(ValueError, match=f'{last}: the xmin of object 1 mu'):
        checked_runner(cfg, 'val')


def test_a_checkpoint_of_another_order(scenes):
    cfg = config(scenes)
    weights = MODELS.build(cfg.model).state_dict()
    cfg.load_from = str(scenes / 'other.pth')
    meta = dict(dataset_meta=dict(classes=CLASSES[::-1]))
    torch.save(dict(state_dict=weights, meta=meta), cfg.load_from)
    # A config without a hook of ours.
    cfg.custom_hooks = []
    runner = checked_runner(cfg, 'test')
    with pytest.raises(DataError, match='of the checkpoint and of the test'):
        runner.test()
    # Another detector may start from it.
    cfg.update(val_dataloader=None, val_cfg=None, val_evaluator=None)
    checked_runner(cfg, 'train', 'val').train()
