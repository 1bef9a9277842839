"""Draw a sample detection data set: many small objects in large images.

    python tools/dataset_converters/make_sample_data.py data/sample

Four classes, each a shape in a family of hues, on textured backgrounds with
clutter that shares the shape or the hue but never both. Most objects are
below 32 px in images of 1000-1600 px: plain to see at native resolution,
nearly gone once the image is shrunk to 512 px. Sparse scenes of large images:
``--size 3000 3000 --objects 3 8``. The same settings give the same files.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from mmengine.utils import track_iter_progress

#: Raised with whatever changes the files that the same settings give.
VERSION = 1
SPLITS = ('train', 'val')
#: Name to hue and its jitter, in degrees.
CLASSES = {
    'disc': (0, 10),
    'square': (220, 14),
    'triangle': (125, 16),
    'ring': (50, 6),
}
OTHER_HUES = (180, 300)
#: Low, high and share of sizes (square root of the box area, in pixels).
SIZE_BINS = ((8, 32, 0.62), (32, 96, 0.25), (96, np.inf, 0.13))
#: Size of clutter to that of objects, and its limit: the smallest halves
#: could not be told from whole objects, the largest would fill the image.
CLUTTER_SCALE, MAX_CLUTTER = 1.5, 160
MAX_IOF = 0.1
#: Part of an image that boxes can fill before random placement gets stuck.
MAX_FILL = 0.35
#: Room around an outline for its blurred edge, in pixels.
PAD = 2


class Scene(NamedTuple):
    """An image (BGR) and its objects, each with the pixels that it covers."""

    image: np.ndarray
    labels: list[int]
    boxes: np.ndarray  # x1, y1, x2, y2
    outlines: list[list[np.ndarray]]  # outer contour, then a hole if any
    patches: list[tuple[int, int, np.ndarray]]  # x, y, alpha


def size_bins(max_size: float) -> np.ndarray:
    """The bins below ``max_size``, their shares scaled to sum to one."""
    bins = np.array(
        [
            (low, min(high, max_size), share)
            for low, high, share in SIZE_BINS
            if low < max_size
        ]
    )
    bins[:, 2] /= bins[:, 2].sum()
    return bins


def mean_area(max_size: float) -> float:
    """Expected box area of an object."""
    low, high, share = size_bins(max_size).T
    return float(share @ ((high**2 - low**2) / (2 * np.log(high / low))))


def sample_size(rng: np.random.Generator, max_size: float) -> float:
    bins = size_bins(max_size)
    low, high, _ = bins[rng.choice(len(bins), p=bins[:, 2])]
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def make_outline(
    kind: str,
    size: float,
    angle: float = 0,
    stretch: float = 1,
    fold: float = 1,
) -> list[np.ndarray]:
    """Contours of a shape, its box at the origin and of area ``size**2``.

    Args:
        kind (str): A class, or 'line'.
        size (float): Square root of the box area.
        angle (float): Rotation in radians. Defaults to 0.
        stretch (float): Of the width, before the rotation. Defaults to 1.
        fold (float): Factor on the right half: 0 leaves the left half of the
            shape, a negative one a crescent of it. Defaults to 1.

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
    # Round corners: sharp ones fade before the edge of the box.
    points = (corners[:, None] + radius * circle).reshape(-1, 2)
    contours = [cv2.convexHull(points.astype(np.float32))[:, 0]]
    if kind == 'ring':
        contours.append(0.5 * circle[::-1])
    cos, sin = np.cos(angle), np.sin(angle)
    contours = [
        np.where(c[:, :1] > 0, c * (fold, 1), c)
        * (stretch, 1)
        @ np.array([(cos, sin), (-sin, cos)])
        for c in contours
    ]
    low, high = contours[0].min(0), contours[0].max(0)
    scale = size / np.sqrt(np.prod(high - low))
    return [(c - low) * scale for c in contours]


def draw_alpha(outline: list[np.ndarray], blur: float) -> np.ndarray:
    """Opacity of the pixels, float32, of an outline in patch coordinates."""
    width, height = np.ceil(outline[0].max(0)).astype(int) + PAD
    fine = 8 if max(width, height) < 64 else 4
    mask = np.zeros((height * fine, width * fine), np.uint8)
    for contour, value in zip(outline, (255, 0), strict=False):
        # OpenCV counts from the centre of a pixel, boxes from its edge.
        points = np.round((contour * fine - 0.5) * 16).astype(np.int32)
        cv2.fillPoly(mask, [points], value, shift=4)
    mask = cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA)
    alpha = cv2.GaussianBlur(mask, (5, 5), blur)
    return alpha.astype(np.float32) / 255


def hsv_to_bgr(hue: float, saturation: float, value: float) -> np.ndarray:
    colour = np.array([[[hue % 360, saturation, value]]], np.float32)
    return cv2.cvtColor(colour, cv2.COLOR_HSV2BGR)[0, 0] * 255


def sample_colour(rng: np.random.Generator, kind: str | None) -> np.ndarray:
    """A colour of a class's family; of no class for None."""
    if kind is not None:
        hue, jitter = CLASSES[kind]
    elif rng.random() < 0.5:
        return hsv_to_bgr(
            0, 0, rng.choice([0.1, 0.9]) + rng.uniform(-0.1, 0.1)
        )
    else:
        hue, jitter = rng.choice(OTHER_HUES), 10
    return hsv_to_bgr(
        hue + rng.uniform(-jitter, jitter),
        rng.uniform(0.6, 1),
        rng.uniform(0.65, 1),
    )


def draw_background(
    rng: np.random.Generator, width: int, height: int
) -> np.ndarray:
    """Low-frequency colour noise on a gradient, float32."""
    grey = rng.uniform(75, 150)
    coarse = rng.normal(grey, 8, (1, 1, 3)) + rng.normal(0, 7, (5, 5, 3))
    slope = rng.uniform(-12, 12, 2)
    coarse += (
        slope[0] * np.linspace(-1, 1, 5)[:, None, None]
        + slope[1] * np.linspace(-1, 1, 5)[:, None]
    )
    mid = cv2.resize(coarse, (40, 40), interpolation=cv2.INTER_CUBIC)
    mid += rng.normal(0, 5, (40, 40, 1))
    mid = cv2.resize(mid, (240, 240), interpolation=cv2.INTER_CUBIC)
    mid += rng.normal(0, 5, (240, 240, 3))
    return cv2.resize(
        mid.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR
    )


def iof(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Intersection over the smaller of both areas."""
    sides = (
        np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    ).clip(0)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], 1)
    return sides.prod(1) / np.minimum(areas, np.prod(box[2:] - box[:2]))


def place(
    rng: np.random.Generator,
    outline: list[np.ndarray],
    alpha: np.ndarray,
    boxes: np.ndarray,
    covered: np.ndarray,
    tries: int = 100,
) -> tuple[int, int] | None:
    """Where a patch shares no pixel and little of its box with earlier ones.

    Returns:
        tuple[int] | None: x and y of the patch; None if no place was found.
    """
    height, width = alpha.shape
    room = np.array(covered.shape) - alpha.shape
    if room.min() < 0:
        return None
    box = np.concatenate([outline[0].min(0), outline[0].max(0)])
    for _ in range(tries):
        y, x = (int(v) for v in rng.integers(room + 1))
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
    """Draw an image of the given ranges of sides and of object counts."""
    width, height = (
        int(v) for v in rng.integers(*side_range, 2, endpoint=True)
    )
    image = draw_background(rng, width, height)
    covered = np.zeros((height, width), bool)
    boxes, everything = np.zeros((0, 4)), []
    # Large ones first: placed late, they would find no room too often.
    sizes = sorted(
        (
            sample_size(rng, max_size)
            for _ in range(rng.integers(*count_range, endpoint=True))
        ),
        reverse=True,
    )
    n_clutter = rng.integers(*count_range, endpoint=True)
    for i in range(len(sizes) + n_clutter):
        kind = str(rng.choice(list(CLASSES)))
        label = list(CLASSES).index(kind)
        colour, stretch = sample_colour(rng, kind), rng.uniform(0.87, 1.15)
        if i < len(sizes):
            outline = make_outline(
                kind, sizes[i], rng.uniform(-0.3, 0.3), stretch
            )
        else:
            label, fold = None, 1
            if rng.random() < 0.4:
                colour = sample_colour(rng, None)
            else:
                kind, fold = [('line', 1), (kind, 0), (kind, -0.6)][
                    rng.integers(3)
                ]
            size = CLUTTER_SCALE * sample_size(rng, max_size)
            outline = make_outline(
                kind,
                min(size, MAX_CLUTTER),
                rng.uniform(0, 2 * np.pi),
                stretch,
                fold,
            )
        shift = PAD + rng.random(2)
        outline = [c + shift for c in outline]
        alpha = draw_alpha(outline, rng.uniform(0.4, 0.6))
        found = place(rng, outline, alpha, boxes, covered)
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
    labels, outlines, patches = zip(*everything, strict=True)
    n = sum(label is not None for label in labels)
    return Scene(
        image.round().clip(0, 255).astype(np.uint8),
        list(labels[:n]),
        boxes[:n],
        list(outlines[:n]),
        list(patches[:n]),
    )


def to_annotation(
    label: int, box: np.ndarray, outline: list[np.ndarray]
) -> dict:
    """A COCO annotation without ids; a ring's hole is cut along a seam."""
    x1, y1, x2, y2 = (round(float(v), 2) for v in box)
    ends = [np.vstack([c, c[:1]]) for c in outline]
    polygon = outline[0] if len(outline) == 1 else np.vstack(ends)
    areas = [cv2.contourArea(c.astype(np.float32)) for c in outline]
    return dict(
        category_id=label + 1,
        iscrowd=0,
        bbox=[x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)],
        area=round(areas[0] - sum(areas[1:]), 2),
        segmentation=[polygon.ravel().round(2).tolist()],
    )


def write_split(folder: Path, split: str, settings: dict) -> None:
    """Draw the images of a split and write them and their COCO file."""
    images, annotations = [], []
    for index in track_iter_progress(range(settings[split])):
        # Each image has a stream of its own: more images leave these alone.
        rng = np.random.default_rng(
            np.random.SeedSequence(
                (settings['seed'], SPLITS.index(split), index)
            )
        )
        scene = draw_scene(
            rng, settings['size'], settings['objects'], settings['max_size']
        )
        name = f'{split}_{index:05d}.jpg'
        _, data = cv2.imencode(
            '.jpg', scene.image, [cv2.IMWRITE_JPEG_QUALITY, 90]
        )
        (folder / 'images' / name).write_bytes(data.tobytes())
        height, width = scene.image.shape[:2]
        images.append(
            dict(id=index + 1, file_name=name, width=width, height=height)
        )
        for item in zip(
            scene.labels, scene.boxes, scene.outlines, strict=True
        ):
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=index + 1,
                    **to_annotation(*item),
                )
            )
    categories = [
        dict(id=i, name=name) for i, name in enumerate(CLASSES, start=1)
    ]
    (folder / f'{split}.json').write_text(
        json.dumps(
            dict(
                info=dict(description='Drawn by make_sample_data.py'),
                licenses=[],
                images=images,
                annotations=annotations,
                categories=categories,
            )
        )
    )


def make_settings(args: argparse.Namespace) -> dict:
    """The settings that decide what the files hold, checked.

    Raises:
        ValueError: A setting out of bounds.
    """
    for flag in SPLITS:
        if getattr(args, flag) < 1:
            raise ValueError(
                f'--{flag} must be at least 1. '
                f'Received: {getattr(args, flag)}.'
            )
    if args.seed < 0:
        raise ValueError(
            f'--seed must not be negative. Received: {args.seed}.'
        )
    for flag, least, most in (('size', 128, 20000), ('objects', 1, np.inf)):
        low, high = getattr(args, flag)
        if not least <= low <= high <= most:
            limit = f' and at most {most}' if most < np.inf else ''
            raise ValueError(
                f'--{flag} must be LOW HIGH with LOW <= HIGH, at least '
                f'{least}{limit}. Received: {low} {high}.'
            )
    side = args.size[0]
    if not 32 <= args.max_size <= 0.8 * side:
        raise ValueError(
            '--max-size must be at least 32 and at most 0.8 of the lower '
            f'--size, {int(0.8 * side)}. Received: {args.max_size}.'
        )
    most = int(MAX_FILL * side**2 / mean_area(args.max_size))
    if args.objects[1] > most:
        raise ValueError(
            f'--objects must be at most {most}, or they do not fit (larger '
            'images by --size or smaller objects by --max-size hold more). '
            f'Received: {args.objects[1]}.'
        )
    return dict(
        version=VERSION,
        train=args.train,
        val=args.val,
        seed=args.seed,
        size=list(args.size),
        objects=list(args.objects),
        max_size=args.max_size,
    )


def is_done(out: Path, settings: dict, overwrite: bool) -> bool:
    """Whether the folder holds these very files already.

    Raises:
        ValueError: The folder holds something else, and may not be replaced.
    """
    if not out.exists():
        return False
    try:
        found = json.loads((out / 'settings.json').read_text())
    except (OSError, ValueError):
        found = None
    if found == settings:
        return True
    if not out.is_dir() or Path.cwd().is_relative_to(out):
        raise ValueError(
            'OUT_DIR must not be a file or hold the current '
            f'folder. Received: {out}.'
        )
    if not overwrite and any(out.iterdir()):
        what = (
            'is no sample data set'
            if found is None
            else 'holds a sample data set of other settings'
        )
        raise ValueError(
            f'OUT_DIR {what}: choose another one, or delete it '
            f'and all it holds by --overwrite. Received: {out}.'
        )
    return False


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('out_dir', metavar='OUT_DIR', type=Path)
    parser.add_argument(
        '--train',
        type=int,
        default=120,
        help='training images (default: %(default)s)',
    )
    parser.add_argument(
        '--val',
        type=int,
        default=24,
        help='validation images (default: %(default)s)',
    )
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        default=[1000, 1600],
        metavar=('LOW', 'HIGH'),
        help='sides of an image (default: 1000 1600)',
    )
    parser.add_argument(
        '--objects',
        type=int,
        nargs=2,
        default=[8, 20],
        metavar=('LOW', 'HIGH'),
        help='objects in an image (default: 8 20)',
    )
    parser.add_argument(
        '--max-size',
        type=int,
        default=400,
        help='largest object, as the square root of its box '
        'area (default: %(default)s)',
    )
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='delete OUT_DIR first if it holds anything else',
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    out = args.out_dir.resolve()
    try:
        settings = make_settings(args)
        if is_done(out, settings, args.overwrite):
            print(f'{out} holds these images already: nothing to do.')
            return
        out.parent.mkdir(parents=True, exist_ok=True)
        # A sibling, so that whole sets arrive by a rename; broken ones never.
        with tempfile.TemporaryDirectory(
            prefix=f'.{out.name}-', dir=out.parent
        ) as tmp:
            part = Path(tmp) / 'new'
            (part / 'images').mkdir(parents=True)
            for split in SPLITS:
                write_split(part, split, settings)
            (part / 'settings.json').write_text(json.dumps(settings))
            if out.exists():
                out.rename(Path(tmp) / 'old')
            part.rename(out)
    except ValueError as error:
        raise SystemExit(str(error)) from None
    except OSError as error:
        raise SystemExit(f'OUT_DIR {out} cannot be written: {error}') from None
    print(
        f'{settings["train"]} training and {settings["val"]} validation '
        f'images are in {out}.'
    )


if __name__ == '__main__':
    main()
