"""WIDER FACE's files of a few made images."""

import numpy as np
from scipy.io import savemat

#: Faces, x y w h blur expression illumination invalid occlusion pose.
IMAGES = {
    '0--Parade/0 a name': [
        (10, 12, 30, 40, 1, 0, 0, 0, 2, 1),
        (60, 20, 5, 6, 2, 0, 1, 1, 0, 0),
    ],
    '0--Parade/0_b': [(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)],
    '7--Cheering/7_c': [
        (20, 30, 20, 25, 0, 1, 0, 0, 1, 0),
        (70, 5, 0, 12, 0, 0, 0, 0, 0, 0),
        (50, 50, 8, 9, 0, 0, 0, 0, 0, 0),
    ],
}
ATTRIBUTES = 'blur expression illumination invalid occlusion pose'.split()
#: Which faces count, from 1 on, of each image.
COUNTED = dict(easy=[[1], [], []], medium=[[1], [], [1]])
COUNTED['hard'] = [[1], [], [1, 3]]


def text_of(images=IMAGES, zeros_of_none=True) -> str:
    lines = []
    for name, faces in images.items():
        count = len(faces) if any(map(any, faces)) else 0
        lines += [f'{name}.jpg', str(count)]
        if count or zeros_of_none:
            lines += [' '.join(map(str, face)) + ' ' for face in faces]
    return '\n'.join(lines) + '\n'


def column(items) -> np.ndarray:
    cells = np.empty((len(items), 1), object)
    cells[:, 0] = items
    return cells


def write_mats(folder, images=IMAGES, counted=COUNTED) -> None:
    """Write the four files of the authors' tool."""
    folder.mkdir(parents=True, exist_ok=True)
    events = list(dict.fromkeys(name.split('/')[0] for name in images))
    by_event = [
        [k for k, name in enumerate(images) if name.startswith(f'{event}/')]
        for event in events
    ]

    def cells(values) -> np.ndarray:
        return column([column([values[k] for k in own]) for own in by_event])

    names = [name.split('/')[1] for name in images]
    faces = [
        np.array(own, np.int32).reshape(-1, 10) for own in images.values()
    ]
    content = dict(
        event_list=column(events),
        file_list=cells(names),
        face_bbx_list=cells([own[:, :4] for own in faces]),
    )
    labels = {
        f'{name}_label_list': cells([own[:, [k]] for own in faces])
        for k, name in enumerate(ATTRIBUTES, 4)
    }
    savemat(folder / 'wider_face_val.mat', content | labels)
    for name, lists in counted.items():
        own = cells([np.array(k, float).reshape(-1, 1) for k in lists])
        path = folder / f'wider_{name}_val.mat'
        savemat(path, dict(content, gt_list=own))
