"""Record what a checkout computes, and compare two records.

    python tests/behaviour.py record OUT.pkl [--repo DIR]
    python tests/behaviour.py compare BEFORE.pkl AFTER.pkl

A step that must change no behaviour is checked by a record of the commit
before it (``--repo`` names its checkout) and one of the commit after it:
every config with all its keys, chip tables with and without proposals,
proposed settings, and detections of a seeded detector over the pyramid and by
AutoFocus. What differs is printed, key by key, but for what is meant to; the
exit code tells whether anything does. Of a config, what its training and
testing reads is compared, not the names that only config files use.
"""

import argparse
import importlib
import inspect
import os
import pickle
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
PYRAMID = 'sniper/faster-rcnn_r18-slim_fpn_sniper_2e_sample.py'
AUTOFOCUS = 'autofocus/faster-rcnn_r18-slim_fpn_autofocus_3e_sample.py'
SEEDS = range(5)

#: What is meant to differ: "path before after".
MEANT = (
    r'configs\.rpn_\S+ gone .*',
    r'\S+ sniper_mmdet\.Chip(\w+) sniper_mmdet\.Released\1',
    r'\S+\.type (Coco|VOC)Dataset sniper_mmdet\.\w+Dataset',
    r"\S+\.metainfo gone {'classes': .*}",
    r'\S+\.pipeline\[2\]\.out_of_range gone drop',
    r'\S+\.dataset\.out_of_range new drop',
    # FCOS, TOOD, RTMDet and DINO ignore boxes, too.
    r'\S+\.dataset\.out_of_range drop gone',
    r'\S+\.bbox_head\.type (\w+) sniper_mmdet\.RangeAware\1',
    r'\S+assigner\.type (\w+) sniper_mmdet\.RangeAware\1',
    r'\S+assigner\.ignore_iou_thr new 0\.3',
    r"\S+meta_keys (.*'chip_range')\) \1, 'chip_level'\)",
    # Crowds are ignored regions: none lies in a negative chip for its own.
    r'chips\.coco/\d/with/(table|statistics\.\S+) .*',
    r'\S+\.rcnn\.assigner\.type MaxIoUAssigner \S+\.RangeAwareAssigner',
    r'\S+\.rcnn\.assigner\.ignore_iou_thr new 0\.5',
    # No pipeline that does not resize has a scale_factor.
    r"\S+_bccd\S+meta_keys (.*)'instances'\) \1'scale_factor', 'instances'\)",
)


def found(name, *modules):
    """A name, from the first of some modules that has it."""
    for module in modules:
        try:
            return getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError):
            continue
    raise ImportError(f'none of {modules} has {name}')


def plain(value):
    """A config's value as dicts, lists and plain values."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(plain, value))
    return value


def record_configs(repo):
    from mmengine.config import Config

    found = {}
    for path in sorted((repo / 'configs').glob('*/*.py')):
        if path.parent.name != '_base_':
            found[path.name] = plain(Config.fromfile(path).to_dict())
    return found


def random_proposals(images, seed, num=300):
    """Boxes all over each image, as an untrained RPN has them."""
    from sniper_mmdet.chips import Proposals

    rng = np.random.default_rng(seed)
    boxes = []
    for width, height in zip(images.widths, images.heights, strict=True):
        size = np.exp(rng.uniform(*np.log([4, 300]), num))
        sides = np.minimum(np.stack([size, size], 1), [width, height])
        corner = rng.uniform(0, 1, (num, 2)) * ([width, height] - sides)
        boxes.append(np.concatenate([corner, corner + sides], 1))
    offsets = np.arange(len(images) + 1) * num
    scores = rng.uniform(0, 1, len(images) * num).astype(np.float32)
    return Proposals(
        np.concatenate(boxes).astype(np.float32),
        scores,
        offsets.astype(np.int64),
        np.arange(len(images)),
    )


def record_chips(name, images, settings):
    from sniper_mmdet.chips import box_coverage, mine_chips, valid_boxes

    statistics = found(
        'chip_statistics', 'sniper_mmdet.tuning', 'sniper_mmdet.chips'
    )
    record = {f'{name}/valid': valid_boxes(images, settings)}
    for seed in SEEDS:
        proposals = random_proposals(images, seed)
        for kind, given in (('without', None), ('with', proposals)):
            table = mine_chips(images, settings, seed, seed, given)
            key = f'{name}/{seed}/{kind}'
            record[f'{key}/table'] = table
            record[f'{key}/coverage'] = box_coverage(images, settings, table)
            record[f'{key}/statistics'] = plain(
                statistics(images, settings, [table])
            )
    return record


def record_settings(files):
    from sniper_mmdet.chips import from_coco

    suggest = found('suggest', 'sniper_mmdet.tuning', 'sniper_mmdet.chips')
    return {path.parent.name: vars(suggest(from_coco(path))) for path in files}


def record_detections(repo, scenes):
    import mmcv
    import torch
    from mmdet.registry import MODELS
    from mmdet.structures import DetDataSample
    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    init_default_scope('mmdet')
    torch.set_num_threads(1)  # sums come in one order
    record = {}
    for name, options in (
        (PYRAMID, {}),
        # A fresh focus head is undecided everywhere.
        (AUTOFOCUS, {'model.focus': [dict(threshold=0.4998)] * 2}),
    ):
        cfg = Config.fromfile(repo / 'configs' / name)
        cfg.merge_from_dict({'model.backbone.init_cfg': None, **options})
        torch.manual_seed(0)
        model = MODELS.build(cfg.model)
        model.init_weights()
        model.eval()
        for path in sorted(scenes.glob('images/*.jpg'))[:2]:
            pixels = torch.from_numpy(mmcv.imread(path)).permute(2, 0, 1)
            sample = DetDataSample(metainfo=dict(ori_shape=pixels.shape[1:]))
            (result,) = model.predict([pixels], [sample])
            key = f'{Path(name).parent}/{path.name}'
            for field, value in result.pred_instances.items():
                record[f'{key}/{field}'] = value.numpy()
            if 'focus' in result:
                record[f'{key}/focus'] = plain(result.focus)
    return record


def record(args):
    repo = args.repo.resolve()
    sys.path.insert(0, str(repo))
    shared = args.shared / 'data'
    import sniper_mmdet

    assert Path(sniper_mmdet.__file__).parents[1] == repo, repo
    from sniper_mmdet.chips import ChipSettings, ImagePyramid, from_coco

    released = found('RELEASED_COCO', 'sniper_mmdet.chips')
    with tempfile.TemporaryDirectory() as folder:
        scenes = Path(folder, 'sample')
        tool = repo / 'tools/dataset_converters/make_sample_data.py'
        subprocess.run(
            [sys.executable, tool, scenes, '--train', '20', '--val', '2'],
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, 'PYTHONPATH': str(repo)},
        )
        sample = ChipSettings(
            ImagePyramid(
                [(-1, 512), 0.75, 1.5], [(80, None), (28, 110), (0, 36)]
            ),
            192,
            (20, 24),
        )
        content = dict(
            configs=record_configs(repo),
            chips=record_chips(
                'sample', from_coco(scenes / 'train.json'), sample
            ),
            detections=record_detections(repo, scenes),
        )
    coco = shared / 'coco_annotations/instances_446.json'
    if coco.exists():
        content['chips'].update(
            record_chips('coco', from_coco(coco), released)
        )
        content['settings'] = record_settings(
            [coco, *sorted(shared.glob('*/train.json'))]
        )
    args.out.write_bytes(pickle.dumps(content))
    for part, values in content.items():
        print(f'{part}: {len(values)} recorded')


def differences(before, after, path=''):
    """Places at which two records differ, with both values."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(k for k in after if k not in before)]:
            inner = f'{path}.{key}' if path else str(key)
            if key not in before or key not in after:
                have = 'new' if key not in before else 'gone'
                yield inner, have, (after if have == 'new' else before)[key]
            else:
                yield from differences(before[key], after[key], inner)
    elif (
        isinstance(before, (list, tuple))
        and type(before) is type(after)
        and len(before) == len(after)
    ):
        for k, pair in enumerate(zip(before, after, strict=True)):
            yield from differences(*pair, f'{path}[{k}]')
    elif isinstance(before, np.ndarray) and isinstance(after, np.ndarray):
        if before.dtype != after.dtype or not np.array_equal(
            before, after, equal_nan=before.dtype.kind == 'f'
        ):
            yield path, before.shape, after.shape
    elif repr(before) != repr(after):
        yield path, before, after


def what_is_read(record):
    """A record whose configs have only what a run reads."""
    from mmengine.runner import Runner

    names = {'auto_scale_lr', 'find_unused_parameters'}
    names |= inspect.signature(Runner).parameters.keys()
    configs = {
        path: {key: value for key, value in cfg.items() if key in names}
        for path, cfg in record['configs'].items()
    }
    return {**record, 'configs': configs}


def compare(args):
    before, after = (
        what_is_read(pickle.loads(path.read_bytes()))
        for path in (args.before, args.after)
    )
    count, meant = 0, 0
    for difference in differences(before, after):
        text = ' '.join(map(str, difference))
        if any(re.fullmatch(pattern, text) for pattern in MEANT):
            meant += 1
            continue
        count += 1
        path, *values = difference
        print(path, *(f'\n    {str(value):.160}' for value in values))
    print(f'{count} differences, and {meant} that are meant')
    return count > 0


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser('record')
    one.add_argument('out', type=Path)
    one.add_argument('--repo', type=Path, default=ROOT)
    one.add_argument('--shared', type=Path, default=ROOT.parent / 'shared')
    one.set_defaults(run=record)
    two = commands.add_parser('compare')
    two.add_argument('before', type=Path)
    two.add_argument('after', type=Path)
    two.set_defaults(run=compare)
    args = parser.parse_args()
    sys.exit(args.run(args))


if __name__ == '__main__':
    main()
