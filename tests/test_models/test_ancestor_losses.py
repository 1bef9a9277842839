"""Ancestors are trained with their children, and what is verified counts."""

import json

import pytest
import torch
from mmdet.models.losses import FocalLoss
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope

from sniper_mmdet.models import AncestorFocalLoss, SigmoidRoILoss
from sniper_mmdet.models.roi_heads.soft_sampling_roi_head import soft_head
from sniper_mmdet.models.task_modules import verified_classes
from sniper_mmdet.utils.hierarchy import read_hierarchy

#: Animal > Dog > Puppy; Food > Dog (a hot one), Car.
NAMES = 'animal', 'dog', 'puppy', 'food', 'car'
TREE = dict(
    LabelName='/m/entity',
    Subcategory=[
        dict(
            LabelName='/m/animal',
            Part=[dict(LabelName='/m/car')],
            Subcategory=[
                dict(
                    LabelName='/m/dog',
                    Subcategory=[dict(LabelName='/m/puppy')],
                )
            ],
        ),
        dict(LabelName='/m/food', Subcategory=[dict(LabelName='/m/dog')]),
        dict(LabelName='/m/car'),
    ],
)
RELATED = [
    [1, 0, 0, 0, 0],
    [1, 1, 0, 1, 0],
    [1, 1, 1, 0, 0],
    [0, 0, 0, 1, 0],
    [0, 0, 0, 0, 1],
]


@pytest.fixture
def files(tmp_path):
    init_default_scope('mmdet')
    (tmp_path / 'tree.json').write_text(json.dumps(TREE))
    rows = [f'/m/{name},{name.title()}\n' for name in NAMES]
    (tmp_path / 'classes.csv').write_text(''.join(rows))
    return dict(
        hierarchy_file=str(tmp_path / 'tree.json'),
        label_file=str(tmp_path / 'classes.csv'),
    )


def test_the_hierarchy(files, tmp_path):
    assert read_hierarchy(**files).astype(int).tolist() == RELATED
    # The challenge numbers its classes, in any order.
    rows = [f'/m/{n},{n},{i}\n' for i, n in enumerate(NAMES, 1)]
    (tmp_path / 'classes.csv').write_text(''.join(rows[::-1]))
    assert read_hierarchy(**files).astype(int).tolist() == RELATED


@pytest.mark.parametrize(
    ('name', 'text', 'told'),
    [
        ('tree.json', '[]', r'must have a LabelName .* Received: \[\]'),
        ('tree.json', 'no json', 'is no json'),
        ('classes.csv', '/m/boat,Boat\n', 'such as /m/boat'),
        ('classes.csv', '', 'must name a class'),
    ],
)
def test_files_that_are_no_hierarchy(files, tmp_path, name, text, told):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=told):
        read_hierarchy(**files)


def test_focal_loss_of_ancestors(files):
    torch.manual_seed(0)
    logits = torch.randn(4, 5)
    labels = torch.tensor([2, 0, 5, 1])  # puppy, animal, background, dog
    weights = torch.tensor([1, 0.5, 0.25, 0])
    loss = AncestorFocalLoss(ancestors=files)
    found = loss(logits, labels, weights, avg_factor=2)
    related = torch.tensor(RELATED)
    targets = torch.cat([related, torch.zeros(1, 5)])[labels].long()
    rows = torch.stack(
        [
            FocalLoss()(logits[[i]], targets[[i]], reduction_override='sum')
            for i in range(4)
        ]
    )
    assert found.item() == pytest.approx((rows * weights).sum().item() / 2)
    # Without a hierarchy it is the parent.
    plain = AncestorFocalLoss()(logits, labels, weights, avg_factor=2)
    expected = FocalLoss()(logits, labels, weights, avg_factor=2)
    torch.testing.assert_close(plain, expected)
    assert not loss.state_dict()


def test_sigmoid_loss_of_rois(files):
    logits = torch.tensor([[0.0, 2, -1, 0, 0], [0, 0, 0, 0, 3]])
    loss = SigmoidRoILoss(ancestors=files)
    found = loss(logits, torch.tensor([1, 5]), torch.ones(2), avg_factor=2)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        logits,
        torch.tensor([[1.0, 1, 0, 1, 0], [0, 0, 0, 0, 0]]),
        reduction='sum',
    )
    assert found.item() == pytest.approx(expected.item() / 2)
    assert loss.get_cls_channels(5) == 5
    scores = loss.get_activation(logits)
    assert scores.shape == (2, 6) and scores[:, 5].eq(0).all()
    torch.testing.assert_close(scores[:, :5], logits.sigmoid())
    told = loss.get_accuracy(logits, torch.tensor([1, 5]))
    assert told['acc_classes'] == 100
    with pytest.raises(ValueError, match='use_sigmoid=False'):
        SigmoidRoILoss(use_sigmoid=False)


def test_what_is_verified():
    labels = torch.tensor([2, -1])  # a puppy, and a group
    related = torch.tensor(RELATED).bool()
    told = dict(verified_labels={4: True, 3: False})
    found = verified_classes(labels, told, 5)
    assert found.tolist() == [False, False, True, True, True]
    # A puppy is a dog and an animal; what has no food has no dog to eat.
    found = verified_classes(labels, told, 5, related)
    assert found.all()
    found = verified_classes(labels[1:], dict(verified_labels={}), 5)
    assert not found.any()
    assert verified_classes(labels, {}, 5).all()
    found = verified_classes(
        labels[1:], dict(verified_labels={0: False}), 5, related
    )
    assert found.tolist() == [True, True, True, False, False]
    # Of the animals the data show puppies, and no food.
    told = dict(verified_labels={}, unseen_classes=[0, 1, 3])
    found = verified_classes(labels[1:], told, 5)
    assert found.tolist() == [True, True, False, True, False]
    found = verified_classes(labels[1:], told, 5, related)
    assert found.tolist() == [False, False, False, True, False]


def test_rois_learn_verified_classes_only(files):
    from mmdet.structures import DetDataSample
    from mmengine.structures import InstanceData

    head = soft_head(MODELS.get('Shared2FCBBoxHead'))(
        num_classes=5,
        loss_cls=dict(type='sniper_mmdet.SigmoidRoILoss'),
    )
    assert head.fc_cls.out_features == 5
    head.verified_only = True
    samples = []
    for labels, told in (([1], {0: False}), ([], {2: False})):
        sample = DetDataSample(metainfo=dict(verified_labels=told))
        sample.gt_instances = InstanceData(
            labels=torch.tensor(labels, dtype=torch.long)
        )
        samples.append(sample)
    head.samples = samples
    logits = torch.zeros(3, 5, requires_grad=True)
    rois = torch.tensor([[0.0], [1], [1]]).expand(3, 5)
    weights = torch.ones(3)
    labels = torch.tensor([1, 5, 5])
    losses = head.loss(logits, None, rois, labels, weights, None, None)
    losses['loss_cls'].backward()
    learned = logits.grad.ne(0).int().tolist()
    assert learned == [[1, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 1, 0, 0]]
