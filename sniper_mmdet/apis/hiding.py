"""Faces, or anything else that is detected, made unknowable in pictures."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from torch import nn

from sniper_mmdet.images import WAYS
from sniper_mmdet.utils.choices import check_choice
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
    """Write copies of pictures in which what is detected is hidden.

    A photograph keeps its format, kind of pixels, EXIF (without thumbnail and
    maker's notes, which show the picture as it was), orientation, colour
    profile and a JPEG's quality, see :class:`~sniper_mmdet.images.Photograph`;
    it is looked at as its orientation tells, and as it is stored. A video
    loses its sound. Nothing is written over an input; all else in ``out_dir``
    that has a result's name is.

    Args:
        model (nn.Module): Any detector, of mmdet's ``init_detector``.
        source (str | Path): An image, a video, or a folder of both.
        out_dir (str | Path): Gets a file of the same name for each; ``.png``
            is put after one of a format that is not written, ``.mp4`` after a
            video whose ending is none of .mp4, .m4v, .mov, .avi.
        way (str): 'blur', 'pixelate' or 'box', see
            :func:`~sniper_mmdet.images.hide`. Defaults to 'blur'.
        classes (Sequence[str]): Names of what is hidden. Defaults to (): all.
        score_thr (float): Detections below are left as they are. Defaults to
            0.3.
        margin (float): By how much of its longer side a box is enlarged on
            each side. Defaults to 0.1.
        hold (int): So many frames before and after one of a video, too, what
            is found in it is hidden, for detectors miss some. Defaults to 3.
        on_error (str): 'raise', or 'skip': what cannot be read is left out
            and logged, and no file of it is written. Defaults to 'raise'.

    Returns:
        Iterator[dict]: Of each image, and each frame in which something is
        hidden, once it is written or is to be: ``file`` and ``out``, the
        paths; ``frame``, None of an image; ``objects``: of each ``box`` (x1,
        y1, x2, y2), pixels as the picture is looked at, ``score`` and
        ``class``.

    Raises:
        FileNotFoundError: No such path, or a folder without an image.
        ImageError: A file that cannot be read; when it comes.
        ValueError: Settings, classes that the detector does not have, or an
            ``out_dir`` whose files would be the inputs.
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
    if margin < 0 or hold < 0:
        raise UserError(
            'margin and hold must not be negative. Received: '
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
    """Each input and where it goes to, all looked at before any is written."""
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
                'nothing is written over an input: --out-dir must be another '
                f'folder than that of {path}. Received: {out_dir}.'
            )
    return plan


def write_list(path: str | Path, results: Sequence[dict]) -> None:
    """Write what was hidden, as JSON or, a line for each object, as CSV.

    Args:
        path (str | Path): Ends in .json or .csv.
        results (Sequence[dict]): Of :func:`hide_objects`.
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
