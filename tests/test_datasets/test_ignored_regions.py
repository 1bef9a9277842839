"""Boxes that are annotated as ignored: what is mined and cut around them."""

import numpy as np
import pytest
from chip_data import (
    CLASSES,
    PIPELINE,
    annotation,
    chip_dataset,
    coco_config,
    read,
    write,
)
from mmdet.datasets import BaseDetDataset
from mmdet.registry import DATASETS as MMDET_DATASETS

from sniper_mmdet.chips import from_coco
from sniper_mmdet.datasets import ProposalFile, write_proposals

#: A region is smaller than the proposals, the other is larger than a chip.
OBJECT = (6, 10, 32, 36)
REGIONS = [(100, 100, 112, 112), (30, 110, 180, 230)]


@MMDET_DATASETS.register_module(force=True)
class OwnIgnoringDataset(BaseDetDataset):
    """A user's data set whose instances say what is ignored."""

    METAINFO = dict(classes=CLASSES)

    def load_data_list(self):
        return list(self.ann_file)  # mmdet empties it

    def _join_prefix(self):
        pass


def as_coco(folder):
    coco = read(folder)
    coco['annotations'] = []
    for image in coco['images']:
        for x1, y1, x2, y2 in [OBJECT, *REGIONS[image['id'] % 2 :]]:
            found = annotation(coco, image['id'], [x1, y1, x2 - x1, y2 - y1])
            found['iscrowd'] = int((x1, y1, x2, y2) != OBJECT)
            coco['annotations'].append(found)
    write(folder, coco)
    return coco_config(folder)


def as_voc(folder):
    config = as_coco(folder)
    coco, root = read(folder), folder / 'VOC2007'
    for name in ('Annotations', 'ImageSets/Main', 'JPEGImages'):
        (root / name).mkdir(parents=True)
    for image in coco['images']:
        objects = ''
        for ann in coco['annotations']:
            if ann['image_id'] == image['id']:
                x, y, w, h = ann['bbox']
                objects += (
                    f'<object><name>cat</name><difficult>{ann["iscrowd"]}'
                    f'</difficult><bndbox><xmin>{x + 1}</xmin>'
                    f'<ymin>{y + 1}</ymin><xmax>{x + w + 1}</xmax>'
                    f'<ymax>{y + h + 1}</ymax></bndbox></object>'
                )
        name = image['file_name']
        (folder / 'images' / name).rename(root / 'JPEGImages' / name)
        (root / f'Annotations/{name[0]}.xml').write_text(
            f'<annotation><size><width>{image["width"]}</width><height>'
            f'{image["height"]}</height></size>{objects}</annotation>'
        )
    (root / 'ImageSets/Main/train.txt').write_text('0\n1\n2\n3\n')
    return dict(
        type='VOCDataset',
        data_root=str(folder),
        ann_file='VOC2007/ImageSets/Main/train.txt',
        data_prefix=dict(sub_data_root='VOC2007/'),
        metainfo=config['metainfo'],
    )


def as_own(folder):
    as_coco(folder)
    coco = read(folder)
    found = []
    for image in coco['images']:
        instances = [
            dict(
                bbox=[x, y, x + w, y + h],
                bbox_label=0,
                ignore_flag=ann['iscrowd'],
            )
            for ann in coco['annotations']
            for x, y, w, h in [ann['bbox']]
            if ann['image_id'] == image['id']
        ]
        path = str(folder / 'images' / image['file_name'])
        found.append(dict(img_path=path, instances=instances))
    return dict(type='OwnIgnoringDataset', ann_file=found)


def as_parts(folder):
    config = as_coco(folder)
    parts = [dict(config, indices=[k, k + 1]) for k in (0, 2)]
    return dict(type='ConcatDataset', datasets=parts)


def as_repeated(folder):
    return dict(type='RepeatDataset', times=1, dataset=as_coco(folder))


KINDS = [as_coco, as_voc, as_own, as_parts, as_repeated]


def propose(dataset, folder):
    """30 proposals in the large region of each image, 30 at its top right."""
    rng = np.random.default_rng(0)
    boxes = []
    for width, _ in dataset.images.sizes.tolist():
        corner = rng.uniform((35, 115), (150, 200), (30, 2))
        far = rng.uniform((width - 90, 5), (width - 40, 25), (30, 2))
        corner = np.concatenate([corner, far]).astype(np.float32)
        boxes.append(np.concatenate([corner, corner + 20], 1))
    path = folder / 'proposals.npz'
    scores = [np.full(60, 0.5, np.float32)] * len(boxes)
    write_proposals(
        path, dataset.keys, dataset.images.sizes, boxes, scores, {}
    )
    return ProposalFile(path)


@pytest.mark.parametrize('kind', KINDS)
def test_no_negative_chip_is_cut_for_what_lies_in_a_region(kind, folder):
    dataset = chip_dataset(kind(folder), negatives=dict(min_proposals=5))
    images = dataset.images
    assert np.diff(images.region_offsets).tolist() == [2, 1, 2, 1]
    assert images.regions[:2].tolist() == [list(box) for box in REGIONS]
    assert len(images.boxes) == 4
    dataset.set_proposals(propose(dataset, folder))
    table = dataset.mine(0, 0)
    negative = table[~table['positive']]
    # The others have theirs, at the top.
    assert set(negative['image']) == set(range(4))
    assert (negative['y1'] < 28).all()
    assert set(table['image'][table['positive']]) == set(range(4))


@pytest.mark.parametrize('kind', KINDS)
def test_regions_stay_ignored_and_can_be_told(kind, folder):
    config, flip = kind(folder), dict(type='RandomFlip', prob=1.0)
    for mode in ('ignore', 'drop', 'keep')[: None if kind is as_coco else 1]:
        dataset = chip_dataset(
            config,
            out_of_range=mode,
            pipeline=[*PIPELINE[:3], flip, PIPELINE[-1]],
            chip_size=200,
        )
        images, table = dataset.images, dataset.mine(0, 0)
        for row in table:
            packed = dataset[row]
            sample, width = packed['data_samples'], packed['inputs'].shape[-1]
            assert (sample.gt_instances.labels >= 0).all()
            if row['level']:
                continue
            # A whole image, half as large, mirrored.
            ignored = sample.ignored_instances
            found = ignored.bboxes.tensor[ignored.labels == -1].numpy()
            span = images.region_offsets[row['image'] :][:2]
            expected = images.regions[slice(*span)] / 2
            expected[:, [0, 2]] = width - expected[:, [2, 0]]
            assert found == pytest.approx(expected, abs=0.01)
        assert (table['level'] == 0).sum() == 4


def test_a_file_and_its_data_set_have_the_same_regions(folder):
    dataset = chip_dataset(as_coco(folder))
    alone = from_coco(str(folder / 'coco.json'))
    assert alone.region_images.tolist() == [0, 0, 1, 2, 2, 3]
    for ours, theirs in zip(dataset.images, alone, strict=True):
        assert ours.dtype == theirs.dtype and (ours == theirs).all()
