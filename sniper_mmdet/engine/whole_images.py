"""Whole images of a dataset, for passes outside of training."""

import copy

import numpy as np
from mmcv.transforms import Compose, LoadImageFromFile
from torch.utils.data import Dataset

from sniper_mmdet.datasets import LoadImageByWindow, proposals
from sniper_mmdet.images import ImageSource


class WholeImages(Dataset):
    """The images of a dataset, loaded by its own pipeline, each once.

    Items are tuples ``(key, image, error)``. ``key`` is the image's key in a
    proposal file. ``image`` is uint8 (H, W, 3), an ImageSource for a raster
    that is read by window, or None if it cannot be read, which ``error``
    explains.

    Args:
        dataset (ChipDataset | BaseDataset): A dataset of mmdet, or a
            ChipDataset, for the images that its chips are cut from.
        on_error (str, optional): 'raise', or 'skip': an image that cannot be
            read is logged, and has no proposals. Defaults to None: the setting
            of the ChipDataset, else 'raise'.

    Attributes:
        keys (list[str]): Keys of the images in a proposal file.
        left_out (list[str]): Keys of the images that :meth:`some` leaves out.
    """

    def __init__(self, dataset, on_error: str | None = None) -> None:
        first = dataset
        while not hasattr(first, 'pipeline'):  # of wrapped datasets
            inner = getattr(first, 'datasets', None)
            first = inner[0] if inner else first.dataset
        loading = [
            t
            for t in first.pipeline.transforms
            if type(t).__name__.startswith('LoadImage')
        ]
        self.on_error = on_error or getattr(dataset, 'on_error', 'raise')
        self.load = Compose(
            [
                one.with_errors(self.on_error)
                if isinstance(one, LoadImageByWindow)
                else one
                for one in loading or [LoadImageFromFile()]
            ]
        )
        self.dataset = getattr(dataset, 'dataset', dataset)
        infos = map(self.dataset.get_data_info, range(len(self.dataset)))
        ids = list(map(proposals.image_id, infos))
        self.paths = [path for _, path in ids]
        first = {}
        for index, key in enumerate(proposals.image_keys(ids)):
            first.setdefault(key, index)
        self.keys, self.indices = list(first), list(first.values())
        self.left_out = []

    def some(self, num: int, number: int, seed: int) -> 'WholeImages':
        """Choose ``num`` images for a pass; passes have numbers from 0 on.

        The seed gives a random order, which the passes follow in turn: no
        image repeats before all had their turn.
        """
        order = np.random.default_rng(seed).permutation(len(self))
        turn = number * num + np.arange(min(num, len(self)))
        chosen = np.sort(order[turn % len(self)]).tolist()
        few = copy.copy(self)
        few.keys = [self.keys[i] for i in chosen]
        few.indices = [self.indices[i] for i in chosen]
        if len(chosen) < len(self):
            few.paths = [self.paths[i] for i in few.indices]
            few.left_out = sorted(set(self.keys).difference(few.keys))
        return few

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, index: int) -> tuple[str, np.ndarray | None, str]:
        info = self.dataset.get_data_info(self.indices[index])
        try:
            loaded = self.load(info)
            if loaded is None:
                raise OSError('it cannot be read as an image')
            image = loaded['img']
            if not isinstance(image, ImageSource):
                image = np.asarray(image, np.uint8)
            return self.keys[index], image, ''
        except Exception as error:  # decoders raise several types
            reason = f'{info["img_path"]}: {type(error).__name__}: {error}'
            return self.keys[index], None, reason
