"""What is hidden still shows: in an error, in whether others are told, and behind somebody else's shield."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from connectors.base import Ask, Connector, FieldMask, Manifest
from connectors.faults import SourceFailed
from connectors.memory import MemoryConnector
from schema.identifiers import NHSNumber
from schema.records import Answer, IdentityClaim, SubjectRef
from schema.vocabulary import AgencyKind, InvolvementStatus, RefusalReason, Sensitivity, SourceReason
from tests.fixtures.sources import BORN, CHILD, FAMILY, known, row, source
from tests.fixtures.world import running_world

pytestmark = pytest.mark.anyio

TRACE = IdentityClaim(BORN, (FAMILY,))


class _Around:
    def __init__(self, inner: Connector) -> None:
        self.inner = inner

    @property
    def manifest(self) -> Manifest:
        return self.inner.manifest

    async def involvements(
        self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask
    ) -> Mapping[SubjectRef, Answer]:
        return await self.inner.involvements(subjects, mask, ask)

    async def health(self, ask: Ask) -> bool:
        return await self.inner.health(ask)

    async def shields(self, ask: Ask) -> frozenset[NHSNumber] | None:
        return await self.inner.shields(ask)

    async def aclose(self) -> None:
        await self.inner.aclose()


class _ListUnread(_Around):
    @property
    def manifest(self) -> Manifest:
        return replace(self.inner.manifest, lists_shields=True)

    async def shields(self, ask: Ask) -> frozenset[NHSNumber] | None:
        raise SourceFailed(SourceReason.CONNECT, "CONNECT")


class _Slow(_Around):
    def __init__(self, inner: Connector, seconds: float) -> None:
        super().__init__(inner)
        self.seconds = seconds

    async def involvements(
        self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask
    ) -> Mapping[SubjectRef, Answer]:
        await asyncio.sleep(self.seconds)
        return await self.inner.involvements(subjects, mask, ask)


def _kept_a_year(*answers: Any) -> MemoryConnector:
    made = source("police-amber", *answers, kind=AgencyKind.POLICE, organisation="amber-police")
    return MemoryConnector(replace(made.manifest, retention_days=365), {a.subject: a for a in answers})


@pytest.mark.parametrize("sensitivity", [Sensitivity.STANDARD, Sensitivity.SENSITIVE])
async def test_work_that_ended_at_the_end_of_time_does_not_show_as_an_error(
    tmp_path: Path, sensitivity: Sensitivity
) -> None:
    """9999-12-31 is what many systems write for "no end"; adding the retention to it overflows."""
    ended = row("old", status=InvolvementStatus.PREVIOUS, ended_on=date(9999, 12, 31), sensitivity=sensitivity)
    council = source("cs-amber", known(CHILD, trace=TRACE))
    async with running_world(tmp_path, council, _kept_a_year(known(CHILD, ended))) as world:
        told = await world.ask()

    assert (told.status, told.code) == (200, None)


async def test_a_wrong_name_for_a_child_with_such_work_reads_as_an_unknown_child(tmp_path: Path) -> None:
    ended = row("old", status=InvolvementStatus.PREVIOUS, ended_on=date(9999, 12, 31))
    async with running_world(tmp_path, _kept_a_year(known(CHILD, ended))) as world:
        told = await world.ask(family="Nobody")

    assert (told.status, told.code) == (200, None)


async def test_a_shielded_child_with_such_work_reads_as_an_unknown_child(tmp_path: Path) -> None:
    ended = row("old", status=InvolvementStatus.PREVIOUS, ended_on=date(9999, 12, 31))
    shielding = source("cs-brook", known(CHILD, shielded=True))
    async with running_world(tmp_path, shielding, _kept_a_year(known(CHILD, ended))) as world:
        told = await world.ask()

    assert (told.status, told.code) == (200, None)


@pytest.mark.parametrize("kind", [AgencyKind.POLICE, AgencyKind.HEALTH])
async def test_an_authority_does_not_lift_another_agencys_shield_by_adding_its_own(
    tmp_path: Path, kind: AgencyKind
) -> None:
    """docs/agreements.md: "the authority that alone set the shield"."""
    told = {}
    for own in (False, True):
        (folder := tmp_path / str(own)).mkdir()
        council = source("cs-amber", known(CHILD, row(), trace=TRACE, shielded=own), organisation="amber-council")
        other = source("other", known(CHILD, row("b"), shielded=True), kind=kind)
        async with running_world(folder, council, other) as world:
            told[own] = (await world.ask()).outcome

    assert told == {False: "NOTHING_DISCLOSABLE", True: "NOTHING_DISCLOSABLE"}


async def test_a_shield_of_an_authority_that_is_no_longer_configured_still_counts_as_anothers(tmp_path: Path) -> None:
    council = source("cs-amber", known(CHILD, row(), trace=TRACE, shielded=True), organisation="amber-council")
    async with running_world(tmp_path, council) as world:
        world.execute("INSERT INTO shield SELECT 'cs-brook', pseudonym, since FROM shield WHERE source = 'cs-amber'")
        told = await world.ask()

    assert told.outcome == "NOTHING_DISCLOSABLE"


async def test_an_unread_shield_list_does_not_tell_whether_its_source_knows_the_child(tmp_path: Path) -> None:
    """Two worlds that differ in a row that its source refuses to have told."""
    refused = row(refusal=next(iter(RefusalReason)), identity=None)
    health = source("health-amber", known(CHILD, row("h"), trace=TRACE), kind=AgencyKind.HEALTH)
    told = {}
    for name, held in {"refused": [known(CHILD, refused)], "unknown": []}.items():
        (folder := tmp_path / name).mkdir()
        async with running_world(folder, _ListUnread(source("cs-brook", *held)), health) as world:
            told[name] = (await world.ask()).outcome

    assert told["refused"] == told["unknown"]


async def test_an_answer_that_ends_in_an_error_leaves_at_the_beat_too(tmp_path: Path) -> None:
    """`accessMatrix(first: 0)` beside a lookup fails after the agencies were asked, whatever they said.

    A token that ends during the lookup does the same, without any further scope.
    """
    document = (
        "query Q($key: ChildKey!, $access: AccessRequest!) "
        "{ child(key: $key, access: $access) { outcome } accessMatrix(first: 0) { totalCount } }"
    )
    variables = {
        "key": {"nhsNumber": str(CHILD), "dateOfBirth": str(BORN), "familyName": FAMILY},
        "access": {"purpose": "CP_S47", "reason": "A referral"},
    }
    slow = _Slow(source("cs-amber"), 0.1)
    async with running_world(tmp_path, slow, limits={"quiet_seconds": 0.5}) as world:
        began = time.monotonic()
        told = await world.post(document, variables, scope="involvement:read access:read")
        spent = time.monotonic() - began

    assert told.code == "BAD_USER_INPUT"
    # either nobody was asked, or the time tells nothing of what they did
    assert spent < 0.1 or spent >= 0.5
