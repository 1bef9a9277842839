"""The data part of a config for chips.

Data sets stay, and chips are cut from their images. Pipelines keep the
transforms that do not change sizes.
"""

from sniper_mmdet.chips import ImagePyramid
from sniper_mmdet.datasets.transforms import loading_by_window, packing_fast
from sniper_mmdet.utils.config_text import Code, assignment, comment
from sniper_mmdet.utils.type_names import name_of

from . import rules
from .draft import Draft
from .rules import Steps, names

#: Why a data set's own pipeline is removed.
_FOR_CHIPS = (
    'The pipeline of this data set is not used; an image without boxes can '
    'only give negative chips.'
)


def images(
    draft: Draft, pipeline: str = '[]', why: str = _FOR_CHIPS
) -> tuple[str, Steps]:
    """Write the statements for the training data and its own pipeline.

    Args:
        draft (Draft): Draft of the config.
        pipeline (str): Name of the pipeline that replaces it. Defaults to an
            empty one, because chips are cut from the images.
        why (str): Comment on the replacement.

    Raises:
        ValueError: There are no training data, or they have no boxes.
    """
    if not (data := draft.part('train_dataloader').get('dataset')):
        raise ValueError(
            'the config has no train_dataloader with a dataset to cut chips '
            'from.'
        )
    lines, pipelines, outer = [], [], []

    def visit(data: dict, path: str, source: str) -> None:
        # ``path`` is the place in the new config, ``source`` that in the old
        # one.
        while name_of(data) in rules.AROUND:
            if name_of(data) == 'RepeatDataset':
                draft.note(
                    f'RepeatDataset(times={data["times"]}) is taken out: an '
                    'epoch is one pass over all chips, so that the same '
                    'number of epochs is a shorter training.'
                )
            outer.extend(data.get('pipeline') or [])
            data, source = data['dataset'], f'{source}.dataset'
        if source != path:
            lines.append(f'{path} = {source}')
        while 'dataset' in data:
            data, path = data['dataset'], f'{path}.dataset'
        if 'datasets' in data:
            for i, part in enumerate(data['datasets']):
                inner = f'{path}.datasets[{i}]'
                visit(part, inner, inner)
            return
        rules.refuse_data(data)
        if own := data.get('pipeline'):
            pipelines.append(own)
        if own or pipeline != '[]':
            lines.append(f'{path}.pipeline = {pipeline}')
        if (data.get('filter_cfg') or {}).get('filter_empty_gt'):
            lines.append(f'{path}.filter_cfg.filter_empty_gt = False')

    visit(data, '_images', '_base_.train_dataloader.dataset')
    if any(pipeline != pipelines[0] for pipeline in pipelines[1:]):
        draft.note(
            'The parts of the data set have pipelines of their own; all '
            'chips go through that of the first.'
        )
    if len(lines) > 1:
        lines.insert(1, comment(why))
    return '\n'.join(lines), (pipelines[0] if pipelines else []) + outer


def chip_transforms(draft: Draft, pipeline: Steps) -> tuple[Steps, Steps]:
    """Split a training pipeline into the parts before and after CutChip."""
    loading, others, packing = rules.parts_of(pipeline, 'train')
    taken_out = [name_of(step) for step in others if not rules.is_kept(step)]
    if taken_out:
        draft.note(
            f'The training pipeline no longer has {names(taken_out)}: chips '
            'have their own places and scales. Only transforms that keep the '
            'size of a chip can be put back, after CutChip.'
        )
    loading = [loading_by_window(step) for step in loading]
    packing = [packing_fast(step) for step in packing]
    return loading, [*filter(rules.is_kept, others), *packing]


def train_loader(draft: Draft) -> str:
    """Write the train_dataloader, with the settings of the config's."""
    loader = dict(draft.part('train_dataloader'))
    sampler = name_of(loader.get('sampler') or {})
    if sampler not in ('', 'DefaultSampler', 'InfiniteSampler'):
        draft.note(
            f'{sampler} is taken out: ChipSampler shows every chip once per '
            'epoch.'
        )
    for key in ('sampler', 'batch_sampler', 'dataset'):
        loader.pop(key, None)
    loader['sampler'] = dict(type='sniper_mmdet.ChipSampler')
    loader['batch_sampler'] = None
    chips, proposed = draft.chips, {}
    if draft.advice:
        proposed['stride'] = chips.stride
    if chips.focus_sizes:
        proposed['focus_sizes'] = chips.focus_sizes
    loader['dataset'] = dict(
        type='sniper_mmdet.ChipDataset',
        **levels(chips.pyramid),
        chip_size=chips.chip_size,
        **proposed,
        pipeline=Code('_chip_pipeline'),
        dataset=Code('_images'),
    )
    return assignment('train_dataloader', dict(_delete_=True, **loader))


def test_loaders(draft: Draft) -> list[str]:
    """Write the loaders of whole images for validation and test."""
    blocks, known = [], {}
    for split in ('val', 'test'):
        name = f'{split}_dataloader'
        if not (data := draft.part(name).get('dataset')):
            continue
        leaves = list(rules.leaves(data, 'dataset'))
        own = leaves[0][0].get('pipeline') or []
        pipeline = _image_pipeline(draft, own, split)
        text = repr(pipeline)
        if text not in known:
            known[text] = f'_{"image" if not known else split}_pipeline'
            blocks.append(
                '# No Resize: the detector looks at each level.\n'
                + assignment(known[text], pipeline)
            )
        lines = [
            f'_base_.{name}.{path}.pipeline = {known[text]}'
            for _, path in leaves
        ]
        blocks.append('\n'.join([*lines, f'{name} = _base_.{name}']))
    return blocks


def _image_pipeline(draft: Draft, pipeline: Steps, split: str) -> Steps:
    loading, others, packing = rules.parts_of(pipeline, split)
    for step in packing:
        if step.get('meta_keys'):
            step['meta_keys'] = tuple(
                key for key in step['meta_keys'] if key not in rules.OF_RESIZED
            )
    taken_out = [n for n in map(name_of, others) if n not in rules.OF_LEVELS]
    if taken_out:
        draft.note(
            f'The {split} pipeline no longer has {names(taken_out)}: only '
            'transforms that keep an image as it is, uint8, can be put back.'
        )
    return [*loading, *packing]


def levels(pyramid: ImagePyramid) -> dict[str, list]:
    """Return scales and valid ranges for a config."""
    ranges = [(low or 0, high) for low, high in pyramid.valid_ranges]
    return dict(scales=list(pyramid.scales), valid_ranges=ranges)
