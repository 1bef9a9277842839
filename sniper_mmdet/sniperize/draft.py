"""The state of a config for chips while its parts are written."""

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
    """The source config, its settings, and the notes on the new config."""

    #: The source config, of any MMDetection detector.
    cfg: Config
    #: Whether to write an AutoFocus instead of a PyramidDetector.
    autofocus: bool = False
    #: Settings for the training data; None: those released for COCO.
    advice: Advice | None = None
    #: Decisions that are left to the user, one sentence each.
    notes: list[str] = field(default_factory=list)

    @property
    def chips(self) -> ChipSettings:
        """ChipSettings: Settings of training."""
        return self.advice.settings if self.advice else RELEASED_COCO

    @property
    def test_pyramid(self) -> ImagePyramid:
        """ImagePyramid: Levels and ranges of testing."""
        if self.advice:
            return self.advice.test_pyramid
        return (
            RELEASED_AUTOFOCUS_TEST if self.autofocus else RELEASED_COCO_TEST
        )

    def part(self, name: str) -> dict:
        """Return a part of the config, or an empty one."""
        return self.cfg.get(name) or {}

    def note(self, sentence: str) -> None:
        """Add a note, unless it is there already."""
        if sentence not in self.notes:
            self.notes.append(sentence)
