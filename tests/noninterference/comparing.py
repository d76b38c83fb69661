"""What a viewer could observe of one lookup in two worlds, compared; and what the oracle lets them read in it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any

from tests.noninterference.gateways import Response
from tests.noninterference.operations import ENTRIES, FRAME
from tests.noninterference.oracle import Low, rights
from tests.noninterference.pairs import Pair, Step, differing
from tests.noninterference.staging import Call
from tests.noninterference.table import BY_ID, SECTION_FIELDS, SOURCES

_RECEIPT = re.compile(rb'"receipt":"[A-Za-z0-9_-]{22}"')
_PER_REQUEST = {"date"}


def entries_are_known_again(step: Step) -> bool:
    """Whether entries that stand in several places of the body can be joined by their ids, or stand in one place."""
    child = next(selected for selected in step.operation.shape.root if selected.name == "child")
    lists = [selected for selected in child.children or () if selected.read and selected.name in ENTRIES]
    with_id = [any(c.name == "id" and c.read for c in selected.children or ()) for selected in lists]
    return len(lists) < 2 or all(with_id)


def comparable(response: Response) -> tuple[int, list[tuple[str, str]], bytes]:
    """Return everything of a response but its receipt, which is random by design and always of one length."""
    headers = sorted((name, value) for name, value in response.headers if name.lower() not in _PER_REQUEST)
    return response.status, headers, _RECEIPT.sub(b'"receipt":""', response.content)


def differences(first: Response, second: Response) -> Iterator[str]:
    one, two = comparable(first), comparable(second)
    if one[0] != two[0]:
        yield f"status {one[0]} and {two[0]}"
    if one[1] != two[1]:
        yield f"headers {sorted(set(one[1]) ^ set(two[1]))}"
    if one[2] != two[2]:
        yield "body"
    elif len(first.content) != len(second.content):
        yield "length"


def observed(step: Step, one: list[Call], two: list[Call]) -> Iterator[str]:
    """What the agencies see: the first call of each source in the same words, and all calls of the viewer's own.

    And what circuits count: how often a source failed shows in the lookup in which its circuit opens.
    """
    if _first_wave(one) != _first_wave(two):
        yield "the first asks of the sources"
    if Counter(c.source for c in one if c.failed) != Counter(c.source for c in two if c.failed):
        yield "the failures that circuits count"
    # Declared: a source about adults is asked of whom children's services name before anything is decided of the child,
    # so its own people can see in its own logs that an adult was asked about.
    about_child = [source for source in SOURCES if not source.about_adults]
    mine = {source.id for source in about_child if source.organisation == step.viewer.organisation}
    if [c for c in one if c.source in mine] != [c for c in two if c.source in mine]:
        yield "the calls of the viewer's own organisation"


def _first_wave(calls: list[Call]) -> dict[str, tuple[Any, ...]]:
    found: dict[str, tuple[Any, ...]] = {}
    for call in calls:
        # of a source about adults one can only say that it was called: with an adult, or for its health
        what = () if BY_ID[call.source].about_adults else (call.about, call.mask)
        found.setdefault(call.source, (*what, call.asker, call.purpose_class, call.silent))
    return found


def untold(step: Step, data: Mapping[str, Any], low: Low) -> Iterator[str]:
    """Values in the body that the oracle does not let this viewer know."""
    allowed = _allowed(low)
    for read, value in step.operation.shape.leaves(data):
        path = read.replace("leadPractitioner.", "involvements.")
        if path.partition(".")[0] in FRAME or path.endswith("__typename"):
            continue
        if path in {"involvements.id", "involvements.agency.area"}:
            if not low.rows:
                yield f"a value of {path} that may not be known"
        elif _plain(value) not in allowed.get(path, ()):
            yield f"a value of {path} that may not be known: {value}"


def _allowed(low: Low) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}

    def add(path: str, value: Any) -> None:
        found.setdefault(path, set()).add(_plain(value))

    def add_agency(path: str, source: str) -> None:
        add(f"{path}.id", source)
        add(f"{path}.name", "Amber Safeguarding Hub" if source == "broker" else source.upper())
        add(f"{path}.kind", "CHILDRENS_SERVICES" if source == "broker" else BY_ID[source].kind)

    for _, _, fields in low.rows:
        for name, value in fields:
            if name == "agency":
                add_agency("involvements.agency", value)
                add_agency("involvements.sources", value)
            else:
                add(f"involvements.{name}", value)
    for path, source, value in low.sections:
        if path in SECTION_FIELDS:
            add_agency(f"{path}.agency", source)
            for item in value:
                for name, field_value in item:
                    add(f"{path}.{name}", field_value)
        else:
            add(path, list(value) if isinstance(value, tuple) else value)
    return found


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return value.isoformat() if isinstance(value, date) else json.dumps(value) if not isinstance(value, str) else value


def kind_of(step: Step, response: Response, body: Mapping[str, Any], low: Low) -> str:
    if (
        (errors := body.get("errors"))
        and errors[0]["extensions"]["code"] == "FORBIDDEN"
        and rights(step.viewer, step.operation.asked)
    ):
        return "forbidden where the oracle opens"
    if errors := body.get("errors"):
        return f"{response.status} {errors[0]['extensions']['code']}"
    return "told something" if low.rows or low.sections else "told nothing"


def story_of(pair: Pair, place: int, step: Step, first: Response, second: Response) -> str:
    """Return, for somebody who reads a failure, who asked what, what is held where, and both answers."""
    return "\n".join(
        (
            f"  step {place} of {len(pair.steps)}; no answer from {dict(step.down) or 'nobody'}",
            f"  viewer {step.viewer}",
            f"  asked {step.operation.asked}",
            f"  operation {step.operation.shape.document}",
            f"  variables {json.dumps(step.operation.variables, ensure_ascii=False)}",
            *(f"  differs: {each}" for each in differing(pair.one, pair.two)),
            f"  first  {first.status} {first.content.decode()}",
            f"  second {second.status} {second.content.decode()}",
        )
    )
