"""Converts OpenImages' files to one COCO file, and back.

The COCO file has further fields. An annotation has ``is_group_of`` and the
other attributes of a box. An image has ``pos_category_ids`` and
``neg_category_ids``, as in LVIS: the classes that people verified as present
and as absent. A category has ``mid``, and ``supercategory``, the class above
it. The file has ``hierarchy``, OpenImages' own tree.
"""

import csv
import json
import os
from collections import defaultdict
from pathlib import Path, PurePath

from sniper_mmdet.chips.coco import load_coco
from sniper_mmdet.utils.choices import check_choice
from sniper_mmdet.utils.errors import UserError
from sniper_mmdet.utils.files import write_json, write_whole
from sniper_mmdet.utils.hierarchy import read_classes
from sniper_mmdet.utils.progress import track

from ..openimages import FLAGS, OpenImagesDataset
from .coco import CocoWriter
from .openimages import BOX_FIELDS, LABEL_FIELDS, read_hierarchy

CLASSES_FILE = 'class-descriptions-boxable.csv'
HIERARCHY_FILE = 'bbox_labels_hierarchy.json'
BOXES_FILE = '{}-annotations-bbox.csv'
LABELS_FILE = '{}-annotations-human-imagelabels-boxable.csv'
_ROOT = '/root'


def openimages_to_coco(
    images: Path,
    boxes: Path,
    classes: Path,
    out: Path,
    hierarchy: Path | None = None,
    image_labels: Path | None = None,
    group_of: str = 'crowd',
    skip_missing: bool = False,
    skip_unknown: bool = False,
) -> str:
    """Write the COCO file of OpenImages' csv files, whole or not at all.

    Args:
        images (Path): Folder of the images, read recursively.
        boxes (Path): Boxes, csv or the challenge's text file.
        classes (Path): Names of the classes, csv.
        out (Path): The COCO file.
        hierarchy (Path, optional): Hierarchy of the classes, json.
        image_labels (Path, optional): Verified image labels, csv.
        group_of (str): How boxes around groups are written: 'crowd', which
            training ignores; 'keep', as objects; 'drop', not at all.
        skip_missing (bool): Whether images that are missing or cannot be read
            are left out.
        skip_unknown (bool): Whether rows of unknown classes are left out.

    Returns:
        str: The number of boxes per class, and what was left out.

    Raises:
        ValueError: A row is wrong; the error names its file and number.
    """
    check_choice('--group-of', group_of, 'crowd', 'keep', 'drop')
    if out.suffix != '.json':
        raise UserError(f'--out must be a .json file. Received: {out}.')
    if hierarchy and hierarchy.suffix != '.json':
        raise UserError(
            f'--hierarchy must be a .json file. Received: {hierarchy}.'
        )
    dataset = OpenImagesDataset(
        ann_file=str(boxes),
        data_prefix=dict(img=str(images)),
        label_file=str(classes),
        hierarchy_file=hierarchy and str(hierarchy),
        image_level_ann_file=image_labels and str(image_labels),
        group_of='drop' if group_of == 'drop' else 'keep',
        missing_images='skip' if skip_missing else 'raise',
        unknown_classes='skip' if skip_unknown else 'raise',
        cache=False,
    )
    named = read_classes(classes)
    coco = CocoWriter(list(named.values()))
    for category, mid in zip(coco.categories, named, strict=True):
        category['mid'] = mid
    fields = {}
    if hierarchy:
        fields['hierarchy'] = json.loads(hierarchy.read_text(encoding='utf-8'))
        _name_parents(coco.categories, fields['hierarchy'])
    for index in track(range(len(dataset))):
        info = dataset.get_data_info(index)
        name = PurePath(os.path.relpath(info['img_path'], images)).as_posix()
        image = coco.add_image(name, info['width'], info['height'])
        if image_labels:
            told = dataset.data_list.verified(index).items()
            image['pos_category_ids'] = [k + 1 for k, there in told if there]
            image['neg_category_ids'] = [k + 1 for k, t in told if not t]
        for number, one in enumerate(info['instances'], start=1):
            coco.add_object(
                image,
                f'{boxes}, box {number} of {info["img_id"]}',
                one['bbox_label'],
                one['bbox'],
                int(group_of == 'crowd' and one['is_group_of']),
                **{flag: int(one[flag]) for flag in FLAGS},
            )
    coco.write(out, **fields)
    return '\n'.join([coco.summary(), *dataset.left_out, f'{out} is written.'])


def _name_parents(categories: list[dict], tree: dict) -> None:
    """Give categories the name of the class directly above, if any."""
    by_mid = {category['mid']: category for category in categories}
    pending = [(tree, None)]
    while pending:
        node, above = pending.pop()
        own = by_mid.get(node['LabelName'])
        if own is not None and above is not None:
            own['supercategory'] = above['name']
        below = node.get('Subcategory', ())
        pending += [(child, own or above) for child in below]


def coco_to_openimages(
    ann: Path, out: Path, split: str = 'train', exhaustive: bool = False
) -> str:
    """Write OpenImages' files from a COCO file: boxes, labels, classes, tree.

    Args:
        ann (Path): The COCO file.
        out (Path): Folder to write to.
        split (str): Beginning of the file names.
        exhaustive (bool): Whether each image has a box of every class that it
            shows, as in COCO. All other classes are then absent.

    Returns:
        str: A sentence about the files that were written.

    Raises:
        ValueError: The COCO file is wrong; the error says where.
    """
    coco, content = load_coco(str(ann))
    content.must_be_finite()
    mids, names = _mids(ann, coco['categories'])
    tree = coco.get('hierarchy') or _tree(ann, coco['categories'], mids)
    boxes_of = defaultdict(list)
    for annotation in content.annotations:
        if not annotation.get('ignore'):
            boxes_of[annotation['image_id']].append(annotation)
    boxes, labels, ids = [], [], {}
    for image, size in zip(content.images, content.sizes, strict=True):
        name = PurePath(image['file_name']).stem
        first = ids.setdefault(name, image['file_name'])
        if first != image['file_name']:
            raise UserError(
                f'{ann}: images must have names of their own without folder '
                f'and suffix. Received: {first} and {image["file_name"]}.'
            )
        own = boxes_of[image['id']]
        _require_known(ann, image, own, mids)
        boxes += [_box_row(name, one, mids, size) for one in own]
        labels += _label_rows(name, image, own, mids, exhaustive)
    out.mkdir(parents=True, exist_ok=True)
    files = {
        BOXES_FILE.format(split): [BOX_FIELDS, *boxes],
        LABELS_FILE.format(split): [LABEL_FIELDS, *labels],
        CLASSES_FILE: [[mids[k], name] for k, name in names.items()],
    }
    for name, rows in files.items():
        _write_csv(out / name, rows)
    write_json(out / HIERARCHY_FILE, tree)
    read_hierarchy(out / HIERARCHY_FILE, list(mids.values()))
    return (
        f'{len(ids)} images, {len(boxes)} boxes and {len(labels)} image '
        f'labels: {", ".join([*files, HIERARCHY_FILE])} are written to {out}.'
    )


def _mids(ann: Path, categories) -> tuple[dict, dict]:
    """MIDs and names by category id; the id replaces a missing MID."""
    mids = {c['id']: c.get('mid', f'/coco/{c["id"]}') for c in categories}
    names = {c['id']: c['name'] for c in categories}
    for what, values in (('mid', mids), ('name', names)):
        if len(set(values.values())) < len(values):
            raise UserError(
                f'{ann}: each category must have a {what} of its own. '
                f'Received: {list(values.values())}.'
            )
    return mids, names


def _require_known(ann: Path, image: dict, boxes: list, mids: dict) -> None:
    """Raise an error for an id of no category, and for a class both ways."""
    there = {one['category_id'] for one in boxes}
    there.update(image.get('pos_category_ids', ()))
    absent = set(image.get('neg_category_ids', ()))
    for wrong, rule in (
        ((there | absent) - set(mids), 'must be an id of a category'),
        (there & absent, 'must not be present and absent'),
    ):
        if wrong:
            raise UserError(
                f'{ann}: each class of {image["file_name"]} {rule}. '
                f'Received: {min(wrong, key=str)}.'
            )


def _box_row(name: str, annotation: dict, mids: dict, size) -> list[str]:
    x, y, w, h = annotation['bbox']
    width, height = size
    sides = x / width, (x + w) / width, y / height, (y + h) / height
    sides = [f'{min(max(side, 0), 1):.6f}' for side in sides]
    group = annotation.get('is_group_of', annotation.get('iscrowd', 0))
    flags = [annotation.get(flag, -1) for flag in FLAGS]
    flags[FLAGS.index('is_group_of')] = group
    mid = mids[annotation['category_id']]
    return [name, 'coco', mid, '1', *sides, *(str(int(f)) for f in flags)]


def _label_rows(name, image, boxes, mids, exhaustive) -> list[list[str]]:
    there = {one['category_id'] for one in boxes}
    there.update(image.get('pos_category_ids', ()))
    absent = image.get('neg_category_ids', ())
    if exhaustive:
        absent = [key for key in mids if key not in there]
    told = [(mids[key], '1') for key in mids if key in there]
    told += [(mids[key], '0') for key in absent]
    return [[name, 'verification', *one] for one in told]


def _tree(ann: Path, categories, mids: dict) -> dict:
    """A tree by ``supercategory``, if that is the name of a category."""
    above = {c['name']: c.get('supercategory') for c in categories}
    for name in above:
        path = []
        while name in above and name not in path:
            path.append(name)
            name = above[name] if above[name] != name else None
        if name in path:
            circle = ' < '.join([*path[path.index(name) :], name])
            raise UserError(
                f'{ann}: a category must not be above itself. Received: '
                f'{circle}.'
            )
    nodes = {c['name']: dict(LabelName=mids[c['id']]) for c in categories}
    top = []
    for category in categories:
        above = category.get('supercategory')
        own = nodes[category['name']]
        if above in nodes and above != category['name']:
            nodes[above].setdefault('Subcategory', []).append(own)
        else:
            top.append(own)
    return dict(LabelName=_ROOT, Subcategory=top)


def _write_csv(path: Path, rows: list[list[str]]) -> None:
    def save(part: Path) -> None:
        with part.open('w', encoding='utf-8', newline='') as file:
            csv.writer(file, lineterminator='\n').writerows(rows)

    write_whole(path, save)
