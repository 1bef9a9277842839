"""Test a detector: mmdet's own flags, and --eval and --format-only."""

import argparse
import os
import os.path as osp

from mmdet.engine.hooks.utils import trigger_visualization_hook
from mmdet.evaluation import DumpDetResults
from mmengine.config import ConfigDict, DictAction
from mmengine.model import is_model_wrapper
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from sniper_mmdet.engine.build import run_config
from sniper_mmdet.engine.cpu import prepare_cpu

# What --eval's names are called by the metrics that know them.
_METRICS = {
    'CocoMetric': dict(bbox='bbox', segm='segm', proposal='proposal'),
    'VOCMetric': dict(bbox='mAP', proposal='recall'),
}


def parse_args():
    parser = argparse.ArgumentParser(description='Test (and eval) a detector')
    parser.add_argument('config', help='test config file path')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        '--work-dir', help='the directory to save the evaluation metrics in'
    )
    parser.add_argument(
        '--eval',
        nargs='+',
        choices=['bbox', 'segm', 'proposal'],
        help="what to evaluate; default: the config's own test_evaluator",
    )
    parser.add_argument(
        '--out', help='dump predictions to a pickle file (.pkl)'
    )
    parser.add_argument(
        '--format-only',
        action='store_true',
        help='write COCO result json files (for the COCO test server) to '
        'WORK_DIR/results.*.json, without evaluation',
    )
    parser.add_argument(
        '--show', action='store_true', help='show prediction results'
    )
    parser.add_argument(
        '--show-dir',
        help='directory where painted images are saved, inside '
        'WORK_DIR/TIMESTAMP',
    )
    parser.add_argument(
        '--wait-time', type=float, default=2, help='the interval of show (s)'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='override settings of the config: key=value pairs, lists as '
        'key="[a,b]" or key=a,b, nested as key="[(a,b),(c,d)]"',
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher',
    )
    parser.add_argument(
        '--tta', action='store_true', help='add the flipped image'
    )
    # torch.distributed.launch passes --local-rank; torchrun does not.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    args = parser.parse_args()
    if args.out is not None and not args.out.endswith(('.pkl', '.pickle')):
        parser.error(f'--out must be a .pkl file. Received: {args.out}.')
    if args.eval and args.format_only:
        parser.error('--format-only evaluates nothing: drop --eval.')
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def set_metrics(evaluator, names):
    """Make the evaluators of a config evaluate what --eval names."""
    for metric in evaluator if isinstance(evaluator, list) else [evaluator]:
        kind = metric.type.split('.')[-1]
        if kind == 'PixelsMetric':  # is beside others, and has no choice
            continue
        known = _METRICS.get(kind)
        if known is None:
            raise SystemExit(
                f'--eval does not know {kind}: leave it out, or give its own '
                'metric by --cfg-options test_evaluator.metric=...'
            )
        unknown = [name for name in names if name not in known]
        if unknown:
            raise SystemExit(
                f'--eval {unknown[0]}: {kind} evaluates {" ".join(known)}.'
            )
        if kind == 'VOCMetric' and len(names) > 1:
            raise SystemExit('--eval: VOCMetric evaluates one of them a run.')
        metric.metric = [known[name] for name in names]
        if len(metric.metric) == 1:
            metric.metric = metric.metric[0]


def set_format_only(evaluator, work_dir):
    """Make the COCO evaluator of a config write result files only."""
    if isinstance(evaluator, list):
        of_boxes = [m for m in evaluator if 'PixelsMetric' not in m.type]
        evaluator = of_boxes[0] if len(of_boxes) == 1 else None
    if evaluator is None or 'Coco' not in evaluator.type:
        raise SystemExit('--format-only needs a CocoMetric as test_evaluator.')
    evaluator.format_only = True
    evaluator.setdefault('outfile_prefix', osp.join(work_dir, 'results'))


def set_flip_tta(cfg):
    """Wrap the model so that it sees each image and its mirror image."""
    cfg.setdefault(
        'tta_model',
        dict(
            type='DetTTAModel',
            tta_cfg=dict(
                nms=dict(type='nms', iou_threshold=0.5), max_per_img=100
            ),
        ),
    )
    if 'tta_pipeline' not in cfg:
        pack = cfg.test_dataloader.dataset.pipeline[-1]
        meta_keys = (
            *pack.get('meta_keys', ()),
            'img_id',
            'img_path',
            'ori_shape',
            'img_shape',
            'scale_factor',
            'flip',
            'flip_direction',
        )
        flips = [dict(type='RandomFlip', prob=p) for p in (1.0, 0.0)]
        cfg.tta_pipeline = [
            *cfg.test_dataloader.dataset.pipeline[:-1],
            dict(
                type='TestTimeAug',
                transforms=[
                    flips,
                    [dict(type='PackDetInputs', meta_keys=meta_keys)],
                ],
            ),
        ]
    cfg.model = ConfigDict(**cfg.tta_model, module=cfg.model)
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline


def main():
    args = parse_args()
    cfg = run_config(args)
    cfg.load_from = args.checkpoint

    if args.show or args.show_dir:
        cfg = trigger_visualization_hook(cfg, args)
    if args.eval:
        set_metrics(cfg.test_evaluator, args.eval)
    if args.format_only:
        set_format_only(cfg.test_evaluator, cfg.work_dir)
    if args.tta:
        set_flip_tta(cfg)

    prepare_cpu(args.launcher, cfg)
    if 'runner_type' in cfg:
        runner = RUNNERS.build(cfg)
    else:
        runner = Runner.from_cfg(cfg)
    if 'segm' in (args.eval or ()):
        model = runner.model
        model = model.module if is_model_wrapper(model) else model
        model = getattr(model, 'detector', model)
        # Else found out after the last image. One-stage detectors have masks
        # in heads of many names.
        if hasattr(model, 'roi_head') and not model.with_mask:
            raise SystemExit('--eval segm: the detector has no mask head.')
    if args.out is not None:
        runner.test_evaluator.metrics.append(
            DumpDetResults(out_file_path=args.out)
        )
    runner.test()


if __name__ == '__main__':
    main()
