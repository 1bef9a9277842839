"""Configs that cannot be rewritten, and the reasons."""

import pytest
from zoo import ZOO

from sniper_mmdet.sniperize.config import read_plain, sniperize

pytestmark = pytest.mark.usefixtures('fast_configs')


@pytest.mark.parametrize(
    ('option', 'why'),
    [
        ("model = 'x'", 'model must be a dict. Received: str.'),
        ('model = dict(bbox_head=[dict()])', 'model.bbox_head must be a d'),
        (
            'model = dict(train_cfg=[dict()])',
            'model.train_cfg must be a dict. Received: list.',
        ),
        ("model = dict(test_cfg='x')", 'model.test_cfg must be a dict'),
        ('train_dataloader = [dict(a=1)]', 'train_dataloader must be a d'),
        (
            "custom_hooks = dict(type='EMAHook')",
            'custom_hooks must be a list. Received: ConfigDict.',
        ),
    ],
)
def test_parts_of_other_kinds_are_refused(tmp_path, option, why):
    path = tmp_path / 'user.py'
    path.write_text(
        f"_base_ = 'mmdet::retinanet/retinanet_r18_fpn_1x_coco.py'\n{option}"
    )
    with pytest.raises(ValueError) as error:
        sniperize(read_plain(str(path)), str(path))
    assert str(error.value).startswith(why)


@pytest.mark.parametrize(
    ('change', 'why'),
    [
        (("type='RetinaNet'", "type='Retina'"), 'must be a regist'),
        (('model = ', 'other = '), 'has no model'),
        (('train_dataloader = ', 'loader = '), 'no train_dataloader'),
        (("type='RetinaNet'", "type='GLIP'"), 'what a text names'),
        (("type='RetinaNet'", "type='SOLOv2'"), 'masks come without boxes'),
        (("type='RetinaNet'", "type='LAD'"), 'its teacher is none of its'),
        (("type='RetinaNet'", "type='PanopticFPN'"), 'panoptic segments'),
        (("type='RetinaNet'", "type='SoftTeacher'"), 'unlabelled'),
        (("type='RetinaNet'", "type='QDTrack'"), 'no detector of single'),
        (
            ("type='RetinaNet'", "type='RPN'"),
            '--cfg-options model.rpn_only=True',
        ),
        (
            ("type='RetinaNet'", "type='sniper_mmdet.AutoFocus'"),
            'model is AutoFocus already',
        ),
        (("type='CocoDataset'", "type='YouTubeVISDataset'"), 'holds videos'),
        (("type='CocoDataset'", "type='CocaDataset'"), 'dataset.type must'),
        (
            ('with_bbox=True', 'with_bbox=True, with_seg=True'),
            'loads segmentation maps (with_seg)',
        ),
        (
            ("dict(type='PackDetInputs', meta_keys=('img_id', 'mine'))", ''),
            'the train pipeline must load',
        ),
        (
            (
                "    type='DetDataPreprocessor'",
                "    type='ImgDataPreprocessor'",
            ),
            'must be a DetDataPreprocessor',
        ),
    ],
)
def test_refused_with_the_reason(plain, change, why):
    with pytest.raises(ValueError) as error:
        plain(change)
    assert why in str(error.value) and '\n' not in str(error.value)


def test_refused_configs(tmp_path):
    lazy = tmp_path / 'lazy.py'
    lazy.write_text(
        'from mmengine.config import read_base\n'
        'with read_base():\n    from .other import *\n'
    )
    broken = tmp_path / 'broken.py'
    broken.write_text("_base_ = './gone.py'\n")
    typo = tmp_path / 'typo.py'
    typo.write_text('model = dict(\n')
    imports = tmp_path / 'imports.py'
    imports.write_text(
        "custom_imports = dict(imports=['gone_module'], "
        'allow_failed_imports=False)\n'
    )
    leaves_early = tmp_path / 'leaves.py'
    leaves_early.write_text('raise SystemExit(3)\n')
    for path, why in (
        (lazy, 'pure Python'),
        (typo, 'cannot be read: SyntaxError'),
        (broken, 'cannot be read'),
        (tmp_path / 'none.py', 'there is no config'),
        ('mmdet::retinanet/none.py', '^there is no config mmdet::ret'),
        (imports, "cannot be read: ModuleNotFoundError: .*'gone_module'$"),
        (leaves_early, 'cannot be read: SystemExit: 3'),
    ):
        with pytest.raises(ValueError, match=why):
            read_plain(str(path))


def test_what_cannot_be_built_or_looked_at(plain):
    """Says why."""
    for autofocus in (False, True):
        with pytest.raises(
            ValueError,
            match='RetinaNet cannot be built here: KeyError: ResNot is not',
        ):
            plain(("type='ResNet'", "type='ResNot'"), autofocus=autofocus)
    base = str(ZOO / 'tridentnet/tridentnet_r50-caffe_1x_coco.py')
    with pytest.raises(
        ValueError, match='one feature map per level and image'
    ):
        sniperize(read_plain(base), base, autofocus=True)
