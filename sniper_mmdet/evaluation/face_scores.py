"""Evaluates result files of WIDER FACE, FDDB and Pascal Faces, in %."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from sniper_mmdet.utils.errors import UserError
from sniper_mmdet.utils.image import image_size

from .face_files import read_fddb, read_voc_faces, read_voc_results
from .face_sets import fddb_curves, rate_at, voc_curve
from .wider_face import average_precision_of, wider_precisions
from .wider_face_metric import read_wider_faces
from .wider_results import read_wider_results

_NOTHING = np.zeros((0, 5))


def wider_scores(
    results: str | Path, truth: str | Path, iou: str = 'official'
) -> dict[str, float]:
    """WIDER FACE's average precision, see :class:`WiderFaceMetric`.

    Args:
        results (str | Path): Folder with EVENT/NAME.txt.
        truth (str | Path): Folder with the authors' .mat files.
        iou (str): 'official' or 'exact'. Defaults to 'official'.
    """
    names, faces, counted = read_wider_faces(truth)
    found = read_wider_results(results, names)
    return wider_precisions(found, faces, counted, iou)


def fddb_scores(
    results: str | Path,
    truth: str | Path,
    images: str | Path | None = None,
    false_positives: Sequence[int] = (100, 500, 1000),
) -> dict[str, float]:
    """FDDB's scores at some numbers of false positives, over all folds.

    Args:
        results (str | Path): File of the results.
        truth (str | Path): Folder of the folds, or one of their files.
        images (str | Path, optional): Folder with NAME.jpg, for the sizes of
            :func:`fddb_curves`. Defaults to None.
        false_positives (Sequence[int]): Numbers of false positives. Defaults
            to (100, 500, 1000).
    """
    found, ellipses = read_fddb(results, 5), read_fddb(truth, 5)
    _check(found, ellipses, results, truth)
    for name, own in ellipses.items():
        if (own[:, :2] <= 0).any():
            raise UserError(f'{truth}: {name} has an ellipse without an area.')
    sizes = None
    if images is not None:
        sizes = [image_size(Path(images, f'{name}.jpg')) for name in ellipses]
    rows = [found.get(name, _NOTHING) for name in ellipses]
    curves = fddb_curves(rows, list(ellipses.values()), sizes)
    return {
        f'{kind}_{number}': 100 * rate_at(curve, number)
        for kind, curve in curves.items()
        for number in false_positives
    }


def pascal_scores(results: str | Path, truth: str | Path) -> dict[str, float]:
    """Average precision at an IoU of 0.5, by PASCAL VOC's rules since 2010.

    Args:
        results (str | Path): File of the results.
        truth (str | Path): Folder with XML files.
    """
    found = read_voc_results(results)
    faces, difficult = read_voc_faces(truth)
    _check(found, faces, results, truth)
    rows = [found.get(name, _NOTHING) for name in faces]
    flags = [difficult[name] for name in faces]
    curve = voc_curve(rows, list(faces.values()), flags)
    return dict(AP=100 * average_precision_of(curve))


def _check(found: Iterable[str], known: Iterable[str], results, truth) -> None:
    """Check that all results belong to annotated images."""
    known = set(known)
    others = [name for name in found if name not in known]
    if others:
        raise UserError(
            f'{results} must have images of {truth} only. Received: '
            f'{others[0]}.'
        )
