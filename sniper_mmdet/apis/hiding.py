"""Hides faces, or other detected objects, in photographs and videos."""

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from torch import nn

from sniper_mmdet.images import WAYS
from sniper_mmdet.utils.choices import check_choice, check_share
from sniper_mmdet.utils.errors import UserError
from sniper_mmdet.utils.files import write_whole
from sniper_mmdet.utils.pictures import PictureNames

from .inference import class_names
from .inputs import find_inputs, is_video
from .picture_hider import CODECS, PictureHider


def hide_objects(
    model: nn.Module,
    source: str | Path,
    out_dir: str | Path,
    *,
    way: str = 'blur',
    classes: Sequence[str] = (),
    score_thr: float = 0.3,
    margin: float = 0.1,
    hold: int = 3,
    on_error: str = 'raise',
) -> Iterator[dict]:
    """Write copies of images and videos in which detected objects are hidden.

    A photograph keeps its format, pixel type, EXIF, orientation, colour
    profile and JPEG quality, see :class:`~sniper_mmdet.images.Photograph`. The
    EXIF thumbnail and maker's notes are removed, since they show the original
    image. The detector looks at a photograph twice: turned by its orientation,
    and as it is stored. A video loses its sound. No input is overwritten;
    other files in ``out_dir`` are overwritten if a result has the same name.

    Args:
        model (nn.Module): Any detector, built by mmdet's ``init_detector``.
        source (str | Path): An image, a video, or a folder of both.
        out_dir (str | Path): Folder of the results, which have the names of
            the inputs. ``.png`` is added to the name of an image in a format
            that cannot be written, ``.mp4`` to a video whose ending is none of
            .mp4, .m4v, .mov, .avi.
        way (str): 'blur', 'pixelate' or 'box', see
            :func:`~sniper_mmdet.images.hide`. Defaults to 'blur'.
        classes (Sequence[str]): Classes that are hidden. Defaults to (): all.
        score_thr (float): Detections with a lower score are not hidden.
            Defaults to 0.3.
        margin (float): A box is enlarged on each side by this share of its
            longer side. Defaults to 0.1.
        hold (int): A box is hidden in this many video frames before and after
            its own, too, since detectors miss some objects. Defaults to 3.
        on_error (str): 'raise', or 'skip': a file that cannot be read is
            logged and left out, and no result is written. Defaults to 'raise'.

    Returns:
        Iterator[dict]: One dict for each image, and for each frame in which
        something is hidden. ``file`` and ``out`` are the paths of input and
        result. ``frame`` is the number of the frame, None for an image.
        ``objects`` has for each object ``box`` (x1, y1, x2, y2) in pixels of
        the turned image, ``score`` and ``class``.

    Raises:
        FileNotFoundError: The path does not exist, or the folder has no image.
        ImageError: A file cannot be read; raised when its turn comes.
        ValueError: A setting is wrong, the detector lacks a class, or the
            results in ``out_dir`` would overwrite the inputs.

    Examples:
        >>> import cv2, numpy as np, tempfile
        >>> from pathlib import Path
        >>> from mmdet.apis import init_detector
        >>> from sniper_mmdet.apis import hide_objects
        >>> folder = Path(tempfile.mkdtemp())
        >>> image = np.zeros((96, 128, 3), np.uint8)
        >>> _ = cv2.imwrite(str(folder / 'street.jpg'), image)
        >>> config = 'faster-rcnn_r18-slim_fpn_autofocus_3e_sample.py'
        >>> model = init_detector(f'configs/autofocus/{config}', device='cpu')
        >>> (hidden,) = hide_objects(model, folder, folder / 'hidden')
        >>> Path(hidden['out']).relative_to(folder).as_posix()
        'hidden/street.jpg'
    """
    check_choice('way', way, *WAYS)
    check_choice('on_error', on_error, 'raise', 'skip')
    names = list(class_names(model))
    unknown = [name for name in classes if name not in names]
    if unknown:
        raise UserError(
            f'classes must be those of the detector: {", ".join(names)}. '
            f'Received: {unknown[0]!r}.'
        )
    check_share('score_thr', score_thr)
    if not (0 <= margin < math.inf and hold >= 0):
        raise UserError(
            'margin and hold must be numbers of at least 0. Received: '
            f'{margin} and {hold}.'
        )
    plan = _plan(source, Path(out_dir))
    inputs = {path.resolve() for path, _ in plan}
    labels = [names.index(name) for name in classes or names]
    found = model, names, labels, inputs
    hider = PictureHider(*found, way, score_thr, margin, hold, on_error)

    def results() -> Iterator[dict]:
        photographs = []
        for path, out in plan:
            if is_video(path):
                yield from hider.photographs(photographs)
                photographs = []
                yield from hider.video(path, out)
            else:
                photographs.append((path, out))
        yield from hider.photographs(photographs)

    return results()


def _plan(source: str | Path, out_dir: Path) -> list[tuple[Path, Path]]:
    """Each input and its result; all paths are checked before any write."""
    source = Path(source)
    files = [Path(path) for path in find_inputs(source)]
    root = source if source.is_dir() else source.parent
    names, plan = PictureNames(), []
    for path in files:
        ending = ''
        if is_video(path) and path.suffix.lower() not in CODECS:
            ending = '.mp4'
        plan.append((path, out_dir / names(path.relative_to(root), ending)))
    inputs = {path.resolve() for path in files}
    for path, out in plan:
        if out.resolve() in inputs:
            raise UserError(
                'inputs are never overwritten: --out-dir must not be the '
                f'folder of {path}. Received: {out_dir}.'
            )
    return plan


def write_list(path: str | Path, results: Sequence[dict]) -> None:
    """Write a list of hidden objects, as JSON, or as CSV, a line per object.

    Args:
        path (str | Path): Ends in .json or .csv.
        results (Sequence[dict]): Results of :func:`hide_objects`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    if path.suffix.lower() == '.csv':
        writer = csv.writer(text)
        head = 'file out frame class score x1 y1 x2 y2'.split()
        writer.writerow(head)
        for result in results:
            place = [result[key] for key in ('file', 'out', 'frame')]
            for one in result['objects']:
                row = one['class'], one['score'], *one['box']
                writer.writerow([*place, *row])
    else:
        json.dump(list(results), text, indent=1)
    content = text.getvalue()
    write_whole(
        path,
        lambda part: part.write_text(content, encoding='utf-8', newline=''),
    )
