"""COCO files of scenes as files in OpenImages' format."""

import json
from pathlib import Path

#: As many as the configs name; animals are above some.
CLASSES = ('animal', *(f'class {k}' for k in range(1, 66)))
#: Of the files of boxes.
BOX_HEADER = (
    'ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,'
    'IsTruncated,IsGroupOf,IsDepiction,IsInside'
)


def write_open_images(scenes: Path, folder: Path) -> None:
    """Write train and val; each third box is around a group."""
    folder.mkdir(parents=True)
    names = [f'/m/{k},{name}\n' for k, name in enumerate(CLASSES)]
    (folder / 'class-descriptions-boxable.csv').write_text(''.join(names))
    below = [dict(LabelName=f'/m/{k}') for k in range(1, 9)]
    tree = dict(LabelName='/m/0', Subcategory=below)
    tree = dict(LabelName='/m/root', Subcategory=[tree])
    (folder / 'bbox_labels_hierarchy.json').write_text(json.dumps(tree))
    for split in ('train', 'val'):
        coco = json.loads((scenes / f'{split}.json').read_text())
        images = {image['id']: image for image in coco['images']}
        rows = [BOX_HEADER]
        labels = ['ImageID,Source,LabelName,Confidence']
        for k, one in enumerate(coco['annotations']):
            image = images[one['image_id']]
            (x, y, w, h), mid = one['bbox'], f'/m/{one["category_id"]}'
            x1, x2 = (v / image['width'] for v in (x, x + w))
            y1, y2 = (v / image['height'] for v in (y, y + h))
            name = Path(image['file_name']).stem
            box = ','.join(f'{v:.6f}' for v in (x1, x2, y1, y2))
            group = int(k % 3 == 0)
            rows.append(f'{name},xclick,{mid},1,{box},0,0,{group},0,0')
            labels.append(f'{name},verification,{mid},1')
        for image in images.values():
            name = Path(image['file_name']).stem
            labels.append(f'{name},verification,/m/9,0')
        path = folder / f'{split}-annotations-bbox.csv'
        path.write_text('\n'.join(rows) + '\n')
        path = folder / f'{split}-annotations-human-imagelabels-boxable.csv'
        path.write_text('\n'.join(labels) + '\n')
