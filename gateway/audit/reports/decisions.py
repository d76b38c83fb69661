"""What an approver decided of single look-ups, in a file beside the report.

[[release]]            # let it out, although an exemption keeps it out by default
receipt = "..."
why = "..."
person = true          # name the practitioner too
reason = true          # and give their reason in their own words

[[withhold]]           # keep it out, although none does
receipt = "..."
why = "..."
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

_LARGEST = 1_000_000


class DecisionsUnreadable(ValueError):
    """The file cannot be read, or says two things of one look-up; the message is one line without its content."""


class Release(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A look-up that is let out."""

    receipt: str
    why: str
    person: bool = False
    reason: bool = False


class Withhold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A look-up that is kept out."""

    receipt: str
    why: str


class _File(msgspec.Struct, forbid_unknown_fields=True):
    release: list[Release] = []
    withhold: list[Withhold] = []


@dataclass(frozen=True, slots=True)
class Decisions:
    """Decisions by receipt."""

    released: Mapping[str, Release] = field(default_factory=dict)
    withheld: Mapping[str, Withhold] = field(default_factory=dict)

    @property
    def receipts(self) -> frozenset[str]:
        return frozenset(self.released) | frozenset(self.withheld)


def read(file: Path) -> Decisions:
    """Return the decisions of a file. Raises DecisionsUnreadable."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DecisionsUnreadable(f"the decisions cannot be read: {error.strerror}") from None
    if len(content) > _LARGEST:
        raise DecisionsUnreadable("the decisions are too long to be a file of decisions")
    try:
        found = msgspec.convert(tomllib.loads(content.decode()), _File)
    except msgspec.ValidationError as fault:
        where = str(fault).rpartition(" - at ")[2] if " - at " in str(fault) else "the file"
        raise DecisionsUnreadable(f"the decisions are not [[release]] and [[withhold]] tables: see {where}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError):
        raise DecisionsUnreadable("the decisions are not TOML") from None
    decided: list[Release | Withhold] = [*found.release, *found.withhold]
    if len({each.receipt for each in decided}) != len(decided):
        raise DecisionsUnreadable("the decisions name one receipt twice")
    if not all(each.why.strip() for each in decided):
        raise DecisionsUnreadable("every decision needs its `why`")
    return Decisions({r.receipt: r for r in found.release}, {w.receipt: w for w in found.withhold})
