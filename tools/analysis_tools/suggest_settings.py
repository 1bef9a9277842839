"""Propose levels, valid ranges and chips for a data set of your own.

    python tools/analysis_tools/suggest_settings.py CONFIG --out sizes.png
    python tools/analysis_tools/suggest_settings.py --ann instances.json
    python tools/analysis_tools/suggest_settings.py CONFIG --config-out mine.py

The tool reads the annotations of CONFIG's training data, whatever their type,
or a COCO json; it reads no image. Rules of thumb turn the sizes of boxes and
images into the finest level and the chip size. The tool counts the chips of
these settings and, beside them, those of COCO's settings. The other levels
come from a plan for AutoFocus where that looks at less than half of the finest
level.
"""

from pathlib import Path

from sniper_mmdet.chips import ImagePyramid
from sniper_mmdet.chips.coco import read_coco
from sniper_mmdet.tuning.report import report_settings
from sniper_mmdet.tuning.text import report_text, settings_text
from sniper_mmdet.utils import cli, config_out
from sniper_mmdet.utils.files import write_figure, write_whole

FIRST_STEP = """\
The settings are not a complete config: python tools/sniperize.py \
YOUR_CONFIG --out FILE writes one that trains on chips. Paste them into it."""


def parse_args():
    parser = cli.make_parser(__doc__, cli.add_source, cli.add_json)
    add = parser.add_argument
    add('--levels', type=int, help='number of levels; default: as needed')
    size = 'sides of a chip in level pixels; default: 512 or less'
    add('--chip-size', type=int, help=size)
    add('--out', help='plot of the sizes, .png (the default) or .pdf')
    add('--config-out', help='.py file for the settings')
    args = cli.parse(parser)
    cli.require_source(parser, args)
    if args.levels is not None and not 1 <= args.levels <= 6:
        parser.error(f'--levels must be from 1 to 6. Received: {args.levels}.')
    cli.require_picture(parser, args)
    config_out.require_outputs(parser, args, args.config, args.ann)
    return args


def read_config(path, options):
    """Read a config's boxes and, if it trains on chips, its settings.

    It also returns the config's focus head, and the arguments of all focus
    heads that the detector's maps allow.
    """
    with cli.quiet():  # importing mmdet prints
        from sniper_mmdet.engine import build
        from sniper_mmdet.sniperize.proposed import focus_heads

        cfg = build.load_config(path, options)
        dataset = build.build_boxes_dataset(cfg, 'train')
        kind = str(cfg.train_dataloader.dataset.get('type'))
        if not kind.endswith('ChipDataset'):
            return dataset.images, None, None, {}
        model = cfg.get('model', {})
        scales = model.get('scales')
        test = scales and ImagePyramid(scales, model.get('valid_ranges'))
        own = dataset.settings, test
        heads = focus_heads(model) if scales else {}
    return dataset.images, own, model.get('focus_head'), heads


def main():
    args = parse_args()
    own = focus_head = num_without_area = base = head = None
    heads = {}
    if args.ann:
        images, num_without_area = read_coco(args.ann)
    else:
        found = read_config(args.config, args.cfg_options)
        images, own, focus_head, heads = found
    if focus_head and args.levels == 1:
        rule = '--levels must be 2 or more for a CONFIG of AutoFocus'
        raise ValueError(f'{rule}. Received: 1.')
    stride = focus_head.get('stride', 16) if focus_head else None
    given = args.chip_size, args.levels, own, stride, num_without_area
    report, advice = report_settings(images, *given, [*heads] or None)
    if advice.plan:
        head = heads.get(advice.focus_stride)
    if args.config_out and own:
        base = config_out.base_of(args.config, Path(args.config_out).parent)
        report['warnings'] += config_out.told_of_options(args)
    elif args.config_out:
        report['warnings'].append(FIRST_STEP)
    text = settings_text(advice, base, focus_head is not None, head)
    if args.config_out:
        write_whole(args.config_out, lambda part: part.write_text(text))
    if args.out:
        from sniper_mmdet.visualization import draw_sizes

        figure = draw_sizes(images, advice.settings, advice.target)
        write_figure(args.out, figure)
    if args.json:
        cli.print_json(dict(report, config=text))
        return
    print(report_text(report, advice))
    where = 'to paste into a config that trains on chips'
    if args.config_out:
        where = f'written to {args.config_out}'
    print(f'\n{where}\n{text}', end='')


if __name__ == '__main__':
    cli.run(main)
