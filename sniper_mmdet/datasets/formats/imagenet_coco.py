"""ImageNet's detection data as a COCO file."""

from collections.abc import Callable
from pathlib import Path

from .coco import CocoWriter
from .imagenet import read_boxes, read_list, read_wnids

#: What a category can be called.
NAMES: dict[str, Callable[[int, str], str]] = dict(
    number=lambda index, wnid: f'{index:04d}', wnid=lambda index, wnid: wnid
)


def imagenet_det_to_coco(
    list_file: Path,
    ann_dir: Path,
    classes: Path,
    out: Path,
    names: str = 'number',
    img_suffix: str = '.JPEG',
    keep_empty: bool = False,
) -> str:
    """Write the boxes of ImageNet's XML files as one COCO file.

    Boxes are filtered as :func:`read_boxes` says. No image is opened: sizes
    are those of the XML files.

    Args:
        list_file (Path): Names ``WNID/name`` of images, see
            :func:`read_list`.
        ann_dir (Path): Folder of ``WNID/name.xml``.
        classes (Path): The classes, see :func:`read_wnids`.
        out (Path): The COCO file.
        names (str): 'number', as :class:`ImageNet3kDataset` calls its classes,
            or 'wnid'. A category keeps its WNID in ``wnid``, and its cluster
            in ``supercategory``. Defaults to 'number'.
        img_suffix (str): Ending of the images' files. Defaults to '.JPEG'.
        keep_empty (bool): Whether images without a usable box are kept.
            Defaults to False.

    Returns:
        str: What was written.

    Raises:
        FileNotFoundError: A file is missing.
        UserError: A file is damaged.
    """
    wnids, clusters = read_wnids(classes)
    writer = CocoWriter([NAMES[names](*pair) for pair in enumerate(wnids)])
    for category, wnid, cluster in zip(
        writer.categories, wnids, clusters, strict=True
    ):
        category.update(wnid=wnid, supercategory=str(cluster))
    labels = {wnid: label for label, wnid in enumerate(wnids)}
    empty = 0
    for name in read_list(list_file):
        size, objects = read_boxes(Path(ann_dir) / f'{name}.xml', labels)
        if not objects and not keep_empty:
            empty += 1
            continue
        image = writer.add_image(f'{name}{img_suffix}', *size)
        for label, box in objects:
            writer.add_object(image, name, label, box)
    writer.write(out)
    left_out = f' {empty} images without a usable box.' if empty else ''
    return f'{writer.summary()}{left_out}'
