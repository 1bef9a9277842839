"""Reads VisDrone-DET's text files.

A line is "x,y,width,height,score,category,truncation,occlusion", in original
pixels. Category 0 is an ignored region, 1 to 10 are the evaluated classes, 11
is another object. An annotation with score 0 does not count.
"""

from .text_files import numbers

CLASSES = tuple(
    'pedestrian people bicycle car van truck tricycle awning-tricycle bus '
    'motor'.split()
)
REGION, OTHERS = 0, 11


def read_line(line: str, width: int, height: int) -> dict:
    """Read an object or a region, see :func:`.convert_text_files`.

    Training must ignore regions and objects of other classes. They become
    crowds of the first class, with their category in ``visdrone_category``.

    Raises:
        ValueError: The line is broken; the error says what it must be.
    """
    fields = line.rstrip(',').split(',')
    if len(fields) != 8:
        raise ValueError(
            'must be x,y,width,height,score,category,truncation,occlusion.'
        )
    x, y, w, h, score, category, truncation, occlusion = numbers(fields)
    if w < 0 or h < 0:
        raise ValueError('width and height must not be negative.')
    if score not in (0, 1):
        raise ValueError('the score of an annotation must be 0 or 1.')
    if category not in range(REGION, OTHERS + 1):
        raise ValueError(f'the category must be {REGION} to {OTHERS}.')
    found = dict(
        label=int(category) - 1,
        box=(x, y, x + w, y + h),
        iscrowd=int(score == 0),
        truncation=int(truncation),
        occlusion=int(occlusion),
    )
    if category in (REGION, OTHERS):
        found.update(label=0, iscrowd=1, visdrone_category=int(category))
    return found
