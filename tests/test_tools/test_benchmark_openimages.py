"""The made OpenImages that benchmark.py openimages reads."""

from sniper_mmdet.benchmark.openimages import (
    seconds_of_reading,
    write_synthetic,
)


def test_what_is_written_is_read(tmp_path, monkeypatch):
    # seconds_of_reading puts another function in its place.
    monkeypatch.setattr('sniper_mmdet.datasets.image_index.image_size', None)
    assert write_synthetic(tmp_path, 500, 0) == 60
    first, again = (seconds_of_reading(str(tmp_path)) for _ in range(2))
    assert first['chips'] == again['chips'] > 60
    assert first['read_s'] < first['ready_s']
    assert len([*tmp_path.glob('*.npz')]) == 2
