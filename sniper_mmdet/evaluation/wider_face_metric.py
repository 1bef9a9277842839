"""The evaluation of WIDER FACE."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from sniper_mmdet.registry import METRICS
from sniper_mmdet.utils.choices import check_choice
from sniper_mmdet.utils.errors import UserError
from sniper_mmdet.utils.wider_mat import read_wider_mat

from .wider_face import wider_precisions
from .wider_results import as_written, wider_name, write_wider_result

#: Difficulties of faces, as in the names of their files.
DIFFICULTIES = ('easy', 'medium', 'hard')


def read_wider_faces(
    ann_dir: str | Path,
) -> tuple[list[str], list[np.ndarray], dict[str, list[np.ndarray]]]:
    """Read the faces that count from ``wider_{easy,medium,hard}_val.mat``.

    Args:
        ann_dir (str | Path): The folder ``ground_truth`` of the authors'
            ``eval_tools``.

    Returns:
        tuple: Images, EVENT/NAME; the faces of each, (K, 4), x, y, w, h; and
        for each difficulty whether they count, (K,).

    Raises:
        FileNotFoundError: A file is missing.
        UserError: A file is broken, or the three files differ in their faces.
    """
    counted, first = {}, None
    for difficulty in DIFFICULTIES:
        path = Path(ann_dir, f'wider_{difficulty}_val.mat')
        found = read_wider_mat(path)
        if found.counted is None:
            raise UserError(f'{path} must have the cells gt_list.')
        first = first or found
        alike = map(np.array_equal, found.boxes, first.boxes)
        if found.names != first.names or not all(alike):
            raise UserError(
                f'{path} must have the images and faces of '
                f'wider_{DIFFICULTIES[0]}_val.mat.'
            )
        counted[difficulty] = found.counted
    return first.names, first.boxes, counted


@METRICS.register_module()
class WiderFaceMetric(BaseMetric):
    """Average precision of easy, medium and hard faces, by WIDER FACE's rules.

    Results, in %: ``AP_easy``, ``AP_medium`` and ``AP_hard``, the values of
    the authors' MATLAB tool for the same result files. Only the files of that
    tool say which faces count. Detections of all labels count as faces.

    Args:
        ann_dir (str, optional): Folder of ``wider_easy_val.mat`` and the files
            for medium and hard, ``ground_truth`` of the authors'
            ``eval_tools``. All their images count. Defaults to None: only
            result files are written.
        outfile_prefix (str, optional): Folder for result files,
            ``EVENT/NAME.txt``. Defaults to None: no files.
        format_only (bool): Whether to evaluate nothing, as for the test split,
            whose faces are not published. Defaults to False.
        decimals (int): Decimals of boxes, in result files and in the
            evaluation. With 0, corners are truncated to whole pixels, as in
            SSH. The tool rounds, so that results with decimals may be lower.
            Defaults to 0.
        iou (str): 'official', or 'exact': without MATLAB's rounding, as in the
            tool's ports to Python. Defaults to 'official'.
        *args, **kwargs: Arguments of mmengine's BaseMetric.

    Raises:
        FileNotFoundError: A file of ``ann_dir`` is missing.
        ValueError: A setting is wrong, or a file is broken.
    """

    default_prefix = 'wider'

    def __init__(
        self,
        ann_dir: str | None = None,
        outfile_prefix: str | None = None,
        format_only: bool = False,
        decimals: int = 0,
        iou: str = 'official',
        *args,
        **kwargs,
    ) -> None:
        super().__init__(*args, **kwargs)
        check_choice('iou', iou, 'official', 'exact')
        self.ann_dir, self.outfile_prefix = ann_dir, outfile_prefix
        self.format_only, self.decimals, self.iou = format_only, decimals, iou
        if outfile_prefix is None and (format_only or ann_dir is None):
            raise UserError(
                'WiderFaceMetric needs an ann_dir to evaluate, or an '
                'outfile_prefix to write result files.'
            )
        self._faces = None
        if ann_dir is not None and not format_only:
            self._faces = read_wider_faces(ann_dir)
            self._known = set(self._faces[0])

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            name = wider_name(sample['img_path'])
            if self._faces and name not in self._known:
                raise UserError(
                    f'{self.ann_dir} must have all images of the dataset, '
                    f'EVENT/NAME.jpg. Received: {sample["img_path"]}.'
                )
            found = sample['pred_instances']
            boxes, scores = (
                found[key].cpu().numpy() for key in ('bboxes', 'scores')
            )
            rows = as_written(boxes, scores, self.decimals)
            self.results.append((name, rows))

    def compute_metrics(self, results: list) -> dict[str, float]:
        found = dict(results)
        if self.outfile_prefix is not None:
            folder = Path(self.outfile_prefix)
            for name, rows in found.items():
                write_wider_result(folder, name, rows, self.decimals)
            text = f'results of {len(found)} images are written to {folder}'
            print_log(text, 'current')
        if self._faces is None:
            return {}
        names, faces, counted = self._faces
        if len(found) < len(names):
            print_log(
                f'{self.ann_dir} has {len(names)} images, and {len(found)} of '
                'them were tested: faces of the others count as missed.',
                'current',
            )
        nothing = np.zeros((0, 5))
        detections = [found.get(name, nothing) for name in names]
        return wider_precisions(detections, faces, counted, self.iou)
