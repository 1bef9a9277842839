"""Reading of a config, and text of the config for chips."""

from pathlib import Path

from mmengine.config import Config
from mmengine.registry import init_default_scope

from sniper_mmdet.utils.config_out import base_of  # noqa: F401  # found here too
from sniper_mmdet.utils.config_text import assignment, comment

from . import data, detector, ignoring, loop, probe, proposed, rules
from .draft import Draft


def read_plain(config: str) -> Config:
    """Read a config, given by its path or ``mmdet::FOLDER/FILE.py``.

    Raises:
        ValueError: The config cannot be read, or does not allow inheritance.
    """
    found = Path(config).absolute()
    if '::' not in config and not found.is_file():
        raise ValueError(f'there is no config {config}.')
    base = config if '::' in config else str(found)
    try:
        lazy = found.is_file() and Config._is_lazy_import(base)
        if not lazy:
            # The new config reads it in the same way.
            cfg = Config.fromstring(f'_base_ = {base!r}\n', '.py')
    except (Exception, SystemExit) as error:  # configs run code
        why = f'{config} cannot be read: {probe.reason_of(error)}'
        if '::' in config and isinstance(error, FileNotFoundError):
            why = f'there is no config {config}.'
        raise ValueError(why) from error
    if lazy:
        raise ValueError(
            f'{config} is a config in pure Python (read_base() or imports), '
            'from which no text config can inherit; give one with _base_ = '
            '..., or an export (Config.dump).'
        )
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    return cfg


def sniperize(
    cfg: Config, base: str, autofocus: bool = False, suggest: bool = False
) -> tuple[str, list[str]]:
    """Write a config for chips that inherits from another config.

    Args:
        cfg (Config): Config of any MMDetection detector, see
            :func:`read_plain`.
        base (str): Path of ``cfg``, relative to the new config.
        autofocus (bool): Write an AutoFocus instead of a PyramidDetector.
        suggest (bool): Choose levels, ranges, chips and FocusPixels by the
            boxes of the config's training data, instead of those released for
            COCO.

    Returns:
        tuple: The text, and the decisions that are left to the user, one
        sentence each; the text holds the sentences too.

    Raises:
        ValueError: The detector cannot be trained on chips.

    Examples:
        >>> name = 'mmdet::retinanet/retinanet_r18_fpn_1x_coco.py'
        >>> text, notes = sniperize(read_plain(name), base=name)
        >>> "type='sniper_mmdet.PyramidDetector'" in text
        True
    """
    rules.refuse_shapes(cfg)
    rules.refuse_detector(cfg.get('model') or {})
    draft = Draft(cfg, autofocus)
    images, pipeline = data.images(draft)
    loading, others = data.chip_transforms(draft, pipeline)
    # A detector that cannot be built is refused first.
    built = probe.built(cfg.model)
    features = probe.feature_maps(built) if autofocus else None
    if suggest:
        proposed.settle(draft, features)
    preprocessor = detector.preprocessor(draft, loading)
    training, heads, cut = ignoring.training(draft)
    tested = data.test_loaders(draft)
    chips = (
        '# Whole images become chips, whose sizes no transform may change.\n'
    )
    chips += assignment('_chip_pipeline', [*loading, cut, *others])
    blocks = [
        assignment('_base_', base),
        chips,
        images,
        data.train_loader(draft),
        *tested,
        training,
        detector.model(draft, features, preprocessor, training, heads),
        loop.optimizer(draft),
        loop.hooks(draft),
        loop.evaluators(draft) if autofocus else '',
    ]
    notes = [*dict.fromkeys(loop.general_notes(draft)), *draft.notes]
    kind = 'AutoFocus' if autofocus else 'SNIPER'
    head = comment(
        f'{kind} of {Path(base.split("::")[-1]).stem}, written by '
        'tools/sniperize.py, which could not decide:'
    )
    told = [comment(note, '#   ', '# - ') for note in notes]
    body = '\n\n'.join(filter(None, blocks))
    return '\n'.join([head, '#', *told, body, '']), notes
