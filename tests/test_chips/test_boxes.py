"""What a chip makes of boxes, and boxes read from COCO files."""

import json

import numpy as np
import pytest

from sniper_mmdet.chips import (
    BoxState,
    ImageBoxes,
    box_sizes,
    classify_boxes,
    from_coco,
)
from sniper_mmdet.chips.coco import read_coco

CHIP = (100, 100, 200, 200)
RANGE = (10, 50)
V, I, O = BoxState.VALID, BoxState.IGNORED, BoxState.OUTSIDE  # noqa: E741


@pytest.mark.parametrize(
    ('box', 'state'),
    [
        ((120, 120, 140, 140), V),
        ((100, 100, 120, 120), V),  # at the chip's very corners
        ((180, 180, 200, 200), V),
        ((120, 120, 130, 130), V),  # of exactly the lowest size
        ((120, 120, 129.9, 130), I),  # too small for the level
        ((120, 120, 170, 170), I),  # of exactly the highest size
        ((110, 150, 190, 160), V),  # size 28, however long
        ((90, 120, 110, 140), I),  # cut
        ((110, 110, 130, 250), I),
        ((50, 50, 250, 250), I),
        ((80, 120, 104, 140), O),  # 4 of 5 visible pixels
        ((80, 120, 105, 140), I),
        ((195, 120, 220, 126), I),  # 5 x 6 pixels can be seen
        ((195, 120, 220, 123), O),
        ((120, 120, 123, 140), I),  # whole: seen at any size
        ((80, 120, 100, 140), O),  # touches
        ((0, 0, 20, 20), O),
        ((120, 120, 120, 140), O),  # no area
        ((140, 140, 120, 120), O),
    ],
)
def test_states_by_hand(box, state):
    found = classify_boxes(np.array([box]), CHIP, RANGE, min_visible=(5, 5))
    assert found.tolist() == [state]


def test_share_of_a_box_that_counts_as_whole():
    boxes = np.array([(85, 120, 105, 140), (94, 120, 114, 140)])
    assert classify_boxes(boxes, CHIP, RANGE).tolist() == [I, I]
    found = classify_boxes(boxes, CHIP, RANGE, min_visible_share=0.7)
    assert found.tolist() == [I, V]
    # Its size is that of the whole box.
    found = classify_boxes(boxes, CHIP, (0, 20), min_visible_share=0.25)
    assert found.tolist() == [I, I]


def test_rounding_of_a_chip_cuts_no_box():
    """Corners of chips are multiples of the stride over the level's factor."""
    corners = np.float32(57 * np.arange(1, 60) / 1.667)
    for corner in corners:
        chip = np.float32([corner, corner, corner + 90, corner + 90])
        outside = np.nextafter(corner, np.float32(0))
        box = np.array([(outside, outside, corner + 20, corner + 20)])
        assert classify_boxes(box, chip, RANGE).tolist() == [V]
        box -= 0.01
        assert classify_boxes(box, chip, RANGE).tolist() == [I]


def test_no_boxes():
    assert classify_boxes(np.zeros((0, 4)), CHIP, RANGE).shape == (0,)
    assert classify_boxes([], CHIP, RANGE).dtype == np.int8


def test_size_is_the_root_of_the_area():
    boxes = np.array([(0, 0, 9, 4), (1, 2, 3, 4), (5, 5, 4, 9)])
    assert box_sizes(boxes).tolist() == [6, 2, 0]


def test_images_keep_their_boxes_apart():
    images = ImageBoxes.from_lists(
        [(10, 20), (30, 40), (50, 60)],
        [[(0, 0, 1, 1), (1, 1, 2, 2)], [], [(3, 3, 4, 4)]],
    )
    assert len(images) == 3
    assert images.widths.tolist() == [10, 30, 50]
    assert images.heights.tolist() == [20, 40, 60]
    assert [len(images.of_image(i)) for i in range(3)] == [2, 0, 1]
    assert images.of_image(2).tolist() == [[3, 3, 4, 4]]
    assert images.boxes.dtype == np.float32
    assert len(images.regions) == 0
    assert images.region_offsets.tolist() == [0] * 4
    empty = ImageBoxes.from_lists([], [])
    assert len(empty) == 0 and empty.boxes.shape == (0, 4)
    assert empty.region_offsets.tolist() == [0]


def test_images_keep_their_ignored_regions_apart():
    regions = [[], [(0, 0, 9, 9), (1, 1, 2, 2)], [(3, 3, 4, 4)]]
    images = ImageBoxes.from_lists([(9, 9)] * 3, [[]] * 3, regions)
    assert images.regions.dtype == np.float32
    assert images.regions.tolist() == [list(r) for r in sum(regions, [])]
    assert images.region_images.tolist() == [1, 1, 2]
    assert images.region_offsets.tolist() == [0, 0, 2, 3]
    # As they were before there were any.
    plain = ImageBoxes(*images[:4])
    assert len(plain.regions) == 0 and len(plain) == 3


COCO = dict(
    images=[
        dict(id=7, width=100, height=50, file_name='a.jpg'),
        dict(id=3, width=60, height=60, file_name='b.jpg'),
    ],
    annotations=[
        dict(id=1, image_id=3, category_id=2, bbox=[1, 2, 10, 20]),
        dict(id=2, image_id=7, category_id=5, bbox=[90, 40, 20, 20]),
        dict(id=3, image_id=7, category_id=2, bbox=[-5, 0, 10, 10]),
    ],
    categories=[dict(id=2, name='cat'), dict(id=5, name='dog')],
)


def write(tmp_path, coco=COCO, **changes):
    path = tmp_path / 'coco.json'
    path.write_text(json.dumps(dict(coco, **changes)))
    return path


def test_coco_boxes_are_clipped_and_sorted_by_image(tmp_path):
    images = from_coco(write(tmp_path))
    assert images.widths.tolist() == [100, 60]
    assert images.of_image(0).tolist() == [[90, 40, 100, 50], [0, 0, 5, 10]]
    assert images.of_image(1).tolist() == [[1, 2, 11, 22]]
    assert len(images.regions) == 0


def test_coco_crowds_are_regions(tmp_path):
    crowd = dict(iscrowd=1, image_id=3, category_id=2)
    annotations = [
        *COCO['annotations'],
        dict(crowd, id=4, bbox=[50, 50, 30, 5]),
        dict(crowd, id=5, bbox=[1, 2, 30, 40], image_id=7),
        dict(crowd, id=6, bbox=[70, 2, 30, 40]),  # outside
        dict(crowd, id=7, bbox=[1, 2, 30, 40], ignore=1),
    ]
    path = write(tmp_path, annotations=annotations)
    images, num_degenerate = read_coco(path)
    assert len(images.boxes) == 3 and num_degenerate == 1
    assert images.regions.tolist() == [[1, 2, 31, 42], [50, 50, 60, 55]]
    assert images.region_images.tolist() == [0, 1]


@pytest.mark.parametrize(
    'annotation',
    [
        dict(bbox=[1, 2, 10, 20], iscrowd=1),
        dict(bbox=[1, 2, 10, 20], ignore=1),
        dict(bbox=[1, 2, 0, 20]),
        dict(bbox=[1, 2, 10, 0.5]),
        dict(bbox=[1, 2, -10, 20]),
        dict(bbox=[200, 10, 10, 20]),
        dict(bbox=[99.5, 10, 10, 20]),  # half a pixel of it in the image
    ],
)
def test_coco_boxes_left_out(tmp_path, annotation):
    annotation = dict(annotation, id=9, image_id=7, category_id=2)
    path = write(tmp_path, annotations=[annotation])
    assert len(from_coco(path).boxes) == 0
    # Of those that are meant to be left out nobody need be told.
    is_meant = 'iscrowd' in annotation or 'ignore' in annotation
    assert read_coco(path)[1] == (not is_meant)


def image_of(**changes):
    return [dict(COCO['images'][0], **changes), COCO['images'][1]]


def annotation_of(**changes):
    return [dict(COCO['annotations'][0], **changes)]


@pytest.mark.parametrize(
    ('text', 'sentence'),
    [
        ('', 'is not a COCO detection json: JSONDecodeError'),
        ('[]', 'is not a COCO detection json: TypeError'),
        ('{"images": []}', "is not a COCO detection json: .*'annotations'"),
        ('\udcff\udcd8', 'is not a COCO detection json: UnicodeDecodeError'),
        (
            json.dumps(dict(COCO, images=[dict(id=7, width=3)])),
            "is not a COCO detection json: .*'height'",
        ),
        (
            json.dumps(dict(COCO, annotations=annotation_of(image_id=8))),
            'annotation 1 names image 8, which is not in the file',
        ),
        (
            json.dumps(dict(COCO, annotations=annotation_of(bbox=[1, 2]))),
            r'bbox of annotation 1 must be \[x, y, .* Received: \[1, 2\]',
        ),
        (
            json.dumps(
                dict(COCO, annotations=annotation_of(bbox=[1, 2, 3, np.nan]))
            ),
            'bbox of annotation 1 must be .* nan',
        ),
        (
            json.dumps(dict(COCO, annotations=annotation_of(bbox=None))),
            'bbox of annotation 1 must be',
        ),
        (
            json.dumps(dict(COCO, annotations=annotation_of(image_id=[7]))),
            r'the image_id of annotation 1 must be .* Received: \[7\]',
        ),
        (
            json.dumps(dict(COCO, categories=[dict(id=[7], name='a')])),
            r'each of categories must have an id .* Received: .*\[7\]',
        ),
        *(
            (
                json.dumps(
                    dict(COCO, annotations=annotation_of(**{key: value}))
                ),
                f'a number of an? {key} is too large',
            )
            for key, value in dict(
                area=10**400, bbox=[1, 2, 3, 10**400]
            ).items()
        ),
        (
            json.dumps(dict(COCO, annotations=[1])),
            'is not a COCO detection json: TypeError: a dict is needed, not 1',
        ),
        (
            json.dumps(dict(COCO, annotations=dict(a=1))),
            'is not a COCO detection json: TypeError: a list is needed',
        ),
        (
            json.dumps(dict(COCO, images=dict(a=1))),
            'is not a COCO detection json: TypeError: a list is needed',
        ),
        (
            json.dumps(dict(COCO, images=image_of(id=[7]))),
            'is not a COCO detection json: TypeError: unhashable',
        ),
        *(
            (
                json.dumps(dict(COCO, images=image_of(height=value))),
                f'the height of image 7 must be .* Received: {value!r}',
            )
            for value in (0, -5, np.nan, np.inf, 10**30, None, '640')
        ),
    ],
)
def test_what_is_no_coco_file(tmp_path, text, sentence):
    path = tmp_path / 'coco.json'
    path.write_bytes(text.encode(errors='surrogateescape'))
    with pytest.raises(ValueError, match=sentence) as error:
        from_coco(path)
    assert str(error.value).startswith(str(path))
    assert '\n' not in str(error.value)


def test_coco_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere.json'):
        from_coco(tmp_path / 'nowhere.json')
