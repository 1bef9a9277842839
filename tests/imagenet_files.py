"""Box files as ImageNet has them."""

from pathlib import Path

DOG, CAT = 'n02084071', 'n02121808'


def write_boxes(path: Path, *objects, size=(100, 80)) -> None:
    """Write the XML file of an image; objects are WNID and corners."""
    found = ''.join(
        f'<object><name>{wnid}</name><bndbox><xmin>{x1}</xmin>'
        f'<ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox>'
        '</object>'
        for wnid, (x1, y1, x2, y2) in objects
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'<annotation><size><width>{size[0]}</width><height>{size[1]}'
        f'</height></size>{found}</annotation>'
    )
