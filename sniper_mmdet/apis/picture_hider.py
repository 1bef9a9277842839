"""Writes copies of photographs and videos with the objects hidden."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from mmdet.evaluation.functional import bbox_overlaps
from mmengine.logging import print_log
from torch import nn

from sniper_mmdet.images import (
    ImageError,
    Photograph,
    hide,
    turn_boxes,
    turn_boxes_back,
)
from sniper_mmdet.utils.errors import UserError
from sniper_mmdet.utils.files import whole_file, write_whole

from .inference import detect

#: Endings that a written video keeps; other videos become .mp4.
CODECS = {'.avi': 'MJPG', '.mp4': 'mp4v', '.m4v': 'mp4v', '.mov': 'mp4v'}
Plan = list[tuple[Path, Path]]


@dataclass(frozen=True)
class PictureHider:
    """Detects objects, hides them, and writes the images and videos.

    For the arguments see :func:`.hiding.hide_objects`.
    """

    model: nn.Module
    names: list[str]  # of the detector's labels
    labels: list[int]  # of what is hidden
    inputs: set[Path]  # never written over
    way: str
    score_thr: float
    margin: float
    hold: int
    on_error: str

    def photographs(self, plan: Plan) -> Iterator[dict]:
        """Write photographs to their files, and report what was hidden."""
        # Photographs that are read, but not yet written.
        waiting: deque[tuple[Photograph, Path, list[int]]] = deque()

        def views() -> Iterator[np.ndarray]:
            for path, out in plan:
                with _Skipping(self.on_error) as skipping:
                    photograph = Photograph(path)
                if skipping.skipped:
                    continue
                if photograph.pages > 1:
                    text = f'{path}: only the first of its '
                    text += f'{photograph.pages} images is kept'
                    print_log(text, 'current')
                seen = list(photograph.views())
                orientations = [orientation for _, orientation in seen]
                waiting.append((photograph, out, orientations))
                yield from (image for image, _ in seen)

        found: list = []
        for result in detect(self.model, views(), progress=False):
            found.append(self._found(result))
            photograph, out, orientations = waiting[0]
            if len(found) == len(orientations):
                waiting.popleft()
                with _Skipping(self.on_error):
                    yield self._write(photograph, out, orientations, found)
                found = []

    def _found(self, result) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Boxes, scores and labels of the objects to hide."""
        found = result.pred_instances
        boxes, scores, labels = (
            found[key].numpy() for key in ('bboxes', 'scores', 'labels')
        )
        kept = np.isin(labels, self.labels) & (scores >= self.score_thr)
        return boxes[kept].astype(float), scores[kept], labels[kept]

    def _write(self, photograph, out, orientations, found) -> dict:
        size = photograph.size
        objects, known = [], np.zeros((0, 4))
        for orientation, (boxes, scores, labels) in zip(
            orientations, found, strict=True
        ):
            boxes = turn_boxes_back(boxes, orientation, size)
            hide(photograph.pixels, boxes, self.way, self.margin)
            # An object that several views show is reported once.
            new = bbox_overlaps(boxes, known).max(1, initial=0) < 0.5
            known = np.concatenate([known, boxes[new]])
            seen = turn_boxes(boxes[new], photograph.orientation, size)
            objects += self._told(seen, scores[new], labels[new])
        ending = '' if photograph.is_writable else '.png'
        out = out.with_name(out.name + ending)
        if out.resolve() in self.inputs:
            raise UserError(f'{out} is an input, and is not overwritten.')
        out.parent.mkdir(parents=True, exist_ok=True)
        write_whole(out, photograph.save)
        path = str(photograph.path)
        return dict(file=path, out=str(out), frame=None, objects=objects)

    def _told(self, boxes, scores, labels) -> list[dict]:
        rows = zip(
            boxes.round(2).tolist(), scores.tolist(), labels, strict=True
        )
        return [
            {'box': box, 'score': round(score, 4), 'class': self.names[label]}
            for box, score, label in rows
        ]

    def video(self, path: Path, out: Path) -> Iterator[dict]:
        """Write a video, and report what was hidden in which frames."""
        out.parent.mkdir(parents=True, exist_ok=True)
        with _Skipping(self.on_error), whole_file(out) as part:
            yield from self._video(path, out, part)

    def _video(self, path: Path, out: Path, part: Path) -> Iterator[dict]:
        writer = None
        # Frames that wait for their neighbours, and boxes of the frames
        # before.
        frames: deque[np.ndarray] = deque()
        boxes: deque[np.ndarray] = deque(maxlen=2 * self.hold + 1)

        def write_first() -> None:
            image = np.ascontiguousarray(frames.popleft())
            hide(image, np.concatenate(boxes), self.way, self.margin)
            writer.write(image)

        try:
            results = detect(
                self.model, [str(path)], keep_images=True, progress=False
            )
            for result in results:
                image = result.image
                if writer is None:
                    writer = self._writer(part, out, result.fps, image)
                    text = f'{path}: the copy {out} has no sound'
                    print_log(text, 'current')
                own, scores, labels = self._found(result)
                frames.append(image)
                boxes.append(own)
                if len(frames) > self.hold:
                    write_first()
                objects = self._told(own, scores, labels)
                if objects:
                    yield dict(
                        file=str(path),
                        out=str(out),
                        frame=result.frame_id,
                        objects=objects,
                    )
            while frames:
                if len(boxes) > self.hold + len(frames):
                    boxes.popleft()
                write_first()
        except OSError as error:
            if isinstance(error, ImageError) or error.errno:
                raise
            raise ImageError(str(error)) from None
        finally:
            if writer is not None:
                writer.release()

    def _writer(self, part: Path, out: Path, fps: float, image):
        codec = cv2.VideoWriter_fourcc(*CODECS[out.suffix.lower()])
        size = image.shape[1::-1]
        writer = cv2.VideoWriter(str(part), codec, fps or 25.0, size)
        if not writer.isOpened():
            raise ImageError(
                f'{out} cannot be written: this build of OpenCV writes no '
                f'{out.suffix} videos.'
            )
        return writer


class _Skipping:
    """Logs an ImageError and goes on, if ``on_error`` is 'skip'."""

    def __init__(self, on_error: str) -> None:
        self.on_error, self.skipped = on_error, False

    def __enter__(self) -> '_Skipping':
        return self

    def __exit__(self, kind, error, trace) -> bool:
        if kind is None or not issubclass(kind, ImageError):
            return False
        self.skipped = self.on_error == 'skip'
        if self.skipped:
            print_log(f'skipped: {error}', 'current')
        return self.skipped
