"""The deeper records of an answer, one line each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Row = tuple[str, str, str, str]

# what it is called, where it stands in the answer, the fields that make its entry, the field that dates it
_LINES: tuple[tuple[str, tuple[str, ...], tuple[str, ...], str | None], ...] = (
    ("Status", ("childrensServices", "statuses"), ("status",), "since"),
    ("Plan", ("childrensServices", "plans"), ("kind",), "startedOn"),
    ("Police event", ("police", "events"), ("kind", "status"), "openedOn"),
    ("Police power or order", ("police", "orders"), ("kind",), "startedOn"),
    ("Supervision of a linked adult", ("probation", "supervision"), ("kind",), "since"),
    ("Risk registration of a linked adult", ("probation", "risk"), ("code", "description"), None),
    ("MAPPA, a linked adult", ("probation", "mappa"), ("level", "category"), None),
    ("Registered with", ("health", "registration"), ("practice",), "since"),
    ("Safeguarding flag", ("health", "safeguarding"), ("code",), "since"),
    ("Assessment", ("assessments",), ("kind", "holder"), "completedOn"),
)
_LABELS = {"level": "level ", "category": "category ", "holder": "held by "}


def section_rows(child: Mapping[str, Any]) -> Iterator[Row]:
    """Yield what, agency, entry and date for every deeper entry that the answer holds."""
    identity = child.get("identity")
    if identity:
        name = " ".join([*(identity.get("givenNames") or ()), identity.get("familyName") or ""]).strip()
        born = identity.get("dateOfBirth")
        yield "The child, as traced", "", ", ".join(filter(None, [name, f"born {born}" if born else ""])), ""
    for what, path, names, dated in _LINES:
        for item in _items(child, path):
            parts = (f"{_LABELS.get(name, '')}{item[name]}" for name in names if item.get(name) is not None)
            agency = (item.get("agency") or {}).get("name", "")
            yield what, str(agency), ", ".join(parts), str((item.get(dated) if dated else None) or "")


def _items(child: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[Mapping[str, Any]]:
    found: Any = child
    for name in path:
        found = (found or {}).get(name)
    yield from (item for item in found or () if isinstance(item, Mapping))
