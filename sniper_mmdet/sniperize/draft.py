"""A config that becomes one for chips, as its parts are being written."""

from dataclasses import dataclass, field

from mmengine.config import Config


@dataclass
class Draft:
    """What all that is written of a config reads, and adds its notes to."""

    #: The config that is read, of any detector of MMDetection.
    cfg: Config
    #: Whether an AutoFocus detector is written, instead of a pyramid's.
    autofocus: bool = False
    #: What could not be decided, a sentence each.
    notes: list[str] = field(default_factory=list)

    def part(self, name: str) -> dict:
        """A part of the config; an empty one where there is none."""
        return self.cfg.get(name) or {}

    def note(self, sentence: str) -> None:
        """Add a note, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)
