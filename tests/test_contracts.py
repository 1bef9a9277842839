"""What the package relies on in others and no documentation promises.

Each test names what has to change here if a new release breaks the promise.
CONTRIBUTING.md lists the same things.
"""

import ast
import copy
import inspect
import io
import itertools
import json
import pickle
import textwrap
import zipfile
from importlib.util import find_spec
from pathlib import Path

import mmcv
import numba
import numpy as np
import pytest
import torch
from mmdet.datasets import CocoDataset
from mmdet.datasets.transforms import LoadAnnotations
from mmdet.evaluation import CocoMetric, LVISMetric
from mmdet.evaluation.functional.mean_ap import tpfp_openimages
from mmdet.models.dense_heads import (
    AnchorHead,
    ATSSHead,
    CenterNetUpdateHead,
    DETRHead,
    FCOSHead,
    FoveaHead,
    Mask2FormerHead,
    MaskFormerHead,
    RPNHead,
    YOLOXHead,
)
from mmdet.models.detectors.base import BaseDetector
from mmdet.models.losses import DDQAuxLoss
from mmdet.models.roi_heads import StandardRoIHead
from mmdet.models.roi_heads.bbox_heads import BBoxHead
from mmdet.models.task_modules import RandomSampler
from mmdet.registry import MODELS, TRANSFORMS
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config, ConfigDict
from mmengine.dataset import BaseDataset
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from tiny import plain_detector
from torch import nn
from torch.nn.modules import batchnorm

from sniper_mmdet.chips.cover import axis_positions
from sniper_mmdet.engine import HalfPrecisionOptimWrapper
from sniper_mmdet.structures import ALL_BOXES, UNSEEN

_NUMBERS = itertools.count()


class Toy(BaseModel):
    """A model that any batch trains."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, inputs, mode='tensor'):
        return dict(loss=self.weight * 2)


class Telling(Hook):
    """Keeps what a runner says of itself while a checkpoint is loaded."""

    def __init__(self):
        self.told = []

    def after_load_checkpoint(self, runner, checkpoint):
        self.told.append(getattr(runner, '_resume', None))


def runner_of(folder, **settings) -> Runner:
    model = Toy()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return Runner(
        model,
        str(folder),
        train_dataloader=dict(
            dataset=[torch.zeros(1)] * 2,
            sampler=dict(type='DefaultSampler', shuffle=False),
            batch_size=1,
        ),
        optim_wrapper=OptimWrapper(optimizer),
        default_scope='mmdet',
        # Runners of one second would share their logger.
        experiment_name=f'{folder.name}_{next(_NUMBERS)}',
        log_level='ERROR',
        **{'train_cfg': dict(by_epoch=True, max_epochs=1), **settings},
    )


@pytest.mark.parametrize(
    'owner, name, user',
    [
        (Config, '_is_lazy_import', 'sniperize/config.py'),
        (RPNHead, '_bbox_post_process', 'ReleasedRPNHead'),
        (StandardRoIHead, '_bbox_forward', 'released/outputs.py'),
        (StandardRoIHead, '_mask_forward', 'released/outputs.py'),
        (DETRHead, '_get_targets_single', 'range_aware_query_heads.py'),
        (DDQAuxLoss, '_get_target_single', 'range_aware_query_heads.py'),
        (MaskFormerHead, '_get_targets_single', 'range_aware_mask_heads.py'),
        (Mask2FormerHead, '_get_targets_single', 'range_aware_mask_heads.py'),
        (
            CenterNetUpdateHead,
            '_get_targets_single',
            'range_aware_heat_heads.py',
        ),
        (FCOSHead, 'get_targets', 'range_aware_point_heads.py'),
        (BBoxHead, 'get_targets', 'soft_sampling_roi_head.py'),
        (AnchorHead, '_get_targets_single', 'soft_sampling_heads.py'),
        (ATSSHead, '_get_targets_single', 'soft_sampling_heads.py'),
        (FoveaHead, 'get_targets', 'range_aware_point_heads.py'),
        (YOLOXHead, '_get_targets_single', 'range_aware_yolox_head.py'),
        (RandomSampler, '_sample_pos', 'HardAnchorSampler'),
        (RandomSampler, '_sample_neg', 'HardAnchorSampler'),
        (BaseDetector, '_forward', 'WrappedDetector'),
        (LoadAnnotations, '_load_masks', 'LoadAnnotatedMasks'),
        (LoadAnnotations, '_process_masks', 'LoadAnnotatedMasks'),
        (nn.Module, '_register_state_dict_hook', 'WrappedDetector'),
        (nn.Module, '_register_load_state_dict_pre_hook', 'WrappedDetector'),
        (batchnorm, '_BatchNorm', 'PreActResNet'),
        (pickle, '_Unpickler', 'datasets/formats/array_pickle.py'),
        (np.lib.format, 'read_magic', 'datasets/proposals.py'),
        (np.lib.format, 'read_array_header_1_0', 'datasets/proposals.py'),
        (np.lib.format, 'read_array_header_2_0', 'datasets/proposals.py'),
    ],
)
def test_what_has_a_name_is_there(owner, name, user):
    assert hasattr(owner, name), (
        f'{owner.__name__}.{name} is gone: {user} must do without it.'
    )


def test_a_runner_tells_a_resumed_run_from_a_loaded_one(tmp_path):
    runner_of(tmp_path).train()
    for resume in (True, False):
        telling = Telling()
        runner = runner_of(
            tmp_path,
            load_from=str(tmp_path / 'epoch_1.pth'),
            resume=resume,
            custom_hooks=[telling],
        )
        runner.train()
        assert telling.told == [resume], (
            'Runner._resume no longer says whether a checkpoint is resumed: '
            'ChipMiningHook.after_load_checkpoint needs another sign.'
        )


def test_a_runner_has_configs_of_data_until_a_loop_is_built(tmp_path):
    runner = runner_of(tmp_path)
    loader = runner._train_dataloader
    assert isinstance(loader, dict), (
        'Runner._train_dataloader is no config: data_checks._built must have '
        'data sets read in another way.'
    )


def test_a_loop_takes_its_batches_from_where_a_hook_may_put_others(tmp_path):
    class Other(Hook):
        def before_train_epoch(self, runner):
            batches = [[torch.zeros(1)]] * 2
            runner.train_loop.dataloader_iterator = iter(batches)
            self.left = runner.train_loop.dataloader_iterator

    other = Other()
    runner = runner_of(
        tmp_path,
        train_cfg=dict(by_epoch=False, max_iters=2),
        custom_hooks=[other],
    )
    runner.train()
    assert not list(other.left), (
        'IterBasedTrainLoop no longer takes its batches from '
        'dataloader_iterator: EndlessChips.put_into needs another place.'
    )


def test_schedules_are_there_before_their_checkpoint_is(tmp_path):
    schedule = dict(type='LinearLR', by_epoch=False, end=9)
    runner_of(tmp_path, param_scheduler=schedule).train()

    class Looking(Hook):
        def after_load_checkpoint(self, runner, checkpoint):
            (one,) = runner.param_schedulers
            (state,) = checkpoint['param_schedulers']
            steps = one._global_step, state['_global_step']
            self.seen = steps, state['end'], state['total_iters']

    looking = Looking()
    runner_of(
        tmp_path,
        param_scheduler=schedule,
        load_from=str(tmp_path / 'epoch_1.pth'),
        resume=True,
        custom_hooks=[looking],
    ).train()
    assert looking.seen == ((0, 2), 9, 8), (
        'A scheduler is no longer built before a checkpoint is loaded, or '
        'keeps other things: see engine/schedules.py.'
    )


def test_torch_can_be_told_to_read_weights_only(tmp_path, monkeypatch):
    path = tmp_path / 'one.pth'
    torch.save(dict(one=Toy), path)
    assert torch.load(path, weights_only=False)
    monkeypatch.setenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '1')
    with pytest.raises(pickle.UnpicklingError, match='GLOBAL .*Toy'):
        torch.load(path, weights_only=False)


def test_a_runner_keeps_how_it_is_seeded(tmp_path):
    runner = runner_of(tmp_path, randomness=dict(seed=3, diff_rank_seed=True))
    seeding = getattr(runner, '_randomness_cfg', {})
    assert seeding.get('diff_rank_seed'), (
        'Runner._randomness_cfg no longer has diff_rank_seed: '
        'ChipMiningHook.before_train needs another way to see that ranks '
        'have seeds of their own.'
    )


@pytest.mark.parametrize(
    'text, lazy',
    [
        ("_base_ = 'a.py'\nx = 1\n", False),
        ('x = 1\n', False),
        (
            'from mmengine.config import read_base\n'
            'with read_base():\n    from .a import *\n',
            True,
        ),
        ('from torch.optim import SGD\nx = dict(type=SGD)\n', True),
    ],
)
def test_a_config_in_pure_python_is_told_by_its_text(tmp_path, text, lazy):
    path = tmp_path / 'config.py'
    path.write_text(text)
    assert Config._is_lazy_import(str(path)) is lazy, (
        'Config._is_lazy_import tells otherwise: sniperize/config.py must '
        'find configs that no text config can inherit from in another way.'
    )


@pytest.mark.cpu_fp16
def test_the_half_precision_wrapper_has_all_that_its_parent_sets():
    source = textwrap.dedent(inspect.getsource(AmpOptimWrapper.__init__))
    expected = {
        node.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and node.value.id == 'self'
    }
    model = Toy()
    wrapper = HalfPrecisionOptimWrapper(
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1)
    )
    assert {'loss_scaler', 'cast_dtype'} <= expected <= set(vars(wrapper)), (
        'AmpOptimWrapper.__init__, which HalfPrecisionOptimWrapper leaves '
        f'out, sets {sorted(expected)}: it must set the same.'
    )


def parameters(function) -> list[str]:
    return list(inspect.signature(function).parameters)[1:]


def test_boxes_of_an_rpn_pass_one_method_with_their_image(monkeypatch):
    assert parameters(RPNHead._bbox_post_process) == (
        'results cfg rescale with_nms img_meta'.split()
    ), 'RPNHead._bbox_post_process: ReleasedRPNHead overrides it.'
    detector = MODELS.build(plain_detector('faster-rcnn')).eval()
    given = []

    def keep(self, results, cfg, rescale=False, with_nms=True, img_meta=None):
        given.append((results, cfg, img_meta))
        return results

    monkeypatch.setattr(RPNHead, '_bbox_post_process', keep)
    sample = DetDataSample(metainfo=dict(img_shape=(64, 64), chip_range=1))
    with torch.no_grad():
        detector.rpn_head.predict(
            detector.extract_feat(torch.zeros(1, 3, 64, 64)), [sample]
        )
    ((results, cfg, meta),) = given
    assert {'bboxes', 'scores'} <= set(results.keys()) and (
        meta['chip_range'] == 1 and cfg is not detector.rpn_head.test_cfg
    ), (
        'RPNHead._bbox_post_process no longer gets boxes before NMS, the '
        "image's metainfo and a config of its own: ReleasedRPNHead leaves "
        'out boxes there, and changes the config.'
    )


@pytest.mark.parametrize('name', ['retinanet', 'faster-rcnn'])
def test_a_map_without_cells_is_one_where_nothing_is_found(name):
    detector = MODELS.build(plain_detector(name)).eval()
    head = detector.rpn_head if name == 'faster-rcnn' else detector.bbox_head
    metas = [dict(img_shape=(64, 64), scale_factor=(1, 1))]
    with torch.no_grad():
        maps = head(detector.extract_feat(torch.zeros(1, 3, 64, 64)))
        empty = [[x[..., :0, :] for x in of_maps] for of_maps in maps]
        (found,) = head.predict_by_feat(*empty, batch_img_metas=metas)
    assert len(found) == 0, (
        'Heads of mmdet read maps without cells: AnsweringMaps makes such.'
    )


def test_labels_below_0_cost_nothing():
    scores = torch.tensor([[0.3], [-0.2]], requires_grad=True)
    loss = MODELS.build(
        dict(type='mmdet.CrossEntropyLoss', use_sigmoid=True, reduction='sum')
    )
    loss(scores, torch.tensor([[-1.0], [0.0]])).backward()
    assert (scores.grad != 0).tolist() == [[False], [True]], (
        'RangeAwareYOLOXHead must leave them out otherwise.'
    )


def test_the_second_stage_runs_on_given_rois():
    assert parameters(StandardRoIHead._bbox_forward)[:2] == ['x', 'rois']
    assert parameters(StandardRoIHead._mask_forward)[:2] == ['x', 'rois']
    detector = MODELS.build(plain_detector('mask-rcnn')).eval()
    with torch.no_grad():
        maps = detector.extract_feat(torch.zeros(1, 3, 64, 64))
        rois = torch.tensor([[0, 4.0, 4, 40, 40]])
        boxes = detector.roi_head._bbox_forward(maps, rois)
        masks = detector.roi_head._mask_forward(maps, rois)
    assert boxes['cls_score'].shape == (1, 4) and len(masks['mask_preds']), (
        'StandardRoIHead._bbox_forward or _mask_forward has changed: '
        'released/outputs.py runs them on the RoIs of a record.'
    )


@pytest.mark.parametrize('name', ['faster-rcnn', 'retinanet'])
def test_heads_look_up_their_test_cfg_at_each_image(name):
    detector = MODELS.build(plain_detector(name)).eval()
    head = detector.rpn_head if name == 'faster-rcnn' else detector.bbox_head
    sample = DetDataSample(
        metainfo=dict(
            img_shape=(64, 64), ori_shape=(64, 64), scale_factor=(1, 1)
        )
    )
    found = []
    for most in (20, 7):
        head.test_cfg = copy.deepcopy(head.test_cfg)
        head.test_cfg.max_per_img = most
        with torch.no_grad():
            features = detector.extract_feat(torch.rand(1, 3, 64, 64))
            found.append(len(head.predict(features, [sample])[0]))
    assert found == [20, 7], (
        f'{type(head).__name__} keeps its test_cfg elsewhere: '
        'models/detectors/box_proposals.py swaps it to get more or fewer '
        'boxes.'
    )


def test_a_wrapped_detector_does_not_rename_its_rpn():
    detector = MODELS.build(plain_detector('faster-rcnn'))
    state = {
        key.replace('rpn_head.', 'bbox_head.')
        if key.startswith('rpn_head.')
        else key: value
        for key, value in detector.state_dict().items()
    }
    assert not detector.load_state_dict(dict(state), strict=False).missing_keys
    outer = nn.ModuleDict(dict(detector=detector))
    missing = outer.load_state_dict(
        {f'detector.{key}': value for key, value in state.items()},
        strict=False,
    ).missing_keys
    assert missing, (
        'mmdet renames the RPN of a wrapped detector now: '
        'WrappedDetector._import_plain_keys need not do so any more.'
    )


def test_state_dicts_pass_hooks_that_may_rename_tensors():
    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.BatchNorm1d(2)
            self._register_state_dict_hook(self.rename)
            self._register_load_state_dict_pre_hook(
                self.rename_back, with_module=False
            )

        @staticmethod
        def rename(module, state, prefix, _):
            for key in list(state):
                state[key.replace('inner.', '')] = state.pop(key)

        def rename_back(self, state, prefix, *_):
            for key in list(state):
                state[f'{prefix}inner.{key[len(prefix) :]}'] = state.pop(key)

    told = (
        "torch's hooks of state dicts have changed: WrappedDetector names "
        'its tensors as the wrapped detector does by them.'
    )
    state = Outer().state_dict()
    assert 'weight' in state, told
    assert state._metadata['inner']['version'] == 2, told
    assert not any(Outer().load_state_dict(state)), told
    assert inspect.signature(
        nn.Module._register_load_state_dict_pre_hook
    ).parameters['with_module'], told


def test_a_coco_dataset_reads_by_an_attribute(tmp_path):
    coco = dict(images=[], annotations=[], categories=[])
    path = tmp_path / 'coco.json'
    path.write_text(json.dumps(coco))
    config = dict(serialize_data=False, lazy_init=True, indices=0)
    dataset = CocoDataset(ann_file=str(path), **config)
    assert dataset._indices == 0  # VOCReader asks, before the file is read
    given, read = [], dataset.COCOAPI
    dataset.COCOAPI = lambda path: given.append(path) or read(path)
    dataset.full_init()
    assert given == [str(path)]


def test_all_batch_norms_are_of_one_private_kind():
    for kind in (nn.BatchNorm1d, nn.BatchNorm2d, nn.SyncBatchNorm):
        assert issubclass(kind, batchnorm._BatchNorm), (
            'torch.nn.modules.batchnorm._BatchNorm: PreActResNet freezes '
            'the statistics of its kinds.'
        )


def test_a_detector_asks_one_method_for_its_plain_forward():
    assert BaseDetector._forward.__isabstractmethod__, (
        'BaseDetector._forward: WrappedDetector hands it on.'
    )


def test_a_subclass_may_listen_to_the_meta_of_a_metric():
    assert BaseMetric.dataset_meta.fset is not None, (
        'BaseMetric.dataset_meta is no property any more: VisDroneMetric '
        'checks the classes when it is set.'
    )


def test_groups_come_last_in_the_matches_of_openimages():
    found = np.array([[0, 0, 9, 9, 0.9], [20, 20, 29, 29, 0.8]])
    truth = np.array([[0, 0, 50, 50], [20, 20, 29, 29], [60, 60, 90, 90.0]])
    hits, _, kept = tpfp_openimages(
        found,
        truth,
        np.zeros((0, 4)),
        gt_bboxes_group_of=np.array([True, False, True]),
    )
    assert hits.tolist() == [[1, 1, 0]] and kept[:, 4].tolist() == [
        0.8,
        0.9,
        0,
    ], 'mmdet.evaluation.functional.mean_ap: OpenImagesMetric cuts groups off.'


def test_a_data_set_chooses_images_by_one_method():
    source = inspect.getsource(BaseDataset)
    for name in ('_get_unserialized_subset(', '_copy_without_annotation('):
        assert f'self.{name}' in source, (
            f'BaseDataset.{name[:-1]} is gone: OpenImagesDataset chooses rows '
            'of its table by it.'
        )


def test_a_metric_has_the_annotations_that_it_has_read(tmp_path):
    path = tmp_path / 'coco.json'
    path.write_text('{"images": [], "annotations": [], "categories": []}')
    truth = getattr(CocoMetric(ann_file=str(path)), '_coco_api', None)
    assert isinstance(truth, COCO), (
        'CocoMetric._coco_api is gone: engine/metric_checks.py numbers its '
        'annotations and compares its images.'
    )
    assert '_lvis_api' in inspect.getsource(LVISMetric), (
        'LVISMetric._lvis_api is gone: engine/metric_checks.py numbers its '
        'annotations.'
    )


def test_pickles_are_read_opcode_by_opcode():
    asked = []

    class Asking(pickle._Unpickler):
        dispatch = dict(pickle._Unpickler.dispatch)

        def load_build(self):
            asked.append(type(self.stack[-2]).__name__)
            super().load_build()

        def load_bytearray8(self):
            (size,) = np.frombuffer(self.read(8), '<u8')
            asked.append(int(size))
            self.append(bytearray(self.read(int(size))))

        dispatch[pickle.BUILD[0]] = load_build
        dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8

    data = pickle.dumps([np.arange(3), bytearray(b'abc')], protocol=5)
    found = Asking(io.BytesIO(data), encoding='latin1').load()
    assert found[1] == b'abc' and found[0].tolist() == [0, 1, 2]
    assert 3 in asked and len(set(asked)) > 1, (
        'pickle._Unpickler no longer goes by its table of opcodes: '
        'datasets/formats/array_pickle.py guards two of them by it.'
    )


@pytest.mark.parametrize('fortran', [False, True])
def test_where_an_array_lies_in_an_npz(tmp_path, fortran):
    array = np.arange(6, dtype='i8').reshape(2, 3)
    array = np.asfortranarray(array) if fortran else array
    np.savez(tmp_path / 'a.npz', array=array)
    told = (
        'np.savez or np.lib.format has changed: datasets/proposals.py maps '
        'the arrays of a proposal file by them.'
    )
    with zipfile.ZipFile(tmp_path / 'a.npz') as archive:
        info = archive.getinfo('array.npy')
        assert info.compress_type == zipfile.ZIP_STORED, told
        with archive.open(info) as member:
            version = np.lib.format.read_magic(member)
            assert version in ((1, 0), (2, 0)), told
            read = np.lib.format.read_array_header_1_0
            assert read(member) == ((2, 3), fortran, np.dtype('i8')), told
            header = member.tell()
    data = (tmp_path / 'a.npz').read_bytes()
    lengths = np.frombuffer(data, '<u2', 2, info.header_offset + 26)
    start = info.header_offset + 30 + int(lengths.sum()) + header
    assert np.frombuffer(data, 'i8', 6, start).tolist() == (
        array.ravel('K').tolist()
    ), told


def test_the_compiled_ops_of_mmcv_are_one_module():
    assert find_spec('mmcv._ext') is not None, (
        'mmcv._ext: utils/dependencies.py tells by it whether mmcv has ops.'
    )


def test_numba_asks_for_its_cache_where_a_function_is_decorated(
    monkeypatch, tmp_path
):
    monkeypatch.setattr(numba.config, 'CACHE_DIR', str(tmp_path))
    function = numba.njit(cache=True)(axis_positions.py_func)
    monkeypatch.undo()
    assert tmp_path in Path(function.stats.cache_path).parents, (
        'numba.config.CACHE_DIR: chips/compiled.py names a folder by it.'
    )


def test_what_numpy_says_of_no_arrays():
    with pytest.raises(ValueError, match='need at least one array'):
        np.concatenate([])  # datasets/annotations.py knows it by that


def test_coco_keeps_its_matches_image_by_image():
    thing = dict(image_id=1, category_id=1, bbox=[0, 0, 9, 9], area=81)
    truth = COCO()
    truth.dataset = dict(
        images=[dict(id=1, width=99, height=99)],
        annotations=[
            dict(thing, id=1, iscrowd=0),
            dict(thing, id=2, iscrowd=1, bbox=[50, 50, 40, 40]),
        ],
        categories=[dict(id=1, name='thing')],
    )
    truth.createIndex()
    boxes = ([0, 0, 9, 9], [60, 60, 9, 9], [20, 20, 9, 9])
    found = [
        dict(image_id=1, category_id=1, bbox=list(box), score=1 - k / 10)
        for k, box in enumerate(boxes)
    ]
    evaluation = COCOeval(truth, truth.loadRes(found), 'bbox')
    evaluation.evaluate()
    told = (
        'COCOeval.evalImgs has changed: evaluation/coco.py counts false '
        'positives from it.'
    )
    image = evaluation.evalImgs[0]
    assert image['aRng'] == evaluation.params.areaRng[0], told
    assert (image['dtMatches'][0] > 0).tolist() == [True, True, False], told
    assert image['dtIgnore'][0].tolist() == [False, True, False], told
    assert np.allclose(image['dtScores'], [1, 0.9, 0.8]), told
    assert sorted(np.ravel(image['gtIgnore']).tolist()) == [0, 1], told


def test_boxes_of_a_third_flag_are_packed_nowhere():
    told = (
        'PackDetInputs has changed: where out_of_range is drop, ChipDataset '
        'keeps boxes from the detector by the flag UNSEEN.'
    )
    boxes = HorizontalBoxes(np.eye(3, 4, dtype=np.float32))
    flags = np.array([0, 1, UNSEEN])
    pack = TRANSFORMS.build(dict(type='PackDetInputs', meta_keys=ALL_BOXES))
    given = dict(gt_bboxes=boxes, gt_bboxes_labels=np.arange(3))
    sample = pack(dict(given, gt_ignore_flags=flags))['data_samples']
    assert sample.gt_instances.labels.tolist() == [0], told
    assert sample.ignored_instances.labels.tolist() == [1], told
    assert len(sample.gt_bboxes) == 3, told
    assert sample.gt_ignore_flags.tolist() == flags.tolist(), told


def test_the_test_pipeline_of_a_config_is_found_in_its_wrappers():
    pipeline = [dict(type='LoadImageFromFile')]
    for dataset in (
        dict(pipeline=pipeline),
        dict(type='RepeatDataset', dataset=dict(pipeline=pipeline)),
        dict(type='ConcatDataset', datasets=[dict(pipeline=pipeline)]),
    ):
        cfg = ConfigDict(test_dataloader=dict(dataset=dataset))
        assert get_test_pipeline_cfg(cfg) == pipeline
    for cfg in (
        ConfigDict(),
        ConfigDict(test_dataloader=dict(dataset=dict(type='X'))),
    ):
        # apis/inputs.py says in a sentence what these mean.
        with pytest.raises((AttributeError, KeyError, RuntimeError)):
            get_test_pipeline_cfg(cfg)


def test_one_transform_loads_files_and_arrays_alike(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (4, 6, 3), np.uint8)
    path = str(tmp_path / 'a.png')
    mmcv.imwrite(image, path)
    load = TRANSFORMS.build(dict(type='mmdet.InferencerLoader'))
    for given in (dict(img=image), dict(img_path=path)):
        loaded = load(given)
        assert np.array_equal(loaded['img'], image), (
            'InferencerLoader has changed: apis/inputs.py loads both by it.'
        )
        assert tuple(loaded['ori_shape']) == (4, 6)


def test_heads_are_told_objects_and_images_last(monkeypatch):
    """Else loss_by_feat of soft_sampling_heads.py takes others for them."""
    model = MODELS.build(plain_detector('retinanet'))
    given = []
    monkeypatch.setattr(
        model.bbox_head, 'loss_by_feat', lambda *args: given.extend(args)
    )
    sample = DetDataSample(metainfo=dict(img_shape=(64, 64)))
    sample.gt_instances = InstanceData(labels=torch.zeros(1))
    sample.ignored_instances = InstanceData()
    model.loss(torch.zeros(1, 3, 64, 64), [sample])
    *_, objects, metas, ignored = given
    assert objects == [sample.gt_instances]
    assert metas == [sample.metainfo]
    assert ignored == [sample.ignored_instances]
