"""Train a detector on chips, on CPU or GPU: mmdet's options, --proposals."""

from mmengine.device import get_device

from sniper_mmdet.engine import build
from sniper_mmdet.engine.cpu import prepare_cpu
from sniper_mmdet.engine.resuming import checkpoint_to_resume
from sniper_mmdet.utils import cli
from sniper_mmdet.utils.errors import is_for_user


def parse_args():
    adders = cli.add_config, cli.add_launcher, cli.add_trust
    parser = cli.make_parser(__doc__, *adders)
    cli.add_options(
        parser,
        work_dir='folder for logs and checkpoints',
        proposals="proposal file (.npz) to use instead of the config's",
        amp=(False, 'train in automatic mixed precision'),
        auto_scale_lr=(
            False,
            'scale the learning rate with the batch size, by the '
            "config's auto_scale_lr.base_batch_size",
        ),
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='resume from this checkpoint, or without a path from the latest '
        'in the work dir',
    )
    return cli.parse(parser)


def main():
    args = parse_args()
    cfg = build.run_config(args)
    with cli.one_sentence('train'):
        build.require_pretrained(cfg)
        if args.proposals:
            build.set_proposals(cfg, args.proposals)
    kind = cfg.optim_wrapper.get('type', '')
    # A config in half precision has what --amp asks for.
    if args.amp and not kind.endswith('HalfPrecisionOptimWrapper'):
        if get_device() == 'cpu':
            raise SystemExit('--amp needs a GPU; there is none here.')
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.loss_scale = 'dynamic'
    if args.auto_scale_lr:
        if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
            needed = 'auto_scale_lr.base_batch_size in the config'
            raise SystemExit(
                f'--auto-scale-lr needs {needed}: leave the option out.'
            )
        cfg.auto_scale_lr.enable = True
    if args.resume is not None:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
    if cfg.get('resume'):
        with cli.one_sentence('train'):
            # Without a path load_from stays unset: the config in the work dir
            # then resumes from the latest checkpoint of its own run.
            checkpoint_to_resume(cfg.work_dir, cfg.get('load_from'))

    prepare_cpu(args.launcher, cfg)
    with build.own_work_dir(cfg):
        with cli.one_sentence('train'):
            runner = build.checked_runner(cfg, 'train', 'val')
        runner.train()


if __name__ == '__main__':
    cli.run(main, is_for_user)
