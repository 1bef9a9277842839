"""Proposals of a whole dataset in one file, which is mapped, not loaded."""

import contextlib
import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePath
from zipfile import ZIP_STORED, ZipFile

import numpy as np

from sniper_mmdet.chips import Proposals
from sniper_mmdet.utils.choices import check_choice
from sniper_mmdet.utils.errors import UserError
from sniper_mmdet.utils.files import whole_file

#: Arrays of a file with their types (bytes of any length) and dimensions.
_ARRAYS = dict(
    boxes=('f4', 2),
    scores=('f4', 1),
    offsets=('i8', 1),
    keys=('S', 1),
    sizes=('i8', 2),
    about=('S', 0),
)


def image_keys(images: Sequence[tuple[str, str]]) -> list[str]:
    """Keys of a dataset's images in a proposal file.

    A key is the id and the file name. If images of concatenated datasets share
    both, it also has the folders that distinguish them. A repeated image has
    one key.

    Args:
        images (Sequence[tuple]): Id, or '', and path of each image.

    Raises:
        ValueError: Two images cannot be distinguished.
    """
    images = [(img_id, PurePath(path).parts) for img_id, path in images]
    keys, alike, depth = {}, images, 0
    while alike:
        depth += 1
        if depth > max(len(parts) for _, parts in alike):
            first = [(img_id, str(PurePath(*p))) for img_id, p in alike[:2]]
            raise ValueError(
                'proposals are stored by image id and path, which do not '
                f'distinguish these images: {first}.'
            )
        for img_id, parts in alike:
            name = '/'.join(parts[-depth:])
            keys[img_id, parts] = f'{img_id} {name}' if img_id else name
        shared = Counter(keys.values())
        alike = [image for image, key in keys.items() if shared[key] > 1]
    return [keys[image] for image in images]


def image_id(info: dict) -> tuple[str, str]:
    """Id and path from mmdet's ``get_data_info``, for :func:`image_keys`."""
    return str(info.get('img_id', '')), info['img_path']


class ProposalFile:
    """Proposals per image, mapped from an uncompressed ``.npz``.

    ``numpy.load`` reads the file too. Its arrays, for P images and T
    proposals:

    - boxes (T, 4) float32: x1, y1, x2, y2 in original pixels
    - scores (T,) float32
    - offsets (P + 1,) int64: image p has ``boxes[offsets[p]:offsets[p + 1]]``
    - keys (P,) bytes: id and file name of each image, :func:`image_keys`
    - sizes (P, 2) int64: width and height of each image; 0 if unknown
    - about () bytes: JSON, the source of the proposals

    Args:
        path (str): The file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not a proposal file, or is damaged.
    """

    def __init__(self, path: str) -> None:
        self.path = str(path)
        try:
            self._state = _state(self.path)
            with ZipFile(self.path) as archive:
                arrays = {n: _map(self.path, archive, n) for n in _ARRAYS}
            for name, (kind, ndim) in _ARRAYS.items():
                array = arrays[name]
                known = array.dtype.kind if kind == 'S' else array.dtype
                if known != kind or array.ndim != ndim:
                    raise ValueError(
                        f'{name} is an array {array.dtype} of {array.ndim} '
                        'dimensions'
                    )
            self.about = json.loads(arrays['about'][()])
            self.keys = [k.decode() for k in arrays['keys'].tolist()]
            self.boxes, self.scores = arrays['boxes'], arrays['scores']
            self.offsets, self.sizes = arrays['offsets'], arrays['sizes']
            count, images = len(self.scores), len(self.keys)
            if (
                self.offsets.shape != (images + 1,)
                or self.sizes.shape != (images, 2)
                or self.boxes.shape != (count, 4)
                or self.offsets[0] != 0
                or self.offsets[-1] != count
                or (np.diff(self.offsets) < 0).any()
            ):
                raise ValueError(
                    f'its arrays do not fit each other, {len(self.boxes)} '
                    f'boxes, {count} scores, {images} images'
                )
        except FileNotFoundError:
            raise FileNotFoundError(
                f'there is no proposal file {self.path}.'
            ) from None
        except Exception as error:  # a damaged file may raise any error
            raise ValueError(
                f'{self.path} is not a proposal file, or is damaged: {error}. '
                'Write it again with tools/extract_proposals.py.'
            ) from None

    def __len__(self) -> int:
        """Number of images."""
        return len(self.keys)

    def __reduce__(self):  # a worker maps the file instead of a copy
        return type(self), (self.path,)

    def require_unchanged(self) -> None:
        """Check that nobody wrote into the file since it was mapped.

        A new file with the same name does no harm.

        Raises:
            ValueError: The file has changed. To read a truncated file would
                end the process without a message.
        """
        try:
            now = _state(self.path)
        except OSError:  # the file was removed
            return
        if now[0] == self._state[0] and now != self._state:
            raise UserError(
                f'{self.path} was overwritten while it was in use. Write a '
                'new file beside it and rename that, as '
                'tools/extract_proposals.py does; then start again.'
            )

    def select(
        self,
        keys: Sequence[str],
        sizes: np.ndarray | None = None,
        missing: str = 'raise',
    ) -> Proposals:
        """The proposals of some images, in any order.

        Args:
            keys (Sequence[str]): Keys from :func:`image_keys`, one per image.
            sizes (ndarray (N, 2), optional): Width and height of the images; 0
                if unknown.
            missing (str): 'raise', or 'skip': an image that the file lacks has
                no proposals.

        Raises:
            ValueError: Images are missing, or have another size.
        """
        check_choice('missing', missing, 'raise', 'skip')
        index = {key: i for i, key in enumerate(self.keys)}
        entries = np.array([index.get(key, -1) for key in keys], np.int64)
        absent = np.flatnonzero(entries < 0)
        if len(keys) and len(absent) == len(keys):
            raise ValueError(
                f'{self.path} holds proposals of another dataset: it has '
                f'none of the {len(keys)} images here, such as {keys[0]!r}, '
                f'but others, such as {self.keys[:1]}.'
            )
        if len(absent) and missing == 'raise':
            raise ValueError(
                f'{self.path} has no proposals for {len(absent)} of the '
                f'{len(keys)} images, the first is {keys[absent[0]]!r}; '
                'extract them again, or train those images without proposals: '
                "missing_proposals='skip'."
            )
        if sizes is not None:
            known = self.sizes[entries]
            differ = (entries >= 0) & (known != sizes).any(1)
            differ &= known.all(1) & sizes.all(1)
            if differ.any():
                first = differ.argmax()
                raise ValueError(
                    f'{self.path} holds proposals of another dataset: '
                    f'{keys[first]!r} is {known[first].tolist()} pixels '
                    f'there, and {sizes[first].tolist()} here.'
                )
        return Proposals(
            self.boxes, self.scores, self.offsets, entries, self.path
        )


def write_proposals(
    path: str,
    keys: Sequence[str],
    sizes: np.ndarray,
    boxes: Sequence[np.ndarray],
    scores: Sequence[np.ndarray],
    about: dict,
) -> None:
    """Write a proposal file, whole or not at all.

    Args:
        path (str): The file, see :class:`ProposalFile`.
        keys (Sequence[str]): Keys from :func:`image_keys`, one per image.
        sizes (ndarray (P, 2)): Width and height of each image.
        boxes (Sequence[ndarray (K, 4)]): Boxes of each image, original pixels.
        scores (Sequence[ndarray (K,)]): Scores of each image.
        about (dict): Source of the proposals.

    Raises:
        ValueError: Two images have the same key, or the lengths differ.
    """
    counts = [len(b) for b in boxes]
    if counts != [len(s) for s in scores] or len(counts) != len(keys):
        raise ValueError(
            'each key needs boxes and the same number of scores. Received: '
            f'{len(keys)} keys, boxes of {len(counts)} images, '
            f'{sum(counts)} boxes, {sum(map(len, scores))} scores.'
        )
    _write(path, keys, sizes, counts, boxes, scores, about)


def join_proposals(path: str, parts: Sequence[str], about: dict) -> None:
    """Write one proposal file from several, in their order.

    Only one part is mapped at a time, and none is loaded into memory.
    """
    keys, sizes, counts = [], [], []
    for file in map(ProposalFile, parts):
        keys += file.keys
        sizes += file.sizes.tolist()
        counts += np.diff(file.offsets).tolist()
    boxes = (file.boxes for file in map(ProposalFile, parts))
    scores = (file.scores for file in map(ProposalFile, parts))
    _write(path, keys, sizes, counts, boxes, scores, about)


def _write(path, keys, sizes, counts, boxes, scores, about) -> None:
    twice = [key for key, n in Counter(keys).items() if n > 1]
    if twice:
        raise ValueError(
            f'two images of the dataset have the key {twice[0]!r} (id and '
            'file name), by which proposals are stored.'
        )
    small = dict(
        offsets=np.cumsum([0, *counts], dtype=np.int64),
        keys=np.array([k.encode() for k in keys], dtype='S'),
        sizes=np.asarray(sizes, np.int64).reshape(-1, 2),
        about=np.array(json.dumps(about).encode()),
    )
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    # Not by a mapped file: a full disk would kill the process.
    with whole_file(path) as part:
        with part.open('wb') as file:
            np.savez(file, **small)
        with ZipFile(part, 'a') as archive:
            _append(archive, 'boxes', boxes, sum(counts), 4)
            _append(archive, 'scores', scores, sum(counts))


def _append(archive, name, pieces, *shape) -> None:
    """Add a float32 array to a .npz piece by piece, as np.savez does."""
    header = dict(descr='<f4', fortran_order=False, shape=shape)
    with archive.open(f'{name}.npy', 'w', force_zip64=True) as member:
        np.lib.format.write_array_header_1_0(member, header)
        for piece in pieces:
            rows = np.reshape(piece, (len(piece), *shape[1:]))
            member.write(rows.astype('<f4').tobytes())


def _state(path: str) -> tuple[int, list]:
    """Inode of a file, and the directory of its archive."""
    number, members = os.stat(path).st_ino, []
    # A file that is damaged or being written may raise any error.
    with contextlib.suppress(Exception), ZipFile(path) as archive:
        members = [(i.header_offset, i.CRC) for i in archive.infolist()]
    return number, members


def _map(path: str, archive: ZipFile, name: str) -> np.ndarray:
    """Map one array of an uncompressed .npz; numpy.load would load it."""
    info = archive.getinfo(f'{name}.npy')
    if info.compress_type != ZIP_STORED:
        raise ValueError('it is compressed, so that it cannot be mapped')
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, fortran, dtype = read(member)
        header = member.tell()
    size = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if fortran or dtype.hasobject or size != info.file_size - header:
        raise ValueError(f'{name} has {info.file_size - header} bytes')
    if size == 0:
        return np.zeros(shape, dtype)
    with open(path, 'rb') as file:
        # Before a member's data: 30 bytes, its name and an extra field.
        file.seek(info.header_offset + 26)
        lengths = np.frombuffer(file.read(4), '<u2').astype(int)
    start = info.header_offset + 30 + lengths.sum() + header
    mapped = np.memmap(path, dtype, 'r', int(start), shape)
    return mapped.view(np.ndarray)
