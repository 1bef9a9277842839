"""Changes of a config by the options of a test."""

import os.path as osp

from mmdet.datasets.transforms import PackDetInputs
from mmengine.config import Config, ConfigDict

from sniper_mmdet.datasets.transforms import loading_whole

# Names of --eval, and their names in each metric.
_METRICS = {
    'CocoMetric': dict(bbox='bbox', segm='segm', proposal='proposal'),
    'VOCMetric': dict(bbox='mAP', proposal='recall'),
    'WiderFaceMetric': dict(bbox=None),  # the only choice
}


def set_metrics(evaluator: dict | list, names: list[str]) -> None:
    """Make the evaluators of a config compute the metrics of ``--eval``.

    Raises:
        ValueError: An evaluator does not have a metric of this name.
    """
    for metric in evaluator if isinstance(evaluator, list) else [evaluator]:
        kind = metric.type.split('.')[-1]
        if kind == 'PixelsMetric':  # it supplements others
            continue
        known = _METRICS.get(kind)
        if known is None:
            raise ValueError(
                f'--eval does not support {kind}: leave it out, or give its '
                'own metric by --cfg-options test_evaluator.metric=...'
            )
        unknown = [name for name in names if name not in known]
        if unknown:
            raise ValueError(
                f'--eval {unknown[0]}: {kind} evaluates {" ".join(known)}.'
            )
        if kind == 'VOCMetric' and len(names) > 1:
            raise ValueError('--eval: VOCMetric takes one name per run.')
        found = [known[name] for name in names]
        if None in found:
            continue
        metric.metric = found if len(found) > 1 else found[0]


def set_format_only(evaluator: dict | list, work_dir: str) -> None:
    """Make the evaluator of a config write result files only.

    Raises:
        ValueError: The config has no such evaluator, or several.
    """
    if isinstance(evaluator, list):
        of_boxes = [m for m in evaluator if 'PixelsMetric' not in m.type]
        evaluator = of_boxes[0] if len(of_boxes) == 1 else None
    kind = '' if evaluator is None else evaluator.type
    if 'Coco' not in kind and 'WiderFace' not in kind:
        raise ValueError(
            '--format-only needs a CocoMetric or a WiderFaceMetric as '
            'test_evaluator.'
        )
    evaluator.format_only = True
    evaluator.setdefault('outfile_prefix', osp.join(work_dir, 'results'))


def set_flip_tta(cfg: Config) -> None:
    """Wrap the model so that it tests each image and its mirror image."""
    nms = dict(type='nms', iou_threshold=0.5)
    tta_cfg = dict(nms=nms, max_per_img=100)
    cfg.setdefault('tta_model', dict(type='DetTTAModel', tta_cfg=tta_cfg))
    if 'tta_pipeline' not in cfg:
        *steps, pack = map(loading_whole, cfg.test_dataloader.dataset.pipeline)
        flips = [dict(type='RandomFlip', prob=p) for p in (1.0, 0.0)]
        own_keys, keys = pack.get('meta_keys', ()), PackDetInputs().meta_keys
        pack = dict(type='PackDetInputs', meta_keys=(*own_keys, *keys))
        tta = dict(type='TestTimeAug', transforms=[flips, [pack]])
        cfg.tta_pipeline = [*steps, tta]
    cfg.model = ConfigDict(**cfg.tta_model, module=cfg.model)
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
