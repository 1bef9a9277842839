"""Packs inputs for detectors whose labels are not complete."""

from pathlib import PurePath

import numpy as np
from mmdet.datasets.transforms import PackDetInputs
from mmdet.structures.bbox import HorizontalBoxes

from sniper_mmdet.datasets.proposals import ProposalFile
from sniper_mmdet.registry import TRANSFORMS
from sniper_mmdet.utils.errors import UserError

from .pack_image import PackImage


@TRANSFORMS.register_module()
class PackKnownLabels(PackImage):
    """PackDetInputs with further knowledge about the labels of an image.

    Differs from its parent: if :class:`LoadGroupOf` is in the pipeline,
    gt_instances and ignored_instances have ``is_group_of``, Tensor (N,), bool;
    and the metainfo also has

    - verified_labels (dict[int, bool]): for each class that somebody looked
      for, whether the image shows it; only if the dataset has it, as
      OpenImages does in ``image_level_labels`` and ``confidences``: 1 is
      present, 0 is absent, and a value between is a machine's guess
    - unseen_classes (list[int]): the classes that no image of the dataset
      shows; only if the dataset has it
    - scored_boxes (ndarray (K, 5)): detections of a first detector in pixels
      of the sample, and their scores; only with ``scores``
    - chip_range: if the chip has one

    Args:
        scores (str, optional): File from tools/misc/score_unlabelled.py.
            Defaults to None.
        **kwargs: Arguments of PackDetInputs.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged; or, when an image comes, it lacks the
            image.
    """

    mapping_table = dict(
        PackDetInputs.mapping_table, gt_is_group_of='is_group_of'
    )

    def __init__(self, scores: str | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.scores = None if scores is None else ProposalFile(scores)
        self._entries = {}
        if self.scores is not None:
            keys = enumerate(self.scores.keys)
            self._entries = {key: index for index, key in keys}
        more = 'verified_labels', 'unseen_classes', 'scored_boxes'
        more = *self.meta_keys, *more, 'chip_range'
        self.meta_keys = tuple(dict.fromkeys(more))

    def transform(self, results: dict) -> dict:
        results = dict(results)
        labels = results.get('image_level_labels')
        if labels is not None and 'verified_labels' not in results:
            told = zip(labels, results['confidences'], strict=True)
            results['verified_labels'] = {
                int(label): bool(confidence)
                for label, confidence in told
                if confidence in (0, 1)
            }
        if self.scores is not None:
            results['scored_boxes'] = self._scored(results)
        return super().transform(results)

    def _scored(self, results: dict) -> np.ndarray:
        self.scores.require_unchanged()
        entry = self._entry(results)
        span = slice(*self.scores.offsets[entry : entry + 2])
        boxes = np.array(self.scores.boxes[span])
        matrix = results.get('homography_matrix')
        if len(boxes) and matrix is not None:
            moved = HorizontalBoxes(boxes)
            moved.project_(matrix)
            moved.clip_(results['img_shape'][:2])
            boxes = moved.numpy()
        scored = np.column_stack([boxes, self.scores.scores[span]])
        seen = (boxes[:, 2:] > boxes[:, :2]).all(1)
        return scored[seen].astype(np.float32)

    def _entry(self, results: dict) -> int:
        """Index of the image in the file, see :func:`image_keys`."""
        parts = PurePath(results['img_path']).parts
        number = str(results.get('img_id', ''))
        for depth in range(1, len(parts) + 1):
            name = '/'.join(parts[-depth:])
            key = f'{number} {name}' if number else name
            if key in self._entries:
                return self._entries[key]
        raise UserError(
            f'{self.scores.path} has no scores of {results["img_path"]}: '
            'write it again, for this dataset, with '
            'tools/misc/score_unlabelled.py.'
        )

    def __repr__(self) -> str:
        path = None if self.scores is None else self.scores.path
        return (
            f'{self.__class__.__name__}(scores={path!r}, '
            f'meta_keys={self.meta_keys})'
        )
