"""Settings that suit the boxes of a config's training data."""

from sniper_mmdet.engine.build import build_boxes_dataset
from sniper_mmdet.tuning import propose, suggest
from sniper_mmdet.tuning.frontier import gain_of

from .draft import Draft
from .focus_head import focus_head_config, focus_strides
from .probe import Features, maps_of_wrapped


def settle(draft: Draft, features: Features | None) -> None:
    """Read a draft's training data, and choose the settings for it.

    Args:
        draft (Draft): Draft of the config.
        features (tuple, optional): The maps that a focus head could see; None
            for a detector without a focus head.

    Raises:
        OSError, ValueError: The data cannot be read, or have no boxes.
    """
    images = build_boxes_dataset(draft.cfg, 'train').images
    if features is None:
        # A pyramid looks at whole levels: each one must be worth it.
        advice, plans = propose(images)
        draft.advice = suggest(images) if advice.plan else advice
        if advice.plan:
            draft.note(f'{gain_of(advice, plans)} --autofocus writes that.')
        return
    maps = features[1]
    released = focus_head_config(maps)['stride']
    strides = focus_strides(maps) or [released]
    draft.advice, plans = propose(
        images, strides=strides, focus_stride=released
    )
    draft.note(
        'Levels, ranges, chips and FocusPixels are those proposed for the '
        f'boxes of the training data. {gain_of(draft.advice, plans)}'
    )


def focus_heads(model: dict) -> dict[int, dict]:
    """Return arguments of a focus head by the possible strides of FocusPixels.

    Args:
        model (dict): Config of a PyramidDetector or an AutoFocus detector.

    Returns:
        dict: Parts of a config, see :func:`focus_head_config`; empty if the
        detector cannot be built or run here.
    """
    try:
        maps = maps_of_wrapped(model)
    except ValueError:
        return {}
    return {
        stride: focus_head_config(maps, stride)
        for stride in focus_strides(maps)
    }
