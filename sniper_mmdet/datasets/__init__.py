"""Datasets of chips, and the readers of datasets and their annotations.

The room holds datasets, samplers and proposals of images. ``transforms/`` has
the steps of pipelines, ``formats/`` one file per foreign format.
"""

from sniper_mmdet import registry  # imports mmdet first, quietly

from .chip_dataset import ChipDataset
from .chip_sampler import ChipSampler
from .class_aware_sampler import ClassAwareChipSampler
from .image_labels import ImageLabelDataset, ImageNetDetDataset
from .named_datasets import (
    AerialCarsDataset,
    AirbusAircraftDataset,
    BCCDDataset,
    DeepPCBDataset,
    DOTADataset,
    DOTAv2Dataset,
    DOTAv15Dataset,
    EmojiScenesBaseDataset,
    EmojiScenesDataset,
    FaceMaskDataset,
    FootballPlayersDataset,
    ImageNet3kDataset,
    SampleDataset,
    SookeVesselsDataset,
    TrafficLightsDataset,
    VisDroneDataset,
)
from .openimages import OpenImagesDataset
from .proposals import ProposalFile, image_id, image_keys, write_proposals
from .transforms import (
    CutChip,
    IgnoreGroupOf,
    LoadGroupOf,
    LoadImageByWindow,
    PackImage,
    PackKnownLabels,
)
from .wider_face_dataset import WiderFaceDataset
