"""No answer, however odd, makes a connector raise: one member of one good answer is changed into anything at all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.base import Ask, Deadline, FieldMask
from schema.records import Answered, NoAnswer
from schema.vocabulary import PurposeClass
from tests.connectors.contract.cases import Case, networked_cases
from tests.connectors.contract.transports import Recording

every_networked_case = pytest.mark.parametrize("case", networked_cases(), ids=lambda case: case.driver)

REMOVED = object()
anything = st.one_of(
    st.just(REMOVED),
    st.none(),
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(["", "2026-02-30", "2026-02", "\u202egnp", "a\nb", "9990000018", "https://evil.example/", "#x"]),
    st.lists(st.none() | st.integers() | st.text(max_size=5), max_size=3),
    st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=5), max_size=3),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in children:
        yield from places(inner, (*path, key))


def changed(value: Any, path: tuple[Any, ...], to: Any) -> Any:
    if not path:
        return None if to is REMOVED else to
    key, *rest = path
    items = dict(value) if isinstance(value, dict) else list(value)
    if not rest and to is REMOVED:
        del items[key]
    else:
        items[key] = changed(value[key], tuple(rest), to)
    return items


@every_networked_case
@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_one_member_changed_into_anything_gives_an_answer_or_none_and_never_an_exception(
    case: Case, data: st.DataObject
) -> None:
    subject = case.held[0]
    turn = data.draw(st.integers(0, 8), label="turn")

    def source(request: httpx.Request) -> httpx.Response:
        nonlocal turn
        response = case.source(request)
        turn -= 1
        if turn != -1:
            return response
        body = json.loads(response.content)
        path = data.draw(st.sampled_from(list(places(body))), label="path")
        body = changed(body, path, data.draw(anything, label="value"))
        headers = {"Content-Type": response.headers["content-type"]}
        return httpx.Response(response.status_code, headers=headers, content=json.dumps(body).encode())

    async def ask() -> Any:
        connector = case.connect(Recording(source))
        an_ask = Ask("3f0d0a5e-0000-4000-8000-000000000001", None, PurposeClass.SAFEGUARDING, Deadline.after(5), None)
        return await connector.involvements([subject], FieldMask(connector.manifest.holds), an_ask)

    answers = asyncio.run(ask())

    assert set(answers) == {subject}
    assert isinstance(answers[subject], Answered | NoAnswer)
