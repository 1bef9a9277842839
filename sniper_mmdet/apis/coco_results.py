"""Writes detections as a file of COCO results, image by image."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath

from mmdet.structures import DetDataSample
from mmdet.structures.mask import encode_mask_results

from sniper_mmdet.datasets.formats.coco import CocoWriter
from sniper_mmdet.utils.files import whole_file

from .inputs import image_name


class CocoResults:
    """Writes COCO results; the file is complete whenever it exists.

    This is a context manager. It writes each detection to a temporary file,
    which becomes the result at the end. An error in the context removes it.

    Args:
        path (str | Path): The file (.json).
        classes (Sequence[str]): Names of the labels.
        ann_file (str | Path, optional): A COCO file that gives the ids. An
            image is found by its file name, whose folders must be the last
            folders of the image's path (the name of a video counts with its
            ending or without). A category is found by its class name. Defaults
            to None: ids count from 1, and ``{stem}.images.json`` beside the
            results, a COCO file without annotations, lists the ids of images.

    Raises:
        ValueError: A path cannot be written or read, or the categories lack a
            class.

    Examples:
        >>> import json, tempfile, torch
        >>> from mmdet.structures import DetDataSample
        >>> from mmengine.structures import InstanceData
        >>> from sniper_mmdet.apis import CocoResults
        >>> found = InstanceData(
        ...     bboxes=torch.tensor([[10.0, 20, 40, 60]]),
        ...     scores=torch.tensor([0.5]), labels=torch.tensor([1]))
        >>> result = DetDataSample(
        ...     pred_instances=found,
        ...     metainfo=dict(img_path='a.jpg', ori_shape=(96, 128)))
        >>> path = f'{tempfile.mkdtemp()}/found.json'
        >>> with CocoResults(path, classes=('car', 'bus')) as results:
        ...     results.add(result)
        >>> json.load(open(path))
        [{'image_id': 1, 'category_id': 2, 'bbox': [10.0, 20.0, 30.0, 40.0],
        'score': 0.5}]
    """

    def __init__(
        self,
        path: str | Path,
        classes: Sequence[str],
        ann_file: str | Path | None = None,
    ) -> None:
        self.path = Path(path)
        if self.path.suffix != '.json' or self.path.is_dir():
            raise ValueError(
                f'COCO results must go to a .json file. Received: {path}.'
            )
        self.ann_file = ann_file
        if (
            ann_file is not None
            and self.path.resolve() == Path(ann_file).resolve()
        ):
            raise ValueError(
                'COCO results must go to another file than that of the '
                f'annotations. Received: {path}.'
            )
        if ann_file is None:
            # Classes with the same name are one category.
            self._images = CocoWriter(list(dict.fromkeys(classes)))
            ids = {c['name']: c['id'] for c in self._images.categories}
        else:
            self.image_ids, ids = _read_ids(ann_file)
        if missing := [name for name in classes if name not in ids]:
            raise ValueError(
                f'{ann_file} must have a category for each class of the '
                f'detector, but has none for {", ".join(missing)}.'
            )
        self.category_ids = [ids[name] for name in classes]
        self._used, self._taken = set(), {}

    def __enter__(self) -> 'CocoResults':
        self._context = self._writing()
        return self._context.__enter__()

    def __exit__(self, *error) -> None:
        self._context.__exit__(*error)

    @contextmanager
    def _writing(self) -> Iterator['CocoResults']:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._between = ''
        with whole_file(self.path) as part:
            with part.open('w', encoding='utf-8') as self._file:
                self._file.write('[')
                yield self
                self._file.write(']')
            if self.ann_file is None:
                self._images.write(self.path.with_suffix('.images.json'))

    def take(self, name: str | None) -> None:
        """Reserve the id of an image, before detection, by ``image_name``.

        Raises:
            ValueError: The annotations lack the image, or its id is taken.
        """
        if name is None:
            raise ValueError(
                f'{self.ann_file} gives ids by file name, and an array has no '
                'file name.'
            )
        known, paths = self.image_ids, [Path(os.path.abspath(name))]
        if (video := paths[0].parent).is_file():
            # A folder of the video's frames may lack the video's ending.
            paths.append(video.with_suffix('') / paths[0].name)
        tails = (
            PurePath(*path.parts[i:]).as_posix()
            for i in range(len(paths[0].parts))
            for path in paths
        )
        tail = next((tail for tail in tails if tail in known), None)
        if tail is None:
            raise ValueError(
                f'{self.ann_file} has no image of the file name {name}.'
            )
        if known[tail] in self._used:
            raise ValueError(
                f'{name} is not the only image with the id {known[tail]} in '
                f'{self.ann_file}.'
            )
        self._used.add(known[tail])
        self._taken[name] = known[tail]

    def add(self, result: DetDataSample) -> None:
        """Write the detections of one image.

        Raises:
            ValueError: The annotations lack the image, the image comes twice,
                or a label has no name.
        """
        image_id = self._image_id(result)
        found = result.pred_instances.cpu()
        if (masks := found.get('masks')) is not None:
            masks = encode_mask_results(masks.numpy())
        columns = (found.bboxes, found.labels, found.scores)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        for i, ((x1, y1, x2, y2), label, score) in enumerate(rows):
            if label >= len(self.category_ids):
                raise ValueError(
                    f'classes has {len(self.category_ids)} names, but there '
                    f'is a detection with label {label}.'
                )
            entry = dict(image_id=image_id)
            entry['category_id'] = self.category_ids[label]
            entry['bbox'] = [x1, y1, x2 - x1, y2 - y1]
            entry['score'] = score
            if masks is not None:
                counts = masks[i]['counts'].decode()
                entry['segmentation'] = dict(masks[i], counts=counts)
            self._file.write(self._between + json.dumps(entry))
            self._between = ',\n'

    def _image_id(self, result: DetDataSample) -> int:
        name = image_name(result)
        if self.ann_file is None:
            height, width = result.ori_shape
            name = name or f'{len(self._images.images) + 1:06d}'
            return self._images.add_image(name, width, height)['id']
        if name not in self._taken:
            self.take(name)
        return self._taken.pop(name)


def _read_ids(path: str | Path) -> tuple[dict[str, int], dict[str, int]]:
    """Ids of images by file name, and of categories by name."""
    try:
        coco = json.loads(Path(path).read_text(encoding='utf-8'))
        images = [
            (PurePath(img['file_name']).as_posix(), img['id'])
            for img in coco['images']
        ]
        categories = {c['name']: c['id'] for c in coco['categories']}
    except FileNotFoundError:
        raise
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f'{path} must be a COCO file with images and categories: '
            f'{type(error).__name__}: {error}'
        ) from error
    if len(dict(images)) < len(images):
        raise ValueError(f'{path} lists an image twice.')
    return dict(images), categories
