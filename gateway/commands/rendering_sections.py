"""The deeper records of an answer, one line each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Row = tuple[str, str, str, str]

# what it is called, where it stands in the answer, the fields that make its entry, the field that dates it
_LINES: tuple[tuple[str, tuple[str, ...], tuple[str, ...], str | None], ...] = (
    ("Status", ("childrensServices", "statuses"), ("status", "until"), "since"),
    (
        "Plan",
        ("childrensServices", "plans"),
        ("kind", "endedOn", "reviewDueOn", "conferenceOn", "coreGroupOn"),
        "startedOn",
    ),
    ("Police event", ("police", "events"), ("kind", "status", "closedOn"), "openedOn"),
    (
        "Police power or order",
        ("police", "orders"),
        ("kind", "endedOn", "unit", "phone", "outOfHours"),
        "startedOn",
    ),
    ("Police notification", ("police", "notifications"), ("kind", "recipient"), "sentOn"),
    (
        "Supervision of a linked adult",
        ("probation", "supervision"),
        ("kind", "until", "allocated", "establishment"),
        "since",
    ),
    (
        "Risk registration of a linked adult",
        ("probation", "risk"),
        ("code", "description", "reviewDueOn"),
        "startedOn",
    ),
    ("Risk to children, a linked adult", ("probation", "riskToChildren"), ("level",), "assessedOn"),
    ("MAPPA, a linked adult", ("probation", "mappa"), ("level", "category", "reviewDueOn"), "startedOn"),
    ("Registered with", ("health", "registration"), ("practice", "practiceName"), "since"),
    (
        "Safeguarding flag",
        ("health", "safeguarding"),
        ("code", "until", "authority", "phone", "outOfHours"),
        "since",
    ),
    ("Assessment", ("assessments",), ("kind", "holder"), "completedOn"),
)
_LABELS = {
    "level": "level ",
    "category": "category ",
    "holder": "held by ",
    "until": "until ",
    "endedOn": "ended ",
    "closedOn": "closed ",
    "reviewDueOn": "review due ",
    "conferenceOn": "conference ",
    "coreGroupOn": "core group ",
    "unit": "through ",
    "outOfHours": "out of hours ",
    "recipient": "told to ",
    "establishment": "at ",
}
_ALLOCATED = {True: "officer allocated", False: "officer not yet allocated"}


def section_rows(child: Mapping[str, Any]) -> Iterator[Row]:
    """Yield what, agency, entry and date for every deeper entry that the answer holds."""
    identity = child.get("identity")
    if identity:
        name = " ".join([*(identity.get("givenNames") or ()), identity.get("familyName") or ""]).strip()
        born = identity.get("dateOfBirth")
        yield "The child, as traced", "", ", ".join(filter(None, [name, f"born {born}" if born else ""])), ""
    for what, path, names, dated in _LINES:
        for item in _items(child, path):
            parts = (_part(name, item[name]) for name in names if item.get(name) is not None)
            agency = (item.get("agency") or {}).get("name", "")
            yield what, str(agency), ", ".join(parts), str((item.get(dated) if dated else None) or "")


def _part(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return _ALLOCATED[value]
    return f"{_LABELS.get(name, '')}{value}"


def _items(child: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[Mapping[str, Any]]:
    found: Any = child
    for name in path:
        found = (found or {}).get(name)
    yield from (item for item in found or () if isinstance(item, Mapping))
