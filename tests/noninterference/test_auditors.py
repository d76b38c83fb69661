"""The auditors of whoever asked read the same of it in two worlds: the log tells no more than the answers did."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any, Final

import pytest

from gateway import auditing
from gateway.audit.index_tables import Flag
from schema.auditing import AuditFlag
from tests.auditing.conftest import EVENTS
from tests.noninterference.gateways import Running, Tokens, body_of
from tests.noninterference.runner import run_pairs
from tests.noninterference.table import ORGANISATIONS

PAIRS: Final = int(os.environ.get("CONTACTPOINT_TEST_AUDITED_PAIRS", "60"))
_OWN: Final = ("id", "at", "receipt", "covered")
"""What differs by design: when it was, and what is random."""


async def read_all(world: Running, tokens: Tokens, organisation: str) -> list[dict[str, Any]]:
    """Return every event of an organisation, page after page."""
    headers = {"Authorization": tokens.auditor(organisation), "Accept": "*/*", "Content-Type": "application/json"}
    found: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        variables = {"filter": {"kind": ["LOOKUP", "REFUSAL"]}, "first": 50, "after": after}
        response = await world.post(body_of(EVENTS, variables), headers)
        page = json.loads(response.content)["data"]["auditEvents"]
        found += [edge["node"] for edge in page["edges"]]
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]


def receipts_of(world: Running, requests: frozenset[str]) -> frozenset[str]:
    """Return the receipts of the lookups of some requests."""
    payloads = [record.payload or {} for record in world.records()]
    return frozenset(payload["receipt"] for payload in payloads if payload.get("request") in requests)


def told_apart(folder: Path, pairs: int) -> tuple[int, list[str]]:
    """Return how many events were compared, and which of them an auditor could tell apart."""
    compared, found = 0, []

    async def audit(one: Running, two: Running, tokens: Tokens, watched: frozenset[str]) -> None:
        nonlocal compared
        seen = receipts_of(one, watched) | receipts_of(two, watched)
        for organisation in ORGANISATIONS:
            first, second = [
                [event for event in await read_all(world, tokens, organisation) if event["receipt"] in seen]
                for world in (one, two)
            ]
            if len(first) != len(second):
                found.append(f"{organisation}: {len(first)} and {len(second)} events")
            for left, right in zip(_in_order(first), _in_order(second), strict=False):
                if _hung_on_the_machine(left) or _hung_on_the_machine(right):
                    continue
                compared += 1
                found.extend(
                    f"{organisation}: {name} is {left[name]} and {right[name]}"
                    for name in left
                    if name not in _OWN and left[name] != right[name]
                )

    asyncio.run(run_pairs(folder, 11, pairs, after=audit))
    return compared, found


def _hung_on_the_machine(event: dict[str, Any]) -> bool:
    """Whether a source's answer was a matter of how busy this machine was, which differs between the worlds."""
    return any(source["reason"] in {"TIMEOUT", "CIRCUIT_OPEN", "OVERLOADED"} for source in event["sources"])


def _in_order(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return events in an order of their own: two that began in one millisecond may be told either way."""
    return sorted(events, key=lambda event: event["at"])


def test_no_auditor_can_tell_two_worlds_apart(
    tmp_path: Path, record_testsuite_property: pytest.RecordPropertyFunction | Any
) -> None:
    compared, found = told_apart(tmp_path, PAIRS)

    record_testsuite_property("events compared by auditors", compared)
    record_testsuite_property("events that an auditor could tell apart", len(found))
    assert found == []
    assert compared >= PAIRS // 2


@pytest.mark.parametrize(("leak", "pairs"), [("that a source shields the child", 200), ("what was held back", 40)])
def test_a_leak_through_the_log_is_caught(
    tmp_path: Path, leak: str, pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Controls: what the log alone knows, told to auditors."""
    if leak == "what was held back":
        monkeypatch.setattr(auditing, "_rules", lambda kind, first, closing: [str(closing.get("heldBack"))])
    else:
        told = {**auditing._FLAGS, AuditFlag.UNREADABLE: Flag.SHIELDED | Flag.UNCORROBORATED}
        monkeypatch.setattr(auditing, "_flags", lambda event: [w for w, flag in told.items() if flag & event.flags])

    assert told_apart(tmp_path, pairs)[1] != []
