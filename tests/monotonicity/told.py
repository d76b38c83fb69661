"""What an answer tells, as a set of values, and what one answer tells that another did not.

A value is (path, about, leaf). `about` is the source's row for an entry, also for one that was joined into another, and
the agency for a section. The outcome, its advice and the receipt are no values of a child and are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.fixtures.world import Told

Value = tuple[str, str, Any]
_FRAME = {"outcome", "complete", "advice", "receipt", "sources", "involvements", "leadPractitioner"}
_LESS = {"DIRECT": 3, "TEAM_ONLY": 2, "NONE": 1}


@dataclass(frozen=True, slots=True)
class Rows:
    """What a test knows of the rows behind the entries that one person sees."""

    of_entry: Mapping[str, str]  # the opaque id of an entry -> row
    registered: Mapping[tuple[str, str], str]  # (registration number, source) -> row
    team_contacts: Mapping[str, frozenset[str]]  # row -> what is its team's own


@dataclass(frozen=True, slots=True)
class Seen:
    """One answer, read."""

    values: frozenset[Value]
    asked: frozenset[str]  # sources that were asked


def seen(told: Told, rows: Rows) -> Seen:
    """Return what an answer tells; a refusal tells nothing. Fails on an error of the gateway's own."""
    assert told.status < 500, told.body
    data = told.body.get("data")
    if not data:
        return Seen(frozenset(), frozenset())
    child = data["child"]
    values = set(_sections(child))
    for entry in [*child["involvements"], *filter(None, [child.get("leadPractitioner")])]:
        values |= set(_entry(entry, rows))
    values |= {("asOf", s["agency"]["id"], s["asOf"]) for s in child["sources"] if s["asOf"]}
    asked = {s["agency"]["id"] for s in child["sources"] if s["status"] != "NOT_ASKED"}
    return Seen(frozenset(values), frozenset(asked))


def added(before: Seen, after: Seen, rows: Rows) -> list[Value]:
    """Return the values that the second answer tells beyond the first, and the sources that only it asked.

    Three things may take another's place in an answer that tells less, and are not counted: the team's contact where
    the named practitioner's stood, the lesser mode of contact that goes with it, and another source's word where the
    answer has room for one (the child's family name).
    """
    beyond = [v for v in after.values - before.values if not _in_place_of_more(v, before, rows)]
    return [*beyond, *(("sources", source, "asked") for source in after.asked - before.asked)]


def _in_place_of_more(value: Value, before: Seen, rows: Rows) -> bool:
    path, about, leaf = value
    held = {v[2] for v in before.values if v[0] == path and v[1] == about}
    if path == "contact.mode":
        return any(_LESS.get(leaf, 9) < _LESS.get(h, 0) for h in held)
    if path in {"contact.phone", "contact.email"}:
        named = any(v[:2] == ("practitioner.name", about) for v in before.values)
        return bool(held) and named and leaf in rows.team_contacts[about]
    return about == "child" and bool(held)


def _entry(entry: Mapping[str, Any], rows: Rows) -> Iterator[Value]:
    own = rows.of_entry[entry["id"]]
    person = (entry.get("practitioner") or {}).get("registration")
    yield ("agency", own, entry["agency"]["id"])
    about = {own}
    if person:
        joined = [rows.registered[person["number"], s["id"]] for s in entry["sources"]]
        about |= set(joined)
        for row, source in zip(joined, entry["sources"], strict=True):
            yield ("agency", row, source["id"])
    told = {k: v for k, v in entry.items() if k not in {"id", "agency", "sources"}}
    for path, leaf in _leaves("", told):
        if path == "lead" and leaf is False:
            continue  # entries that are joined lead if one of them does
        for row in about:
            yield (path, row, leaf)


def _sections(child: Mapping[str, Any]) -> Iterator[Value]:
    for name, content in child.items():
        if name in _FRAME or content is None:
            continue
        fields = {name: content} if isinstance(content, list) else {f"{name}.{k}": v for k, v in content.items()}
        for path, value in fields.items():
            if value is None:
                continue
            for item in value if isinstance(value, list) else [value]:
                if not isinstance(item, Mapping):
                    yield (path, "child", item)
                    continue
                agency = item["agency"]["id"]
                for inner, leaf in _leaves("", {k: v for k, v in item.items() if k != "agency"}):
                    yield (f"{path}.{inner}", agency, leaf)


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(f"{path}.{name}" if path else name, inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(path, inner)
    elif value is not None:
        yield (path, value)
