"""Proposes boxes of unlabelled images for a labelling program."""

from pathlib import Path

from torch import nn

from sniper_mmdet.datasets.formats.class_folders import read_class_folders
from sniper_mmdet.datasets.formats.coco import CocoWriter
from sniper_mmdet.utils.image import find_files

from .inference import OBJECT, detect


def propose_labels(
    model: nn.Module,
    folder: str | Path,
    out: str | Path,
    *,
    every: bool = False,
    score_thr: float = 0.3,
    batch_size: int = 1,
    on_error: str = 'raise',
    progress: bool = True,
) -> CocoWriter:
    """Write proposed boxes as a COCO file for CVAT or Label Studio.

    Args:
        model (nn.Module): A detector with a decoupled head, built by mmdet's
            ``init_detector``.
        folder (str | Path): A folder FOLDER/CLASS/IMAGE. In each image the
            most probable object gets a box of the class, whatever its score.
        out (str | Path): File to write (.json).
        every (bool): Whether ``folder`` is any folder of images instead, and
            each object from ``score_thr`` on gets a box of the one category
            'object'. Defaults to False.
        score_thr (float): Least P(object). Defaults to 0.3.
        batch_size, on_error, progress: See :func:`detect`.

    Returns:
        CocoWriter: The content of the file. File names are relative to the
        folder, and annotations have a further field ``score``.

    Raises:
        OSError: A folder or image is missing, or cannot be read.
        ValueError: The folder or the detector is of another kind.
    """
    folder = Path(folder)
    if every:
        files = [(0, folder / name) for name in find_files(folder)]
        if not files:
            raise FileNotFoundError(f'{folder} has no image.')
        writer = CocoWriter(OBJECT)
    else:
        pictures = read_class_folders(folder, least=1)
        named = enumerate(pictures.values())
        files = [(label, path) for label, paths in named for path in paths]
        writer = CocoWriter(list(pictures))
    label_of = {str(path): label for label, path in files}
    found = detect(
        model,
        [path for _, path in files],
        class_agnostic=True,
        batch_size=batch_size,
        on_error=on_error,
        progress=progress,
    )
    for result in found:
        height, width = result.ori_shape[:2]
        name = Path(result.img_path).relative_to(folder).as_posix()
        image = writer.add_image(name, width, height)
        objects = result.pred_instances
        objects = objects[objects.scores.argsort(descending=True)]
        if every:
            objects = objects[objects.scores >= score_thr]
        else:
            objects = objects[:1]
        for box, score in zip(
            objects.bboxes.tolist(), objects.scores.tolist(), strict=True
        ):
            label = label_of[result.img_path]
            writer.add_object(image, name, label, box, score=round(score, 4))
    # CVAT needs these fields, with any value.
    writer.write(Path(out), info={}, licenses=[])
    return writer
