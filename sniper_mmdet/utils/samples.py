"""What a data sample holds."""

import numpy as np


def annotated_boxes(sample) -> np.ndarray:
    """ndarray (N, 4): all boxes of a sample or its dict, ignored ones last."""
    found = [sample.get(k) for k in ('gt_instances', 'ignored_instances')]
    boxes = [f['bboxes'] for f in found if f is not None and 'bboxes' in f]
    boxes = [getattr(b, 'tensor', b).reshape(-1, 4).cpu() for b in boxes]
    return np.concatenate([np.zeros((0, 4), np.float32), *boxes])
