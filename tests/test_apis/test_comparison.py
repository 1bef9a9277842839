"""Rows of COCO's metrics in the tables of several tools."""

from sniper_mmdet.apis.comparison import coco_row, coco_table


def test_a_size_without_objects_has_no_ap():
    sizes = dict(zip('sml', (0.2, 0.5, -1.0), strict=True))
    row = {f'coco/bbox_mAP_{name}': value for name, value in sizes.items()}
    row.update({'coco/bbox_mAP': 0.25, 'coco/bbox_mAP_50': 0.5, 'seconds': 3})
    found = coco_row(row)
    assert found['AP_S'] == 0.2 and found['AP_L'] is None
    head, line = coco_table(dict(ours=found)).splitlines()
    assert head.split() == 'AP AP50 AP_S AP_M AP_L seconds'.split()
    assert line.split() == 'ours 25.0 50.0 20.0 50.0 - 3.00'.split()


def test_nothing_is_found():
    found = coco_row(dict(seconds=1))
    assert set(found.values()) == {0.0, 1}
