"""What a verification has found: places and kinds of fault, never a content."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

_MOST_FINDINGS: Final = 100


class Status(StrEnum):
    GOOD = "GOOD"
    """Everything stored is consistent. Open INTENTs are ordinary: a crash leaves them."""

    TAMPERED = "TAMPERED"
    """Something stored contradicts something else, or is not there although something stored says that it was."""

    INCOMPLETE = "INCOMPLETE"
    """Nothing contradicts, but something could not be read."""


@dataclass(slots=True)
class Findings:
    """The findings so far, the first hundred in words."""

    tampered: bool = False
    missing: bool = False
    texts: list[str] = field(default_factory=list)
    unlisted: int = 0

    def tamper(self, text: str) -> None:
        """Something contradicts something else."""
        self.tampered = True
        self._add(text)

    def miss(self, text: str) -> None:
        """Something that is needed cannot be read."""
        self.missing = True
        self._add(text)

    def note(self, text: str) -> None:
        """Something to be known that is no fault."""
        self._add(text)

    def take(self, other: Findings) -> None:
        """Add what another part has found."""
        self.tampered |= other.tampered
        self.missing |= other.missing
        self.unlisted += other.unlisted
        for text in other.texts:
            self._add(text)

    def _add(self, text: str) -> None:
        if len(self.texts) < _MOST_FINDINGS:
            self.texts.append(text)
        else:
            self.unlisted += 1

    @property
    def status(self) -> Status:
        if self.tampered:
            return Status.TAMPERED
        return Status.INCOMPLETE if self.missing else Status.GOOD
