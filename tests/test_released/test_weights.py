"""Names and layouts of the released tensors."""

import numpy as np
import pytest

from sniper_mmdet.released.reordering import (
    background_first,
    background_last,
    backgrounds_first,
    object_first,
)
from sniper_mmdet.released.weights import convert

STDS = np.array([0.1, 0.1, 0.2, 0.2], np.float32)


def detector():
    """A few tensors of a file, and the shapes of those of a detector."""
    rng = np.random.default_rng(0)
    shapes = {
        'arg:bn_data_gamma': (3,),
        'arg:stage3_unit12_conv2_weight': (2, 2, 3, 3),
        'aux:stage3_unit12_bn2_moving_var': (2,),
        'arg:stage4_unit1_offset_bias': (72,),
        'arg:rpn_cls_score_weight': (6, 2, 1, 1),
        'arg:cls_score_bias': (4,),
        'arg:bbox_pred_weight': (4, 5),
        'arg:bbox_pred_bias': (4,),
    }
    params = {
        name: rng.normal(size=shape).astype(np.float32)
        for name, shape in shapes.items()
    }
    targets = [
        'backbone.bn_data.weight',
        'backbone.stage3.11.conv2.weight',
        'backbone.stage3.11.bn2.running_var',
        'backbone.stage4.0.offset.bias',
        'rpn_head.rpn_cls.weight',
        'roi_head.bbox_head.fc_cls.bias',
        'roi_head.bbox_head.fc_reg.weight',
        'roi_head.bbox_head.fc_reg.bias',
    ]
    places = dict(zip(targets, shapes.values(), strict=True))
    places['backbone.bn_data.num_batches_tracked'] = ()
    return params, places


def test_every_tensor_finds_its_place():
    params, places = detector()
    done = convert(params, places)
    assert list(done.mapped) == list(params)
    assert not done.unused and not done.missing
    assert {k: v.shape for k, v in done.state.items()} == {
        k: v for k, v in places.items() if not k.endswith('tracked')
    }
    np.testing.assert_array_equal(
        done.state['backbone.stage3.11.conv2.weight'],
        params['arg:stage3_unit12_conv2_weight'],
    )


def test_a_fixed_scale_is_one():
    params, places = detector()
    scale = convert(params, places).state['backbone.bn_data.weight']
    np.testing.assert_array_equal(scale, [1, 1, 1])


def test_classes_and_anchors_are_reordered():
    names = np.array(['bg0', 'bg1', 'bg2', 'fg0', 'fg1', 'fg2'])
    assert object_first(names).tolist() == [
        *('fg0', 'bg0'),
        *('fg1', 'bg1'),
        *('fg2', 'bg2'),
    ]
    assert backgrounds_first(object_first(names)).tolist() == names.tolist()
    classes = np.array(['background', 'cat', 'dog'])
    assert background_last(classes).tolist() == ['cat', 'dog', 'background']
    assert background_first(background_last(classes))[0] == 'background'
    params, places = detector()
    state = convert(params, places).state
    scores = params['arg:rpn_cls_score_weight']
    np.testing.assert_array_equal(
        state['rpn_head.rpn_cls.weight'], scores[[3, 0, 4, 1, 5, 2]]
    )
    bias = params['arg:cls_score_bias']
    np.testing.assert_array_equal(
        state['roi_head.bbox_head.fc_cls.bias'], bias[[1, 2, 3, 0]]
    )


@pytest.mark.parametrize('both', [True, False])
def test_boxes_are_predicted_divided_by_their_deviations(both):
    params, places = detector()
    plain = {}
    for kind in ('weight', 'bias'):
        name = f'arg:bbox_pred_{kind}'
        plain[kind] = params[name]
        params[f'{name}_test'] = (params[name].T * STDS).T
        if not both:
            del params[name]
    state = convert(params, places).state
    for kind, values in plain.items():
        np.testing.assert_allclose(
            state[f'roi_head.bbox_head.fc_reg.{kind}'], values, rtol=1e-6
        )


def test_a_box_layer_that_contradicts_itself():
    params, places = detector()
    params['arg:bbox_pred_bias_test'] = params['arg:bbox_pred_bias']
    with pytest.raises(ValueError, match='arg:bbox_pred_bias_test must be'):
        convert(params, places)
    params['arg:bbox_pred_bias_test'] = np.zeros(3)
    with pytest.raises(ValueError, match=r'4 numbers a box.*\(3,\)'):
        convert(params, places)


def spoil(params, places, how):
    name = 'arg:cls_score_bias'
    if how == 'unknown':
        params['arg:conv_new_9_weight'] = np.zeros(2)
    elif how == 'unknown kind':
        params['arg:cls_score_whatever'] = np.zeros(2)
    elif how == 'no such layer here':
        params['arg:conv_new_2_bias'] = np.zeros(2)
    elif how == 'missing':
        del params[name]
    elif how == 'shape':
        params[name] = params[name][:-1]
    elif how == 'transposed':
        params['arg:bbox_pred_weight'] = params['arg:bbox_pred_weight'].T
    elif how == 'nan':
        params[name][1] = np.nan


@pytest.mark.parametrize(
    'how, message',
    [
        ('unknown', 'arg:conv_new_9_weight has no place'),
        ('unknown kind', 'arg:cls_score_whatever has no place'),
        ('no such layer here', 'arg:conv_new_2_bias has no place'),
        ('missing', 'fc_cls.bias is missing'),
        ('shape', r'arg:cls_score_bias is \(3,\), .*fc_cls.bias \(4,\)'),
        ('transposed', r'arg:bbox_pred_weight is \(5, 4\)'),
        ('nan', 'arg:cls_score_bias has numbers that are not finite'),
    ],
)
def test_a_mismatch_is_named(how, message):
    params, places = detector()
    spoil(params, places, how)
    with pytest.raises(ValueError, match=message):
        convert(params, places)


def test_what_may_be_ignored():
    params, places = detector()
    params['arg:conv_new_2_bias'] = np.zeros(2)
    places['focus_head.out.bias'] = (2,)
    done = convert(params, places, ['conv_new_2_.*', r'focus_head\..*'])
    assert done.unused == ['arg:conv_new_2_bias']
    assert done.missing == ['focus_head.out.bias']


def test_many_mismatches_are_counted():
    params, places = detector()
    params.update({f'arg:x{i}_weight': np.zeros(1) for i in range(20)})
    with pytest.raises(ValueError, match='and 12 more'):
        convert(params, places)


def test_another_network_altogether():
    _, places = detector()
    with pytest.raises(ValueError, match='^no tensor has a known name'):
        convert({'arg:fullyconnected0_weight': np.zeros(1)}, places)


def test_a_classifier_gives_its_backbone():
    params, places = detector()
    params = {k: v for k, v in params.items() if 'stage3' in k or 'bn_' in k}
    params['arg:bn1_gamma'] = params['arg:fc1_weight'] = np.zeros(3)
    done = convert(params, places)
    assert len(done.mapped) == 3
    assert done.unused == ['arg:bn1_gamma', 'arg:fc1_weight']
    assert 'backbone.stage4.0.offset.bias' in done.missing
    del params['arg:stage3_unit12_conv2_weight']
    with pytest.raises(ValueError, match='stage3.11.conv2.weight is missing'):
        convert(params, places)


def test_half_precision_becomes_single():
    params, places = detector()
    params = {k: v.astype(np.float16) for k, v in params.items()}
    state = convert(params, places).state
    assert {v.dtype for v in state.values()} == {np.dtype(np.float32)}


def test_names_of_mobilenetv2():
    shapes = {
        'arg:first-3x3-conv-conv2d_weight': 'backbone.conv1.conv.weight',
        'aux:seq-3-block2-depthwise-batchnorm_moving_mean': (
            'backbone.layer4.2.depthwise_conv.bn.running_mean'
        ),
        'arg:seq-0-block0-exp-conv2d_weight': (
            'backbone.layer1.0.expand_conv.conv.weight'
        ),
        'arg:seq-6-block0-linear-batchnorm_beta': (
            'backbone.layer7.0.linear_conv.bn.bias'
        ),
        'arg:last-1x1-conv-batchnorm_gamma': 'backbone.conv2.bn.weight',
    }
    done = convert(
        {name: np.ones(2) for name in shapes},
        {target: (2,) for target in shapes.values()},
    )
    assert done.mapped == shapes
