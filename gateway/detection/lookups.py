"""What a detection rule sees: one look-up as the log has it, or a fault of the log itself.

The family name, the date of birth and the number are decrypted for the time of the run and never written out; they show
in no `repr` and in no sentence of a rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from sys import intern
from typing import Any, Final

from gateway.audit.keys import AuditKeys, NotDecrypted

_KEY: Final = b"child-key"  # as gateway.lookup_record binds it
OPEN: Final = "OPEN"
"""The outcome of an INTENT that no OUTCOME closes."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where the record is that an item of the review queue leads to."""

    shard: str
    seq: int


@dataclass(frozen=True, slots=True)
class SeenLookup:
    """One look-up, from its INTENT and OUTCOME, or from its DENIED record."""

    place: Place  # of INTENT, or of DENIED
    at_ms: int
    receipt: str
    person: str  # pseudonym, the same as in budgets and reviews
    organisation: str
    team: str | None  # as the token says; the workforce feed stands over it
    role: str
    client: str
    token: str  # hash
    purpose: str
    reason: str = field(repr=False)
    case_reference: str | None = field(repr=False)
    subject: str | None  # pseudonym; None where the log names no child
    outcome: str  # a LookupOutcome, FAILED, OPEN, or the code of a DENIED record
    denied: bool
    relationship: str  # NONE where the answer told nothing, unless the caller was appointed
    overridden: bool
    told: bool  # something about a child was disclosed
    involved: tuple[str, ...]  # registrations (`BODY:NUMBER`) of the practitioners that were disclosed
    number: str | None = field(repr=False)
    born: date | None = field(repr=False)
    surname: str | None = field(repr=False)  # folded, as `folded` gives it

    @property
    def missed(self) -> bool:
        """Whether every source answered and nothing could be told: a source in trouble is nobody's fishing."""
        return self.outcome == "NOTHING_DISCLOSABLE"


@dataclass(frozen=True, slots=True)
class LogFault:
    """Something that must not happen to the log: `what` is a fixed sentence that names no person."""

    place: Place
    at_ms: int
    code: str
    what: str


Seen = SeenLookup | LogFault


def folded(name: str) -> str:
    """Return a family name as rules compare it: case, accents' composition, hyphens and spaces do not matter."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def names_the_asker(asked: Mapping[str, Any]) -> bool:
    """Return whether a payload says who asked. A refused token is nobody's, and a count of them anybody's."""
    caller = asked.get("caller") or {}
    return bool((caller.get("onBehalfOf") or {}).get("subject") or caller.get("subject"))


def seen_from(
    place: Place,
    at_ms: int,
    asked: Mapping[str, Any],
    closed: Mapping[str, Any] | None,
    keys: AuditKeys,
    *,
    denied: bool = False,
) -> SeenLookup:
    """Return the look-up of an INTENT payload and of the OUTCOME payload that closes it (None: nothing does).

    With `denied`, `asked` is the payload of a DENIED record. A key that does not open leaves number, date of birth and
    family name out: rules that need them are silent, and the others still see the look-up.
    """
    caller = asked.get("caller") or {}
    behind = caller.get("onBehalfOf") or {}
    issuer, subject = str(caller.get("issuer")), str(behind.get("subject") or caller.get("subject"))
    roles = caller.get("roles") or ()
    told = closed or {}
    disclosed = told.get("disclosed") or {}
    number, born, surname = _stated(asked, keys)
    return SeenLookup(
        place=place,
        at_ms=at_ms,
        receipt=str(asked.get("receipt") or ""),
        person=intern(keys.opaque_id("person", issuer, subject)),
        organisation=_kept(caller.get("organisation")),
        team=_kept_or_none(caller.get("team")),
        role=_kept(behind.get("role") or (roles[0] if roles else "")),
        client=_kept(caller.get("client")),
        token=_kept(caller.get("token")),
        purpose=_kept(asked.get("purpose") or ""),
        reason=_kept(asked.get("reason") or ""),
        case_reference=_kept_or_none(asked.get("caseReference")),
        subject=_kept_or_none(asked.get("subject")),
        outcome=_kept(asked.get("code") if denied else told.get("outcome") or OPEN),
        denied=denied,
        relationship=_relationship(told, disclosed),
        overridden=asked.get("override") is not None and not denied,
        told=bool(disclosed.get("entries") or disclosed.get("sections")),
        involved=_involved(disclosed),
        number=number,
        born=born,
        surname=surname,
    )


def _kept(word: object) -> str:
    """Return a word as it is remembered for a month: one object, however many look-ups say it."""
    return intern(str(word))


def _kept_or_none(word: object) -> str | None:
    return None if word is None else _kept(word)


def _relationship(told: Mapping[str, Any], disclosed: Mapping[str, Any]) -> str:
    """Return on what the access rested, as far as the answer showed it.

    What was kept from the asker (of a shielded child, for one) must not explain their access to their own reviewers
    either: that it is explained would tell them of it. An appointment is no secret of the child's.
    """
    found = str(told.get("relationship") or "NONE")
    shown = disclosed.get("entries") or disclosed.get("sections")
    return intern(found) if shown or found == "APPOINTED" else "NONE"


def _involved(disclosed: Mapping[str, Any]) -> tuple[str, ...]:
    entries = disclosed.get("entries") or ()
    people = (entry.get("practitioner") or {} for entry in entries)
    return tuple(_kept(held) for person in people if (held := person.get("registration")))


def _stated(asked: Mapping[str, Any], keys: AuditKeys) -> tuple[str | None, date | None, str | None]:
    sealed, receipt = asked.get("key"), asked.get("receipt")
    if not sealed or not receipt:
        return None, None, None
    try:
        number, born, name = keys.decrypt(sealed, about=_KEY + str(receipt).encode()).split("\n", maxsplit=2)
        return number, date.fromisoformat(born), folded(name)
    except (NotDecrypted, ValueError):
        return None, None, None
