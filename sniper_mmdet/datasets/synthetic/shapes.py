"""Shapes of the sample scenes: their sizes, outlines, pixels and colours."""

import cv2
import numpy as np

#: Hue and its jitter by name, in degrees.
CLASSES = {
    'disc': (0, 10),
    'square': (220, 14),
    'triangle': (125, 16),
    'ring': (50, 6),
}
OTHER_HUES = (180, 300)
#: Low, high and share of sizes (square root of the box area, pixels).
SIZE_BINS = ((8, 32, 0.62), (32, 96, 0.25), (96, np.inf, 0.13))
#: Room around an outline for its blurred edge, in pixels.
PAD = 2


def _size_bins(max_size: float) -> np.ndarray:
    """The bins below ``max_size``, with shares that sum to one."""
    bins = np.array([each for each in SIZE_BINS if each[0] < max_size])
    bins[:, 1] = bins[:, 1].clip(max=max_size)
    bins[:, 2] /= bins[:, 2].sum()
    return bins


def mean_area(max_size: float) -> float:
    """Expected box area of an object."""
    low, high, share = _size_bins(max_size).T
    return float(share @ ((high**2 - low**2) / (2 * np.log(high / low))))


def sample_size(rng: np.random.Generator, max_size: float) -> float:
    """Sample the size of an object."""
    bins = _size_bins(max_size)
    low, high, _ = bins[rng.choice(len(bins), p=bins[:, 2])]
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def make_outline(
    kind: str,
    size: float,
    angle: float = 0,
    stretch: float = 1,
    fold: float = 1,
) -> list[np.ndarray]:
    """Contours of a shape with a box of area ``size**2`` at the origin.

    Args:
        kind (str): A class, or 'line'.
        size (float): Square root of the box area.
        angle (float): Rotation in radians. Defaults to 0.
        stretch (float): Factor of the width, before the rotation. Defaults to
            1.
        fold (float): Factor of the right half: 0 leaves the left half of the
            shape, a negative factor leaves a crescent. Defaults to 1.

    Returns:
        list[ndarray]: The outer contour, then a hole if any.
    """
    turn = np.linspace(0, 2 * np.pi, int(np.clip(size, 16, 96)), False)
    circle = np.stack([np.cos(turn), np.sin(turn)], 1)
    corners, radius = {
        'disc': (np.zeros((1, 2)), 1),
        'ring': (np.zeros((1, 2)), 1),
        'square': (np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]), 0.2),
        'triangle': (np.array([(0, -1), (0.87, 0.5), (-0.87, 0.5)]), 0.18),
        'line': (np.array([(-1, 0), (1, 0)]), 0.07),
    }[kind]
    # Corners are round: sharp corners would fade before the box's edge.
    points = (corners[:, None] + radius * circle).reshape(-1, 2)
    contours = [cv2.convexHull(points.astype(np.float32))[:, 0]]
    if kind == 'ring':
        contours.append(0.5 * circle[::-1])
    cos, sin = np.cos(angle), np.sin(angle)
    rotation = np.array([(cos, sin), (-sin, cos)])
    contours = [np.where(c[:, :1] > 0, c * (fold, 1), c) for c in contours]
    contours = [c * (stretch, 1) @ rotation for c in contours]
    low, high = contours[0].min(0), contours[0].max(0)
    scale = size / np.sqrt(np.prod(high - low))
    return [(c - low) * scale for c in contours]


def draw_alpha(outline: list[np.ndarray], blur: float) -> np.ndarray:
    """Opacity of pixels, float32, for an outline in patch coordinates."""
    width, height = np.ceil(outline[0].max(0)).astype(int) + PAD
    fine = 8 if max(width, height) < 64 else 4
    mask = np.zeros((height * fine, width * fine), np.uint8)
    for contour, value in zip(outline, (255, 0), strict=False):
        # OpenCV counts from the centre of a pixel, a box from its edge.
        points = np.round((contour * fine - 0.5) * 16).astype(np.int32)
        cv2.fillPoly(mask, [points], value, shift=4)
    mask = cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA)
    alpha = cv2.GaussianBlur(mask, (5, 5), blur)
    return alpha.astype(np.float32) / 255


def _hsv_to_bgr(hue: float, saturation: float, value: float) -> np.ndarray:
    colour = np.array([[[hue % 360, saturation, value]]], np.float32)
    return cv2.cvtColor(colour, cv2.COLOR_HSV2BGR)[0, 0] * 255


def sample_colour(rng: np.random.Generator, kind: str | None) -> np.ndarray:
    """Sample a colour of a class; None is no class."""
    if kind is not None:
        hue, jitter = CLASSES[kind]
    elif rng.random() < 0.5:
        grey = rng.choice([0.1, 0.9]) + rng.uniform(-0.1, 0.1)
        return _hsv_to_bgr(0, 0, grey)
    else:
        hue, jitter = rng.choice(OTHER_HUES), 10
    hue += rng.uniform(-jitter, jitter)
    return _hsv_to_bgr(hue, rng.uniform(0.6, 1), rng.uniform(0.65, 1))
