"""Scenes of shapes on textured backgrounds, with clutter among them."""

from typing import NamedTuple

import cv2
import numpy as np

from .shapes import (
    CLASSES,
    PAD,
    draw_alpha,
    make_outline,
    sample_colour,
    sample_size,
)

#: Size of clutter relative to objects, and its limit. The smallest halves
#: would look like whole objects; the largest would fill the image.
CLUTTER_SCALE, MAX_CLUTTER = 1.5, 160
MAX_IOF = 0.1


class Scene(NamedTuple):
    """An image (BGR), and its objects with the pixels that they cover."""

    image: np.ndarray
    labels: list[int]
    boxes: np.ndarray  # x1, y1, x2, y2
    outlines: list[list[np.ndarray]]  # outer contour, then a hole if any
    patches: list[tuple[int, int, np.ndarray]]  # x, y, alpha


def _draw_background(
    rng: np.random.Generator, width: int, height: int
) -> np.ndarray:
    """Low-frequency colour noise on a gradient, float32."""
    grey = rng.uniform(75, 150)
    coarse = rng.normal(grey, 8, (1, 1, 3)) + rng.normal(0, 7, (5, 5, 3))
    slope, ramp = rng.uniform(-12, 12, 2), np.linspace(-1, 1, 5)[:, None]
    coarse += slope[0] * ramp[:, None] + slope[1] * ramp
    mid = cv2.resize(coarse, (40, 40), interpolation=cv2.INTER_CUBIC)
    mid += rng.normal(0, 5, (40, 40, 1))
    mid = cv2.resize(mid, (240, 240), interpolation=cv2.INTER_CUBIC)
    mid += rng.normal(0, 5, (240, 240, 3))
    return cv2.resize(mid.astype(np.float32), (width, height))


def iof(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Intersection over the smaller of the two areas."""
    low, high = np.maximum(box, boxes), np.minimum(box, boxes)
    sides = (high[:, 2:] - low[:, :2]).clip(0)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], 1)
    return sides.prod(1) / np.minimum(areas, np.prod(box[2:] - box[:2]))


def _place(
    rng: np.random.Generator,
    outline: list[np.ndarray],
    alpha: np.ndarray,
    boxes: np.ndarray,
    covered: np.ndarray,
) -> tuple[int, int] | None:
    """A place (x, y) where it shares no pixel, and little box, with others."""
    height, width = alpha.shape
    room = np.array(covered.shape) - alpha.shape
    if room.min() < 0:
        return None
    box = np.concatenate([outline[0].min(0), outline[0].max(0)])
    for _ in range(100):
        y, x = rng.integers(room + 1).tolist()
        if (iof(box + (x, y, x, y), boxes) > MAX_IOF).any():
            continue
        if not (covered[y : y + height, x : x + width] & (alpha > 0)).any():
            return x, y
    return None


def draw_scene(
    rng: np.random.Generator,
    side_range: tuple[int, int],
    count_range: tuple[int, int],
    max_size: float,
) -> Scene:
    """Draw an image with sides and object counts from the given ranges."""
    width, height = rng.integers(*side_range, 2, endpoint=True).tolist()
    image = _draw_background(rng, width, height)
    covered = np.zeros((height, width), bool)
    boxes, everything = np.zeros((0, 4)), []
    # Large objects come first: later they would often find no room.
    count = rng.integers(*count_range, endpoint=True)
    sizes = sorted(sample_size(rng, max_size) for _ in range(count))[::-1]
    n_clutter = rng.integers(*count_range, endpoint=True)
    for i in range(len(sizes) + n_clutter):
        kind = str(rng.choice(list(CLASSES)))
        label = list(CLASSES).index(kind)
        colour, stretch = sample_colour(rng, kind), rng.uniform(0.87, 1.15)
        turn, fold = (-0.3, 0.3), 1
        if i < len(sizes):
            size = sizes[i]
        else:
            label, turn = None, (0, 2 * np.pi)
            if rng.random() < 0.4:
                colour = sample_colour(rng, None)
            else:
                others = ('line', 1), (kind, 0), (kind, -0.6)
                kind, fold = others[rng.integers(3)]
            size = min(CLUTTER_SCALE * sample_size(rng, max_size), MAX_CLUTTER)
        outline = make_outline(kind, size, rng.uniform(*turn), stretch, fold)
        shift = PAD + rng.random(2)
        outline = [c + shift for c in outline]
        alpha = draw_alpha(outline, rng.uniform(0.4, 0.6))
        found = _place(rng, outline, alpha, boxes, covered)
        if found is None:
            continue
        x, y = found
        outline = [c + found for c in outline]
        boxes = np.vstack([boxes, [*outline[0].min(0), *outline[0].max(0)]])
        everything.append((label, outline, (x, y, alpha)))
        window = np.s_[y : y + alpha.shape[0], x : x + alpha.shape[1]]
        covered[window] |= alpha > 0
        image[window] += alpha[..., None] * (colour - image[window])
    noise = rng.standard_normal((height, width), np.float32)
    image += rng.uniform(4, 9) * noise[..., None]
    image = image.round().clip(0, 255).astype(np.uint8)
    labels, outlines, patches = map(list, zip(*everything, strict=True))
    n = sum(label is not None for label in labels)
    return Scene(image, labels[:n], boxes[:n], outlines[:n], patches[:n])
