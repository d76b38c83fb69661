"""Reads the scenario files: TOML that somebody who answers for the agreements writes, without any Python.

    [[scenario]]
    name = "A school asks who else works with its pupil"
    asker = "school_safeguarding_lead at elm-school"
    purpose = "SAFEGUARD_S16LA"
    holds.council = ["a worker"]
    outcome = "told"
    sees.council = ["that it is involved", "who the practitioner is"]
    because = "..."

`sees` is everything that is seen; `must_not_see` repeats what is held and must stay unseen. Fields are said in the
words of the page "who sees what". Anything misspelt stops the reading.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final, Literal

import msgspec

from auth.access_words import FIELD_WORDS
from schema.vocabulary import AgencyKind, Assurance, Purpose, Relationship, Role

FOLDER: Final = Path(__file__).parent
PATHS: Final = {words: path for path, words in FIELD_WORDS.items()}

Outcome = Literal["told", "nothing", "incomplete", "forbidden", "sign in again", "refused"]


class Mistake(msgspec.Struct, forbid_unknown_fields=True):
    """A grant that somebody added to an agreement."""

    agreement: str
    to: list[AgencyKind]
    roles: list[Role]
    purposes: list[Purpose]
    opens: list[str]
    relationship: Relationship = Relationship.NONE
    assurance: Assurance = Assurance.STANDARD
    organisations: list[str] = []


class Supposed(msgspec.Struct, forbid_unknown_fields=True):
    """What differs from the shipped agreements."""

    commenced: list[Purpose] = []
    lapsed: list[str] = []
    areas: dict[str, list[str]] = {}
    assessed: list[str] = []
    general_regime: list[Purpose] = []
    grant: list[Mistake] = []


class Scenario(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Who asks, what is held, what must and must not be seen, and why."""

    name: str
    asker: str
    purpose: Purpose
    holds: dict[str, list[str]]
    outcome: Outcome
    because: str
    sign_in: Literal["strong", "ordinary"] = "strong"
    sees: dict[str, list[str]] = {}
    must_not_see: dict[str, list[str]] = {}
    not_asked: list[str] = []
    appointed: bool = False
    break_glass: bool = False
    machine: bool = False
    only_ended_work: bool = False
    an_adult: bool = False
    without_scope: list[str] = []
    rule: str | None = None
    suppose: Supposed = msgspec.field(default_factory=Supposed)

    @property
    def role(self) -> Role:
        """The asker's role."""
        return Role(self.asker.partition(" at ")[0])

    @property
    def organisation(self) -> str:
        """The asker's organisation."""
        return self.asker.partition(" at ")[2]

    @property
    def assurance(self) -> Assurance:
        """How the asker signed in."""
        return Assurance.STRONG if self.sign_in == "strong" else Assurance.STANDARD

    def paths(self, told: dict[str, list[str]]) -> set[tuple[str, str]]:
        """Return (agency, path) of fields that are said in words. Raises KeyError for words that are none."""
        return {(agency, PATHS[words]) for agency, fields in told.items() for words in fields}


class Theme(msgspec.Struct, forbid_unknown_fields=True):
    """One file: scenarios of one kind, and what they have in common."""

    title: str
    about: str
    scenario: list[Scenario]


def themes() -> dict[str, Theme]:
    """Return every file by its name, in the order of their names. Raises ValueError naming a file that is malformed."""
    found = {}
    for path in sorted(FOLDER.glob("*.toml")):
        try:
            found[path.name] = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Theme)
        except ValueError as fault:
            raise ValueError(f"{path.name}: {fault}") from None
    return found


def scenarios() -> list[Scenario]:
    """Return every scenario of every file."""
    return [scenario for theme in themes().values() for scenario in theme.scenario]
