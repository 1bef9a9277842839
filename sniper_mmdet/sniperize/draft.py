"""A config that becomes one for chips, as its parts are being written."""

from dataclasses import dataclass, field

from mmengine.config import Config

from sniper_mmdet.chips import ChipSettings, ImagePyramid
from sniper_mmdet.chips.presets import (
    RELEASED_AUTOFOCUS_TEST,
    RELEASED_COCO,
    RELEASED_COCO_TEST,
)
from sniper_mmdet.tuning import Advice


@dataclass
class Draft:
    """What all that is written of a config reads, and adds its notes to."""

    #: The config that is read, of any detector of MMDetection.
    cfg: Config
    #: Whether an AutoFocus detector is written, instead of a pyramid's.
    autofocus: bool = False
    #: Settings for its data; None: those released for COCO.
    advice: Advice | None = None
    #: What could not be decided, a sentence each.
    notes: list[str] = field(default_factory=list)

    @property
    def chips(self) -> ChipSettings:
        """ChipSettings: Of training."""
        return self.advice.settings if self.advice else RELEASED_COCO

    @property
    def test_pyramid(self) -> ImagePyramid:
        """ImagePyramid: Of testing."""
        if self.advice:
            return self.advice.test_pyramid
        return (
            RELEASED_AUTOFOCUS_TEST if self.autofocus else RELEASED_COCO_TEST
        )

    def part(self, name: str) -> dict:
        """A part of the config; an empty one where there is none."""
        return self.cfg.get(name) or {}

    def note(self, sentence: str) -> None:
        """Add a note, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)
