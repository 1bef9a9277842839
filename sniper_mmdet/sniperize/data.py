"""The part of a config for chips that is about data.

Data sets stay what they are, chips are cut of their images; of pipelines stays
what does not change sizes.
"""

from mmengine.config import Config

from sniper_mmdet.chips import ImagePyramid
from sniper_mmdet.chips.presets import RELEASED_COCO
from sniper_mmdet.utils.config_text import Code, assignment, comment

from . import rules
from .rules import name_of, names

CHIP = RELEASED_COCO.chip_size


class DataDelta:
    """What changes of a config's data; ``notes`` says what it left open.

    Args:
        cfg (Config): That is to train on chips.

    Raises:
        ValueError: It has no training data.
    """

    def __init__(self, cfg: Config) -> None:
        self.cfg = cfg
        self.notes = []
        self.data = self.part('train_dataloader').get('dataset')
        if not self.data:
            raise ValueError(
                'the config has no train_dataloader with a dataset to cut '
                'chips from.'
            )

    def part(self, name: str) -> dict:
        return self.cfg.get(name) or {}

    def note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)

    def images(self) -> tuple[list[str], list[dict], list[dict]]:
        """Statements that give the data to cut, its parts, its pipeline."""
        lines, leaves, pipelines = [], [], []
        outer = []

        def inside(data: dict, path: str) -> tuple[dict, str]:
            while name_of(data) in rules.AROUND:
                if name_of(data) == 'RepeatDataset':
                    self.note(
                        f'RepeatDataset(times={data["times"]}) is taken out: '
                        'an epoch is one pass over all chips, and as many '
                        'epochs as before are a shorter training.'
                    )
                outer.extend(data.get('pipeline') or [])
                data, path = data['dataset'], f'{path}.dataset'
            return data, path

        def visit(data: dict, path: str) -> None:
            if 'datasets' in data:
                for i, part in enumerate(data['datasets']):
                    name = f'{path}.datasets[{i}]'
                    part, inner = inside(part, name)
                    if inner != name:
                        lines.append(assignment(name, Code(inner)))
                    visit(part, name)
                return
            if 'dataset' in data:
                visit(data['dataset'], f'{path}.dataset')
                return
            rules.refuse_data(data)
            leaves.append(data)
            if data.get('pipeline'):
                pipelines.append(data['pipeline'])
                lines.append(assignment(f'{path}.pipeline', []))
            if (data.get('filter_cfg') or {}).get('filter_empty_gt'):
                lines.append(
                    assignment(f'{path}.filter_cfg.filter_empty_gt', False)
                )

        data, path = inside(self.data, '_base_.train_dataloader.dataset')
        lines.append(assignment('_images', Code(path)))
        visit(data, '_images')
        if any(pipeline != pipelines[0] for pipeline in pipelines[1:]):
            self.note(
                'The parts of the data set have pipelines of their own; all '
                'chips go through that of the first.'
            )
        if len(lines) > 1:
            lines.insert(
                1,
                comment(
                    'Its pipeline is not used; an image without a box gives '
                    'negative chips, if any.'
                ),
            )
        return lines, leaves, (pipelines[0] if pipelines else []) + outer

    def chip_pipeline(self, pipeline: list[dict]) -> list[dict]:
        loading, packing = rules.pipeline_ends(pipeline, 'train')
        self.num_loading = len(loading)
        changing, taken_out = [], []
        for step in pipeline:
            name = name_of(step)
            if step in packing or name.startswith('Load'):
                continue
            if rules.is_kept(step):
                changing.append(step)
            else:
                taken_out.append(name)
        if taken_out:
            self.note(
                f'Taken out of the training pipeline: {names(taken_out)}; '
                'chips have their own places and scales, and only what keeps '
                'the size of a chip can be put back, after CutChip.'
            )
        cut = dict(type='sniper_mmdet.CutChip')
        return [*loading, cut, *changing, *packing]

    def train_loader(self) -> str:
        loader = dict(self.part('train_dataloader'))
        sampler = name_of(loader.pop('sampler', None) or {})
        if sampler not in ('', 'DefaultSampler', 'InfiniteSampler'):
            self.note(
                f'{sampler} is taken out: ChipSampler shows every chip once '
                'an epoch.'
            )
        for key in ('batch_sampler', 'dataset'):
            loader.pop(key, None)
        scales, ranges = levels(RELEASED_COCO.pyramid)
        return assignment(
            'train_dataloader',
            dict(
                _delete_=True,
                **loader,
                sampler=dict(type='sniper_mmdet.ChipSampler'),
                batch_sampler=None,
                dataset=dict(
                    type='sniper_mmdet.ChipDataset',
                    scales=scales,
                    valid_ranges=ranges,
                    chip_size=CHIP,
                    pipeline=Code('_chip_pipeline'),
                    dataset=Code('_images'),
                ),
            ),
        )

    def test_loaders(self) -> list[str]:
        """Statements: whole images as loaded, for validation and test."""
        blocks, known = [], {}
        for split in ('val', 'test'):
            data = self.part(f'{split}_dataloader').get('dataset')
            if not data:
                continue
            leaves = list(rules.leaves(data, 'dataset'))
            pipeline = self.image_pipeline(leaves[0][0].get('pipeline'), split)
            text = repr(pipeline)
            if text not in known:
                known[text] = f'_{"image" if not known else split}_pipeline'
                blocks.append(
                    '# No Resize: the detector looks at each level.\n'
                    + assignment(known[text], pipeline)
                )
            name, value = f'{split}_dataloader', Code(known[text])
            lines = [
                assignment(f'_base_.{name}.{path}.pipeline', value)
                for _, path in leaves
            ]
            lines.append(assignment(name, Code(f'_base_.{name}')))
            blocks.append('\n'.join(lines))
        return blocks

    def image_pipeline(self, pipeline: list | None, split: str) -> list[dict]:
        loading, packing = rules.pipeline_ends(pipeline or [], split)
        for step in packing:
            if step.get('meta_keys'):
                step['meta_keys'] = tuple(
                    key
                    for key in step['meta_keys']
                    if key not in rules.OF_RESIZED
                )
        others = [
            name_of(step)
            for step in pipeline
            if not name_of(step).startswith(('Load', 'Pack'))
            and name_of(step) not in rules.OF_LEVELS
        ]
        if others:
            self.note(
                f'Taken out of the {split} pipeline: {names(others)}; only '
                'what keeps an image as it is, uint8, can be put back.'
            )
        return [*loading, *packing]


def levels(pyramid: ImagePyramid) -> tuple[list, list]:
    """Scales and valid ranges as a config has them."""
    ranges = [(low or 0, high) for low, high in pyramid.valid_ranges]
    return list(pyramid.scales), ranges
