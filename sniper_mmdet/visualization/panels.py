"""Parts of drawings that show levels side by side."""

import cv2
import numpy as np


def show_only(image: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Return a copy of an image that is dark outside boxes (N, 4), int."""
    seen = np.zeros(image.shape[:2], bool)
    for x1, y1, x2, y2 in corners:
        seen[y1:y2, x1:x2] = True
    return np.where(seen[..., None], image, image // 3)


def draw_boxes(panel: np.ndarray, corners: np.ndarray, color: tuple) -> None:
    """Draw boxes (N, 4), int, with thin lines."""
    for x1, y1, x2, y2 in corners.tolist():
        cv2.rectangle(panel, (x1, y1), (x2, y2), color, 1)


def outline(panel: np.ndarray, corner: np.ndarray, color: tuple) -> None:
    """Draw the border of a box (4,), int, inside the box."""
    x1, y1, x2, y2 = corner.tolist()
    cv2.rectangle(panel, (x1 + 1, y1 + 1), (x2 - 2, y2 - 2), color, 2)


def with_title(panel: np.ndarray, title: str) -> np.ndarray:
    """Return a panel with a title above it and a line to its right."""
    bar = np.zeros((22, panel.shape[1], 3), np.uint8)
    font = cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 1, cv2.LINE_AA
    cv2.putText(bar, title, (4, 15), *font)
    panel[:, -1:] = 255
    return np.concatenate([bar, panel])
