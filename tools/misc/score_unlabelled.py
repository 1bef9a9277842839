"""Write the detections of a trained detector on its training images.

    python tools/misc/score_unlabelled.py CONFIG CHECKPOINT --out SCORES.npz

A second training weighs background by their scores (Soft Sampling's second
variant). It needs PackKnownLabels(scores='SCORES.npz') in its pipeline and
soft_sampling=dict(type='sniper_mmdet.ScoreWeights') in its head.
"""

from sniper_mmdet.utils import cli


def parse_args():
    parser = cli.make_parser(__doc__, cli.add_detector)
    parser.add_argument('--out', required=True, help='proposal file (.npz)')
    cli.add_split(parser, 'train')
    cli.add_options(
        parser,
        score_thr=(0.05, 'least score of a detection'),
        num=(100, 'detections per image, best first'),
        batch_size=(1, 'images per batch'),
    )
    args = cli.parse(parser)
    cli.require_at_least(parser, args, num=1, batch_size=1)
    right = 0 <= args.score_thr < 1
    cli.require(parser, right, '--score-thr must be in [0, 1)', args.score_thr)
    cli.require_suffix(parser, args, out='.npz')
    return args


def main():
    args = parse_args()
    with cli.quiet():  # imports and runs print
        from sniper_mmdet.apis.loading import load_trained
        from sniper_mmdet.apis.unlabelled import image_infos, write_scores
        from sniper_mmdet.engine.build import load_config
        from sniper_mmdet.engine.cpu import prepare_cpu

        prepare_cpu()
        cfg = load_config(args.config, args.cfg_options)
        model = load_trained(cfg, args.checkpoint)
        infos = image_infos(cfg, args.split)
        how = args.score_thr, args.num, args.batch_size
        count = write_scores(model, infos, args.out, *how)
    print(f'{count} detections of {len(infos)} images in {args.out}')


if __name__ == '__main__':
    cli.run(main)
