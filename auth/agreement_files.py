"""Reads a directory of agreements. Whatever cannot be read in full stops the loading, with file and line.

organisations.toml   the parties: [[organisation]] id, name, kind, area, appoints, audits
lawful-bases.toml    [[basis]] purpose, gateway, regime, recipient_regime, commenced (a date, or false)
*.toml               one agreement each
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from auth.agreement_folder import FilesRead, read
from auth.appointments import APPOINTABLE
from auth.paths import SCOPES
from auth.sharing import EVERY_ORGANISATION, Agreement, AgreementSet, Grant, LawfulBasis, Organisation
from schema.vocabulary import AgencyKind, Assurance, Purpose, ReadNotice, Regime, Relationship, Role

SHIPPED = Path(__file__).parent / "agreements"
ORGANISATIONS = "organisations.toml"
BASES = "lawful-bases.toml"

T = TypeVar("T")
_AT_LINE = re.compile(r"at line ([0-9]+)")


_AT_PATH = re.compile(r" - at `(\$[^`]*)`$")
_LAST_KEY = re.compile(r"([a-z_]+)(?:\[[^\]]*\])*$")
_QUOTED = re.compile(r"[`'](.*)[`']")
_EXPECTED = re.compile(r"^Expected `([^`]*)`")

_CHOICES: Mapping[str, tuple[str, type[StrEnum]]] = {
    "to": ("an agency kind", AgencyKind),
    "team_only": ("an agency kind", AgencyKind),
    "kind": ("an agency kind", AgencyKind),
    "roles": ("a role", Role),
    "purposes": ("a purpose", Purpose),
    "purpose": ("a purpose", Purpose),
    "relationship": ("a relationship", Relationship),
    "assurance": ("an assurance", Assurance),
    "read": ("a kind of read", ReadNotice),
    "appoints": ("a purpose", Purpose),
    "regime": ("a regime", Regime),
    "recipient_regime": ("a regime", Regime),
}
_TYPES: Mapping[str, str] = {
    "array": "a list",
    "array | null": "a list",
    "bool | date": "a date, or false",
    "date": "a date",
    "date | bool": "a date, or false",
    "object": "a table",
    "str": "a text",
    "str | null": "a text",
}


class AgreementsUnreadable(ValueError):
    """Files of the set are missing or malformed: `faults` has one for each file, naming file, line and rule.

    The text is the first of them. A name that is not UTF-8 is told with escapes, so that a log can hold it.
    """

    def __init__(self, *faults: str) -> None:
        self.faults = tuple(fault.encode("utf-8", "backslashreplace").decode("utf-8") for fault in faults)
        super().__init__(self.faults[0])

    @property
    def places(self) -> tuple[str, ...]:
        """Where the faults are, as file:line without the directory, and nothing of what stands there."""
        return tuple(Path(fault.partition(": ")[0]).name for fault in self.faults)


class _Organisation(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    name: str
    kind: AgencyKind
    area: str | None = None
    appoints: list[Purpose] = []
    audits: list[str] = []


class _Organisations(msgspec.Struct, forbid_unknown_fields=True):
    organisation: list[_Organisation] = []


class _Basis(msgspec.Struct, forbid_unknown_fields=True):
    purpose: Purpose
    gateway: str
    regime: Regime
    recipient_regime: Regime
    commenced: date | bool


class _Bases(msgspec.Struct, forbid_unknown_fields=True):
    basis: list[_Basis]


class _Grant(msgspec.Struct, forbid_unknown_fields=True):
    to: list[AgencyKind]
    roles: list[Role]
    purposes: list[Purpose]
    relationship: Relationship
    assurance: Assurance
    opens: list[str]
    organisations: list[str] | None = None  # absent is everybody of those kinds; empty is refused
    read: ReadNotice = ReadNotice.NOTIFY


class _Agreement(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    title: str
    custodian: str
    controller: str
    owner: str
    approver: str
    approved_on: date
    review_on: date
    grant: list[_Grant]
    areas: list[str] | None = None  # absent is everywhere; empty is refused
    impact_assessment: str | None = None
    team_only: list[AgencyKind] | None = None


def load(directory: Path) -> AgreementSet:
    """Return the set that a directory holds. Raises AgreementsUnreadable with the first fault of every file."""
    return parsed(read(directory))


def parsed(found: FilesRead) -> AgreementSet:
    """Return the set of one reading, under its version. Raises AgreementsUnreadable as `load` does."""
    directory = found.directory
    if found.faults:
        raise AgreementsUnreadable(*found.faults)
    texts = {name: _text(directory / name, content) for name, content in found.files.items()}
    for needed in (ORGANISATIONS, BASES):
        if needed not in texts:
            raise AgreementsUnreadable(f"{directory / needed}: missing")
    faults: list[str] = []

    def tried(made: Callable[[Path, str], T], name: str, text: str) -> T | None:
        try:
            return made(directory / name, text)
        except AgreementsUnreadable as fault:
            faults.extend(fault.faults)
            return None

    organisations = tried(_organisations, ORGANISATIONS, texts.pop(ORGANISATIONS))
    bases = tried(_bases, BASES, texts.pop(BASES))
    agreements: dict[str, Agreement] = {}
    named: dict[str, str] = {}
    for name, text in texts.items():
        if (agreement := tried(_agreement, name, text)) is None:
            continue
        if (other := named.setdefault(agreement.id, name)) != name:
            at = f"{directory / name}:{_line(text, '$.id')}"
            faults.append(f"{at}: two agreements are called {agreement.id}; the other is in {other}")
        agreements[name] = agreement
    if faults or organisations is None or bases is None:
        raise AgreementsUnreadable(*faults)
    return AgreementSet(found.version, organisations, bases, tuple(agreements.values()))


def _text(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise AgreementsUnreadable(f"{path}: cannot be read as UTF-8 text") from None


def _decode(path: Path, text: str, into: type[T]) -> T:
    try:
        raw: Mapping[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        at = _AT_LINE.search(str(fault))
        line = int(at[1]) if at else len(text.splitlines())
        raise AgreementsUnreadable(f"{path}:{line}: {fault}") from None
    except (ValueError, RecursionError):  # a number of too many digits, lists within lists
        raise AgreementsUnreadable(f"{path}:1: cannot be parsed") from None
    try:
        return msgspec.convert(raw, into)
    except msgspec.ValidationError as fault:
        where = str(fault).rpartition("`")[0].rpartition("`")[2]
        raise AgreementsUnreadable(f"{path}:{_line(text, where)}: {_in_our_words(str(fault))}") from None


def _in_our_words(fault: str) -> str:
    """Return what msgspec found as key and rule. Agreements hold no personal data, so a wrong word is repeated."""
    rule = _AT_PATH.sub("", fault)
    at, quoted, expected = _AT_PATH.search(fault), _QUOTED.search(rule), _EXPECTED.search(rule)
    last = _LAST_KEY.search(at[1]) if at else None
    key = last[1] if last else "file"
    if rule.startswith("Object missing") and quoted:
        return f"{quoted[1]}: is missing"
    if rule.startswith("Object contains unknown") and quoted:
        return f"{quoted[1]}: is not a field of this table"
    if rule.startswith("Invalid enum value") and quoted and key in _CHOICES:
        noun, choices = _CHOICES[key]
        return f"{key}: {quoted[1]} is not {noun}; there are {', '.join(choices)}"
    if expected and (words := _TYPES.get(expected[1])):
        return f"{key}: must be {words}"
    if "date" in rule:
        return f"{key}: must be a date, such as 2026-10-01{', or false' if key == 'commenced' else ''}"
    return f"{key}: is not a value that it may have"


def _line(text: str, where: str) -> int:
    """The line of a msgspec path such as `$.grant[2].roles[0]`, as near as a table header and key can tell."""
    table, _, rest = where.removeprefix("$.").partition("[")
    number = int(rest.partition("]")[0]) if rest[:1].isdigit() else 0
    key = rest.partition("].")[2].partition("[")[0] if rest else table
    lines = text.splitlines()
    headers = [i for i, line in enumerate(lines) if line.strip() == f"[[{table}]]"] if rest else [-1]
    if not headers:  # a list of words, not a table
        headers, number, key = [-1], 0, table
    start = headers[number] if number < len(headers) else 0
    for i in range(start + 1, len(lines)):
        if lines[i].strip().startswith("[["):
            break
        if key and lines[i].partition("=")[0].strip() == key:
            return i + 1
    return max(start + 1, 1)


def _organisations(path: Path, text: str) -> Mapping[str, Organisation]:
    found: dict[str, Organisation] = {}
    for number, entry in enumerate(_decode(path, text, _Organisations).organisation):
        if entry.id in found:
            raise AgreementsUnreadable(
                f"{path}:{_line(text, f'$.organisation[{number}].id')}: organisation {entry.id} stands twice"
            )
        for purpose in entry.appoints:
            if purpose not in APPOINTABLE:
                at = f"{path}:{_line(text, f'$.organisation[{number}].appoints')}"
                there = ", ".join(sorted(APPOINTABLE))
                raise AgreementsUnreadable(f"{at}: appoints: nobody is appointed for {purpose}; there are {there}")
        found[entry.id] = Organisation(
            entry.id, entry.name, entry.kind, entry.area, frozenset(entry.appoints), frozenset(entry.audits)
        )
    for number, organisation in enumerate(found.values()):
        for audited in sorted(organisation.audits - found.keys() - {EVERY_ORGANISATION}):
            at = f"{path}:{_line(text, f'$.organisation[{number}].audits')}"
            raise AgreementsUnreadable(f"{at}: audits: {audited} is no organisation of this file, and not *")
    return found


def _bases(path: Path, text: str) -> Mapping[Purpose, LawfulBasis]:
    found: dict[Purpose, LawfulBasis] = {}
    for number, entry in enumerate(_decode(path, text, _Bases).basis):
        at = f"{path}:{_line(text, f'$.basis[{number}].purpose')}"
        if entry.purpose in found:
            raise AgreementsUnreadable(f"{at}: purpose {entry.purpose} stands twice")
        if entry.commenced is True:
            raise AgreementsUnreadable(f"{at}: commenced is a date, or false")
        commenced = entry.commenced if isinstance(entry.commenced, date) else None
        found[entry.purpose] = LawfulBasis(
            entry.purpose, entry.gateway, entry.regime, entry.recipient_regime, commenced
        )
    return found


def _refuse_empty(words: list[Any] | None, path: Path, text: str, where: str, meaning: str) -> None:
    """A list from which everything was taken says nobody to who reads it, and would open to everybody."""
    if words == []:
        raise AgreementsUnreadable(f"{path}:{_line(text, where)}: {where.rpartition('.')[2]}: is empty; {meaning}")


def _agreement(path: Path, text: str) -> Agreement:
    raw = _decode(path, text, _Agreement)
    kind = raw.custodian.removeprefix("kind:")
    if raw.custodian.startswith("kind:") and kind not in AgencyKind.__members__:
        raise AgreementsUnreadable(f"{path}:{_line(text, '$.custodian')}: custodian names no agency kind")
    if raw.review_on <= raw.approved_on:
        raise AgreementsUnreadable(f"{path}:{_line(text, '$.review_on')}: the review date is not after the approval")
    _refuse_empty(raw.areas, path, text, "$.areas", "leave it out to mean callers of every area")
    _refuse_empty(raw.team_only, path, text, "$.team_only", "leave it out to keep the practitioner from nobody")
    for number, grant in enumerate(raw.grant):
        meaning = "leave it out to mean every organisation of those kinds"
        _refuse_empty(grant.organisations, path, text, f"$.grant[{number}].organisations", meaning)
        at = f"{path}:{_line(text, f'$.grant[{number}].opens')}"
        if not (grant.to and grant.roles and grant.purposes and grant.opens):
            raise AgreementsUnreadable(f"{at}: a grant needs to, roles, purposes and opens")
        for opened in grant.opens:
            if opened not in SCOPES:
                raise AgreementsUnreadable(f"{at}: {opened} is not a path that can be opened")
    return Agreement(
        id=raw.id,
        title=raw.title,
        custodian=raw.custodian,
        controller=raw.controller,
        owner=raw.owner,
        approver=raw.approver,
        approved_on=raw.approved_on,
        review_on=raw.review_on,
        areas=frozenset(raw.areas or ()),
        impact_assessment=raw.impact_assessment,
        team_only=frozenset(raw.team_only or ()),
        grants=tuple(
            Grant(
                kinds=frozenset(g.to),
                organisations=frozenset(g.organisations or ()),
                roles=frozenset(g.roles),
                purposes=frozenset(g.purposes),
                relationship=g.relationship,
                assurance=g.assurance,
                opens=frozenset(g.opens),
                silent=g.read is ReadNotice.SILENT,
            )
            for g in raw.grant
        ),
    )
