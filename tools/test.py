"""Test a detector: mmdet's options, --eval and --format-only."""

from sniper_mmdet.engine import evaluation_options as options
from sniper_mmdet.engine.build import checked_runner, run_config
from sniper_mmdet.engine.checkpoints import unwrapped
from sniper_mmdet.engine.cpu import prepare_cpu
from sniper_mmdet.utils import cli
from sniper_mmdet.utils.errors import is_for_user
from sniper_mmdet.utils.files import full_disk_at


def parse_args():
    parser = cli.make_parser(__doc__, cli.add_detector, cli.add_launcher)
    parser.add_argument(
        '--eval',
        nargs='+',
        choices=['bbox', 'segm', 'proposal'],
        help="metrics to compute; default: the config's test_evaluator",
    )
    cli.add_options(
        parser,
        work_dir='folder for the evaluation metrics',
        out='pickle file for the predictions (.pkl)',
        format_only=(
            False,
            'write result files and do not evaluate: COCO json files (for the '
            'COCO test server) to WORK_DIR/results.*.json, or those of WIDER '
            'FACE to WORK_DIR/results/',
        ),
        show=(False, 'show the detections in a window'),
        show_dir='folder for drawn images, inside WORK_DIR/TIMESTAMP',
        wait_time=(2.0, 'seconds to show each image'),
        tta=(False, 'test-time augmentation: add the flipped image'),
    )
    args = cli.parse(parser)
    if args.out is not None and not args.out.endswith(('.pkl', '.pickle')):
        parser.error(f'--out must be a .pkl file. Received: {args.out}.')
    if args.eval and args.format_only:
        parser.error('--format-only evaluates nothing: drop --eval.')
    return args


def main():
    # The imports above come first, so that mmdet does not print what it lacks.
    from mmdet.engine.hooks.utils import trigger_visualization_hook
    from mmdet.evaluation import DumpDetResults

    args = parse_args()
    cfg = run_config(args)
    cfg.load_from = args.checkpoint

    if args.show or args.show_dir:
        hook = dict(type='sniper_mmdet.DetectionVisualizationHook')
        hooks = dict(visualization=hook) | (cfg.get('default_hooks') or {})
        cfg.default_hooks = hooks
        cfg = trigger_visualization_hook(cfg, args)
    with cli.one_sentence('test'):
        if args.eval:
            options.set_metrics(cfg.test_evaluator, args.eval)
        if args.format_only:
            options.set_format_only(cfg.test_evaluator, cfg.work_dir)
    if args.tta:
        options.set_flip_tta(cfg)

    prepare_cpu(args.launcher, cfg)
    with cli.one_sentence('test'):
        runner = checked_runner(cfg, 'test')
    if 'segm' in (args.eval or ()):
        model = unwrapped(runner.model)
        model = getattr(model, 'detector', model)
        # The check comes first, else the error would come after the last
        # image. One-stage detectors predict masks in heads of many names.
        if hasattr(model, 'roi_head') and not model.with_mask:
            raise SystemExit('--eval segm: the detector has no mask head.')
    if args.out is not None:
        dump = DumpDetResults(out_file_path=args.out)
        runner.test_evaluator.metrics.append(dump)
    with full_disk_at(cfg.work_dir):
        runner.test()


if __name__ == '__main__':
    cli.run(main, is_for_user)
