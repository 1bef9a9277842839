"""Names of pictures, and errors of drawings."""

import pytest

from sniper_mmdet.utils import pictures
from sniper_mmdet.utils.pictures import PictureNames, drawing


def test_each_picture_has_a_name_of_its_own():
    names = PictureNames()
    given = [
        *('a.jpg', 'a.png', 'sub/a.jpg', 'a', 'a.jfif', 'a.pgm', 'A.JPG'),
        *('a-2.jpg', 'a.jpg', 'a.d/b', 'a.mp4/000000.jpg', 'ä ö.tiff'),
    ]
    found = [str(names(name)) for name in given]
    assert found == [
        *('a.jpg', 'a.png', 'sub/a.jpg', 'a-2.jpg', 'a.jfif.jpg'),
        *('a.pgm.jpg', 'A-3.JPG', 'a-2-2.jpg', 'a-4.jpg', 'a.d/b.jpg'),
        *('a.mp4/000000.jpg', 'ä ö.tiff'),
    ]
    assert len({name.casefold() for name in found}) == len(given)


def test_an_error_of_a_drawing_ends_nothing(monkeypatch):
    told = []
    monkeypatch.setattr(pictures, 'print_log', lambda *args: told.append(args))
    with drawing('a.png'):
        raise AssertionError('too\nshort')
    ((text, *_),) = told
    assert text == 'a.png could not be drawn: AssertionError: too short'
    with pytest.raises(KeyboardInterrupt), drawing('a.png'):
        raise KeyboardInterrupt
