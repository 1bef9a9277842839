"""Datasets that configs name, with their class names.

``metainfo=dict(classes=...)`` in a config overrides them, as in mmdet. The
colours are those of mmdet's COCO and VOC, enough for other classes, too.
"""

from mmdet.datasets import CocoDataset, VOCDataset

from sniper_mmdet.registry import DATASETS

from .formats import dota, emoji_scenes, visdrone
from .synthetic import shapes


@DATASETS.register_module()
class VisDroneDataset(CocoDataset):
    """VisDrone-DET in COCO format: scenes of 480 to 2000 px, from drones.

    The files are those of ``tools/dataset_converters/visdrone_to_coco.py``.
    """

    METAINFO = dict(CocoDataset.METAINFO, classes=visdrone.CLASSES)


@DATASETS.register_module()
class DOTADataset(CocoDataset):
    """DOTA v1.0 in COCO format: upright boxes, scenes of up to 20,000 px.

    The files are those of ``tools/dataset_converters/dota_to_coco.py``.
    """

    METAINFO = dict(CocoDataset.METAINFO, classes=dota.VERSIONS['v1.0'])


@DATASETS.register_module()
class DOTAv15Dataset(DOTADataset):
    """DOTA v1.5, with one more class and more small objects."""

    METAINFO = dict(CocoDataset.METAINFO, classes=dota.VERSIONS['v1.5'])


@DATASETS.register_module()
class DOTAv2Dataset(DOTADataset):
    """DOTA v2.0, with two more classes than v1.5."""

    METAINFO = dict(CocoDataset.METAINFO, classes=dota.VERSIONS['v2.0'])


@DATASETS.register_module()
class SampleDataset(CocoDataset):
    """Sample scenes: drawn shapes of 8 to 400 px in front of clutter.

    ``tools/dataset_converters/make_sample_data.py`` draws them.
    """

    METAINFO = dict(CocoDataset.METAINFO, classes=tuple(shapes.CLASSES))


@DATASETS.register_module()
class AerialCarsDataset(CocoDataset):
    """Cars from the air in COCO format: objects of 25 and 50 px."""

    METAINFO = dict(CocoDataset.METAINFO, classes=('car',))


@DATASETS.register_module()
class SookeVesselsDataset(CocoDataset):
    """Distant ships in COCO format: 9 to 68 px in frames of 1920x1080 px.

    The frames are published as tunai/hybrid-boat-detection.
    """

    METAINFO = dict(CocoDataset.METAINFO, classes=('vessel',))


@DATASETS.register_module()
class FootballPlayersDataset(CocoDataset):
    """A football pitch in COCO format: a ball of 6 px, players of 42 px.

    The frames, 1920x1080 px, are published as beep-sketch/fp.
    """

    METAINFO = dict(
        CocoDataset.METAINFO,
        classes=('ball', 'goalkeeper', 'player', 'referee'),
    )


@DATASETS.register_module()
class AirbusAircraftDataset(CocoDataset):
    """Airports from satellite in COCO format: aircraft of 54 to 176 px.

    The images, 2560x2560 px, are published as
    KI-1-AI-Sec/airbus-aircraft-dataset.
    """

    METAINFO = dict(
        CocoDataset.METAINFO, classes=('aircraft', 'truncated_aircraft')
    )


@DATASETS.register_module()
class DeepPCBDataset(CocoDataset):
    """DeepPCB in COCO format: defects of 22 to 120 px on circuit boards.

    The boards, 640x640 px, are published as tangsanli5201/DeepPCB.
    """

    METAINFO = dict(
        CocoDataset.METAINFO,
        classes=('open', 'short', 'mousebite', 'spur', 'copper', 'pin-hole'),
    )


@DATASETS.register_module()
class FaceMaskDataset(CocoDataset):
    """Faces in the street in COCO format, most of them masked: 23 px high.

    The photographs, 400 px wide, are published as marellanoc/MaskON.
    """

    METAINFO = dict(CocoDataset.METAINFO, classes=('face',))


@DATASETS.register_module()
class BCCDDataset(VOCDataset):
    """BCCD in PASCAL VOC's format: blood smears of 640x480 px.

    Cells are about 100 and 200 px large, platelets 40 px. The images are
    published as Shenggan/BCCD_Dataset.
    """

    METAINFO = dict(VOCDataset.METAINFO, classes=('RBC', 'WBC', 'Platelets'))


@DATASETS.register_module()
class ImageNet3kDataset(CocoDataset):
    """ImageNet (Fall 2011) in COCO format: the 3,130 classes of R-FCN-3000.

    The name of a class is its number, from 0000 on: only the authors' devkit
    has the list of names.
    """

    METAINFO = dict(
        CocoDataset.METAINFO,
        classes=tuple(f'{number:04d}' for number in range(3130)),
    )


@DATASETS.register_module()
class EmojiScenesDataset(CocoDataset):
    """Emoji on blurred streets in COCO format: 60 classes, 256x256 px."""

    METAINFO = dict(CocoDataset.METAINFO, classes=emoji_scenes.CLASSES)


@DATASETS.register_module()
class EmojiScenesBaseDataset(CocoDataset):
    """The 48 classes of emoji that have boxes to train on."""

    METAINFO = dict(
        CocoDataset.METAINFO,
        classes=tuple(
            name
            for name in emoji_scenes.CLASSES
            if name not in emoji_scenes.NOVEL
        ),
    )


@DATASETS.register_module()
class TrafficLightsDataset(CocoDataset):
    """Traffic lights in COCO format: 14 kinds in 3 colours, up to 640 px.

    The images are published as liwenchao956/Traffic-signal-recognition--.
    """

    METAINFO = dict(
        CocoDataset.METAINFO,
        classes=(
            'red',
            'redleft',
            'redstraight',
            'redtime',
            'redpeople',
            'green',
            'greenleft',
            'greenstraight',
            'greentime',
            'greenpeople',
            'yellow',
            'yellowleft',
            'yellowstraight',
            'yellowtime',
        ),
    )
