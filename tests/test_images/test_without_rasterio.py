"""What there is without rasterio, and what is said of the rest."""

import cv2
import numpy as np
import pytest

from sniper_mmdet.images import WholeImage, opening, reads_windows
from sniper_mmdet.utils.errors import UserError


@pytest.fixture(autouse=True)
def without(monkeypatch):
    monkeypatch.setattr(opening, 'find_spec', lambda name: None)


def test_files_of_opencv_are_decoded_whole(tmp_path):
    path = tmp_path / 'a.tif'
    cv2.imwrite(str(path), np.zeros((4, 5, 3), np.uint8))
    assert not reads_windows(path)
    source = opening.open_image(path)
    assert isinstance(source, WholeImage) and source.shape == (4, 5, 3)
    assert source.pixels_read == 20


def test_what_needs_it(tmp_path):
    for name, how in (('a.vrt', {}), ('a.tif', dict(bands=(1,)))):
        (tmp_path / name).touch()
        match = r'needs rasterio.*pip install sniper_mmdet\[geo\]'
        with pytest.raises(UserError, match=match):
            opening.open_image(tmp_path / name, **how)
