"""How a lookup is written: operations of many shapes, each with how its response is to be read.

Aliases, fragments, inline fragments, `@include` and `@skip` with variables, filters, sections, `viewer` beside the
lookup; now and then an operation that is refused for its input.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import lru_cache
from random import Random
from typing import Any

from tests.noninterference.facts import Asked
from tests.noninterference.table import IDENTITY, SECTION_FIELDS

CONTACT = ("mode", "phone", "email", "outOfHours", "expectedResponse")
AGENCY = {"id": None, "name": None, "kind": None, "area": None}
LEAD = {"safeguardingLead": dict.fromkeys(CONTACT)}
ENTRY: dict[str, Any] = {
    "id": None,
    "agency": AGENCY,
    "sources": {"id": None, "name": None},
    "service": {"code": None, "name": None},
    "practitioner": {"name": None, "role": None, "registration": {"body": None, "number": None}},
    "role": None,
    "team": {"name": None},
    "contact": dict.fromkeys(CONTACT),
    "status": None,
    "startedOn": None,
    "endedOn": None,
    "lead": None,
    "relationship": None,
    "lastConfirmedAt": None,
}
TYPES = {
    "child": "ChildLookup",
    "involvements": "Involvement",
    "leadPractitioner": "Involvement",
    "practitioner": "Practitioner",
    "contact": "Contact",
    "identity": "ChildIdentity",
    "police": "PoliceRecord",
    "health": "HealthRecord",
    "probation": "ProbationRecord",
    "childrensServices": "ChildrensServicesRecord",
    "assessments": "AssessmentPointer",
}
ENTRIES = ("involvements", "leadPractitioner")
FRAME = ("outcome", "complete", "advice", "sources", "receipt", "__typename")


@dataclass
class Selected:
    """One field of an operation, as it is written and as its value is read."""

    name: str
    key: str
    children: list[Selected] | None
    arguments: str = ""
    directive: str = ""
    read: bool = True  # False: a directive takes it away


@dataclass(frozen=True)
class Shape:
    """How an operation is written. `fields`: what its response may hold, as dotted paths below `child`."""

    document: str
    root: tuple[Selected, ...]
    fields: frozenset[str]
    previous: bool  # whether it selects ended work
    previous_alone: bool = False  # and nothing else of the entries: refused to those who may not know of it

    def leaves(self, data: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """Every value in the data of a response, with its path below `child`, however it was asked for."""
        for selected in self.root:
            if selected.name == "child":
                yield from _leaves(selected, data[selected.key], "")


@dataclass(frozen=True)
class Operation:
    """One request."""

    shape: Shape
    variables: Mapping[str, Any]
    accept: str
    asked: Asked
    spoiled: bool = False  # refused for its input

    @property
    def runs(self) -> bool:
        """Whether agencies are certainly asked, if this viewer may ask at all: nothing in it may be refused."""
        return not self.spoiled and not self.shape.previous_alone


def _leaves(selected: Selected, value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list) and selected.children is not None:
        for each in value:
            yield from _leaves(selected, each, path)
    elif selected.children is None or value is None:
        if value is not None:
            yield path, value
    else:
        for child in selected.children:
            if child.read:
                yield from _leaves(child, value[child.key], f"{path}.{child.name}" if path else child.name)


SHAPES = 120
"""How many shapes a seed has: gateways remember documents, and reading each anew would take most of a run's time."""


_TOKEN = re.compile(r"\w+|[^\w\s]")


@lru_cache(maxsize=4)
def shapes(seed: int) -> tuple[Shape, ...]:
    """Return the shapes of a seed."""
    rng = Random(f"shapes:{seed}")
    drawn = (_Writer(rng).shape() for _ in itertools.count())
    return tuple(itertools.islice((shape for shape in drawn if _is_small(shape)), SHAPES))


def _is_small(shape: Shape) -> bool:
    """Whether it keeps well within a gateway's limits, so that what it asks is certainly asked."""
    return len(_TOKEN.findall(shape.document)) < 740 and sum(_size(selected) for selected in shape.root) < 180


def _size(selected: Selected) -> int:
    return 1 + sum(_size(child) for child in selected.children or ())


def operation(rng: Random, seed: int, asked: Asked, today: date) -> Operation:
    """Return a lookup in one of the seed's shapes."""
    shape = rng.choice(shapes(seed))
    json = "application/json" if rng.random() < 0.25 else "application/graphql-response+json"
    variables, spoiled = _variables(rng, asked, today, "$yes" in shape.document)
    return Operation(shape, variables, json, replace(asked, previous=shape.previous), spoiled)


def _variables(rng: Random, asked: Asked, today: date, conditional: bool) -> tuple[dict[str, Any], bool]:
    key: dict[str, Any] = {
        "nhsNumber": asked.number,
        "dateOfBirth": asked.born.isoformat(),
        "familyName": asked.family,
    }
    access: dict[str, Any] = {"purpose": asked.purpose, "reason": "A referral"}
    if asked.override:
        access["override"] = {"justification": "A child at risk now", "acceptReview": asked.accepts_review}
    if rng.random() < 0.2:
        access["caseReference"] = "C-1"
    spoiled = rng.random()
    if spoiled < 0.006:
        key["dateOfBirth"] = (today - timedelta(days=30 * 366)).isoformat()
    elif spoiled < 0.010:
        key["dateOfBirth"] = (today + timedelta(days=9)).isoformat()
    elif spoiled < 0.014:
        access["reason"] = " "
    elif spoiled < 0.018:
        key["nhsNumber"] = asked.number[:-1] + str((int(asked.number[-1]) + 1) % 10)
    elif spoiled < 0.022:
        key["handle"] = "none"
    variables = {"key": key, "access": access} | ({"yes": True} if conditional else {})
    return variables, spoiled < 0.022


class _Writer:
    """Writes one shape."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.plain = rng.random() < 0.45
        self.aliases = self.directives = 0
        self.fragments: list[str] = []

    def shape(self) -> Shape:
        """Return the shape."""
        rng = self.rng
        child = self._child()
        root = [child]
        if rng.random() < 0.06:
            access = "access(purpose: CP_S47) { agency { id } field open relationship code requiredScopes }"
            root.append(Selected("viewer", "viewer", None, f" {{ subject roles {access} }}"))
        if rng.random() < 0.05:
            root.append(Selected("__typename", "__typename", None))
        text = " ".join([f"{{ {' '.join(self._written(selected) for selected in root)} }}", *self.fragments])
        declared = "$key: ChildKey!, $access: AccessRequest!"
        declared += ", $yes: Boolean!" if "$yes" in text else ""
        declared += ", $no: Boolean = false" if "$no" in text else ""
        lists = [c for c in child.children or () if c.read and c.name in ENTRIES]
        ended = [c for c in lists if "PREVIOUS" in c.arguments]
        return Shape(
            f"query Who({declared}) {text}",
            tuple(root),
            frozenset(_coordinates(child, "")),
            bool(ended),
            bool(lists) and all("[PREVIOUS]" in c.arguments for c in lists),
        )

    def _child(self) -> Selected:
        rng = self.rng
        inner = [Selected("outcome", "outcome", None)]
        inner += [Selected(name, name, None) for name in ("complete", "advice", "receipt") if rng.random() < 0.7]
        if rng.random() < 0.7:
            agency = AGENCY | (LEAD if rng.random() < 0.2 else {})
            inner.append(self._field("sources", {"agency": agency, "status": None, "reason": None, "asOf": None}))
        if rng.random() < 0.88:
            inner.append(self._entries("involvements"))
        if rng.random() < 0.12 and len(inner) < 6:
            inner.append(self._entries("involvements", key="again"))
        if rng.random() < 0.2:
            inner.append(self._entries("leadPractitioner"))
        sections: dict[str, Any] = {}
        often = rng.choice((0.0, 0.5, 0.97, 0.97, 0.97, 0.97))
        for path in (*IDENTITY, *SECTION_FIELDS):
            if rng.random() < often:
                record, _, name = path.partition(".")
                items = self._item(path)
                sections.setdefault(record, {})[name] = items
        for record, tree in sections.items():
            inner.append(self._field(record, tree.get("", tree)))
        if rng.random() < 0.06:
            inner.append(Selected("__typename", "__typename", None))
        if not self.plain:
            outcome, *rest = inner
            rng.shuffle(rest)
            inner = [outcome, *rest]
        alias = "asked" if not self.plain and rng.random() < 0.1 else "child"
        return Selected("child", alias, inner, "(key: $key, access: $access)")

    def _item(self, path: str) -> dict[str, Any] | None:
        if path in IDENTITY:
            return None
        fields = {name: None for name in SECTION_FIELDS[path] if self.rng.random() < 0.9}
        return {"agency": {"id": None, "name": None}} | fields

    def _entries(self, name: str, key: str | None = None) -> Selected:
        rng = self.rng
        whole = rng.random() < 0.6
        tree = {field: below for field, below in ENTRY.items() if whole or rng.random() < 0.5} or {"id": None}
        if rng.random() < 0.05:
            tree = {"__typename": None}
        selected = self._field(name, tree)
        selected.key = key or selected.key
        if name == "involvements":
            statuses = rng.choice(("[CURRENT, PREVIOUS]",) * 5 + ("[PREVIOUS]", "CURRENT", ""))
            kinds = rng.choice(("",) * 8 + ("[POLICE, HEALTH]", "[CHILDRENS_SERVICES, PRISON]"))
            given = [f"status: {statuses}"] * bool(statuses) + [f"agencyKinds: {kinds}"] * bool(kinds)
            selected.arguments = f"({', '.join(given)})" if given else ""
        return selected

    def _field(self, name: str, tree: Mapping[str, Any] | None) -> Selected:
        rng = self.rng
        children = None if tree is None else [self._field(field, below) for field, below in tree.items()]
        selected = Selected(name, name, children)
        if self.plain or name == "__typename":
            return selected
        if self.aliases < 8 and rng.random() < 0.06:
            self.aliases += 1
            selected.key = f"a{self.aliases}"
        # what is taken away may not leave a selection empty
        if self.directives < 10 and rng.random() < 0.05:
            self.directives += 1
            selected.directive = rng.choice(
                (" @include(if: $yes)", " @skip(if: $no)", " @include(if: $no)", " @skip(if: $yes)")
            )
            selected.read = selected.directive in {" @include(if: $yes)", " @skip(if: $no)"}
        return selected

    def _written(self, selected: Selected) -> str:
        alias = f"{selected.key}: " if selected.key != selected.name else ""
        head = f"{alias}{selected.name}{selected.arguments}{selected.directive}"
        if selected.children is None:
            return head
        written = [self._written(child) for child in selected.children]
        on = TYPES.get(selected.name)
        if not self.plain and on and len(written) > 2 and self.rng.random() < 0.25:
            # `outcome` comes first, and stays where it is
            cut = self.rng.randrange(1, len(written))
            moved = " ".join(written[cut:])
            if len(self.fragments) < 6 and self.rng.random() < 0.6:
                name = f"f{len(self.fragments)}"
                self.fragments.append(f"fragment {name} on {on} {{ {moved} }}")
                written = [*written[:cut], f"...{name}"]
            else:
                written = [*written[:cut], f"... on {on} {{ {moved} }}"]
        return f"{head} {{ {' '.join(written)} }}"


def _coordinates(selected: Selected, path: str) -> Iterator[str]:
    for child in selected.children or ():
        if child.read:
            name = "involvements" if not path and child.name in ENTRIES else child.name
            below = f"{path}.{name}" if path else name
            if child.children is None:
                yield below
            else:
                yield from _coordinates(child, below)
