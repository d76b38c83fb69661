"""Agreements changed on disk under a running gateway: a lapse, a malformed set, a repaired one, one half copied."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from auth import agreement_files, agreement_folder
from auth.agreement_files import load
from auth.agreement_folder import FilesRead, read
from connectors.base import Ask, Connector, FieldMask
from gateway import agreements_in_force
from gateway.agreements_in_force import AgreementsInForce
from gateway.audit.errors import AuditError
from gateway.audit.events import EventKind, unlisted_keys
from gateway.front.asgi import every
from schema.records import Answer, SubjectRef
from tests.fixtures.sources import CHILD, Remembering, known, row, source
from tests.fixtures.world import Terms, World, running_world

pytestmark = pytest.mark.anyio

CS = "cs-amber"
TERMS = Terms("kind:CHILDRENS_SERVICES")
FILE = f"{TERMS.name}.toml"


@pytest.fixture(autouse=True)
def _settles_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreements_in_force, "_SETTLED_SECONDS", 0.0)


def opened(folder: Path) -> Any:
    return running_world(folder, source(CS, known(CHILD, row())), agreements=(TERMS,))


class HeldSource(Remembering):
    """Says that it is asked, and answers when it is let go."""

    def __init__(self, inner: Connector) -> None:
        super().__init__(inner)
        self.begun, self.let_go = asyncio.Event(), asyncio.Event()

    async def _answers(self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask) -> Mapping[SubjectRef, Answer]:
        self.begun.set()
        await self.let_go.wait()
        return await super()._answers(subjects, mask, ask)


def rewrite(world: World, text: str, name: str = FILE) -> None:
    (world.folder / "agreements" / name).write_text(text, encoding="utf-8")


def actions(world: World, *wanted: str) -> list[dict[str, Any]]:
    found = [record.payload or {} for record in world.records(EventKind.ADMIN)]
    return [payload for payload in found if payload["action"] in (wanted or ("AGREEMENTS_LOADED",))]


def _line_of(text: str) -> int:
    return MALFORMED[: MALFORMED.index(text)].count("\n") + 1


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("contactpoint_agreement_reloads_total", {"outcome": outcome}) or 0.0


LAPSED = Terms("kind:CHILDRENS_SERVICES", review_on="2001-01-01").toml()
MALFORMED = TERMS.toml().replace('relationship = "NONE"', 'relationship = "SOMETIMES"')


async def test_an_agreement_that_lapses_on_disk_closes_its_source_and_opens_again_when_it_is_renewed(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as world:
        before = await world.ask()
        rewrite(world, LAPSED)
        unread = await world.ask()
        await world.gateway.agreements.look()
        closed = await world.ask()
        rewrite(world, TERMS.toml())
        await world.gateway.agreements.look()
        again = await world.ask()

    assert [told.outcome for told in (before, unread, again)] == ["DISCLOSED"] * 3
    assert closed.code == "FORBIDDEN"  # nothing else is open to them; the plan of the version before is not served


async def test_every_version_is_on_the_log_before_the_first_lookup_under_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        await world.ask()
        rewrite(world, TERMS.toml() + "\n# a word\n")
        await world.gateway.agreements.look()
        await world.ask()
        kinds = (EventKind.ADMIN, EventKind.INTENT)
        order = [
            (r.kind, (r.payload or {}).get("version") or (r.payload or {}).get("agreements", {}).get("version"))
            for r in world.records(*kinds)
            if r.kind is EventKind.INTENT or (r.payload or {})["action"] == "AGREEMENTS_LOADED"
        ]
        versions = [version for _, version in order]
        there = read(world.folder / "agreements").version

    assert [kind for kind, _ in order] == [EventKind.ADMIN, EventKind.INTENT] * 2
    assert versions[0] == versions[1] != versions[2] == versions[3] == there


async def test_a_malformed_set_leaves_the_last_good_one_in_force_and_says_where_the_fault_is(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        good, refused = world.gateway.agreements.current, counted("refused")
        rewrite(world, MALFORMED)
        assert not await world.gateway.agreements.look()
        told = await world.ask()
        ready = await world.client.get("/readyz")
        (record,) = actions(world, "AGREEMENTS_REFUSED")
        for _ in range(3):
            await world.gateway.agreements.look()
        again = actions(world, "AGREEMENTS_REFUSED")

    assert told.outcome == "DISCLOSED"
    assert ready.status_code == 200
    assert world.gateway.agreements.current is good
    assert (record["version"], record["detail"]) == (good.version, f"{FILE}:{_line_of('relationship = ')}")
    assert "SOMETIMES" not in str(record)
    assert unlisted_keys(EventKind.ADMIN, record) == set()
    assert again == [record]
    assert counted("refused") == refused + 1


async def test_a_repaired_set_is_taken_and_another_fault_is_told_anew(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        rewrite(world, MALFORMED)
        await world.gateway.agreements.look()
        rewrite(world, MALFORMED + "\n# a word\n")
        await world.gateway.agreements.look()
        rewrite(world, LAPSED)
        taken = await world.gateway.agreements.look()
        closed = await world.ask()
        rewrite(world, MALFORMED)
        await world.gateway.agreements.look()
        refusals = actions(world, "AGREEMENTS_REFUSED")

    assert taken
    assert closed.code == "FORBIDDEN"
    assert len(refusals) == 3


@pytest.mark.parametrize("missing", ["organisations.toml", "lawful-bases.toml", None])
async def test_a_set_of_which_something_is_gone_is_not_taken(tmp_path: Path, missing: str | None) -> None:
    async with opened(tmp_path) as world:
        folder = world.folder / "agreements"
        if missing is None:
            folder.rename(world.folder / "elsewhere")
        else:
            (folder / missing).unlink()
        await world.gateway.agreements.look()
        told = await world.ask()
        (record,) = actions(world, "AGREEMENTS_REFUSED")

    assert told.outcome == "DISCLOSED"
    assert record["detail"] == (missing or "agreements")


async def test_a_set_that_is_still_being_copied_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(tmp_path) as world:
        rewrite(world, LAPSED)
        begun, ended = read(world.folder / "agreements"), LAPSED + "\n# the rest of the copy\n"

        def copying(directory: Path) -> FilesRead:
            rewrite(world, ended)
            monkeypatch.setattr(agreement_folder, "read", read)
            return begun

        monkeypatch.setattr(agreement_folder, "read", copying)

        assert not await world.gateway.agreements.look()
        assert (await world.ask()).outcome == "DISCLOSED"


async def test_nothing_is_used_that_the_log_does_not_say_first(tmp_path: Path) -> None:
    class NoLog:
        async def append(self, *_: Any) -> None:
            raise AuditError("for a test")

    async with opened(tmp_path) as world:
        folder = world.folder / "agreements"
        good = load(folder)
        in_force = AgreementsInForce(folder, good, NoLog(), ())  # type: ignore[arg-type]
        rewrite(world, LAPSED)

        with pytest.raises(AuditError):
            await in_force.reload()

        assert in_force.current is good


async def test_a_fault_of_the_loader_itself_leaves_the_last_good_set_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(_: FilesRead) -> None:
        raise RecursionError("police.toml says SOMETIMES")

    async with opened(tmp_path) as world:
        monkeypatch.setattr(agreement_files, "parsed", breaks)
        assert not await world.gateway.agreements.reload()
        (record,) = actions(world, "AGREEMENTS_REFUSED")
        assert (await world.ask()).outcome == "DISCLOSED"

    assert "SOMETIMES" not in str(record)


async def _until(holds: Any) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_a_hangup_has_the_set_read_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        before = world.gateway.agreements.current.version
        rewrite(world, LAPSED)
        os.kill(os.getpid(), signal.SIGHUP)
        await _until(lambda: world.gateway.agreements.current.version != before)

        assert (await world.ask()).code == "FORBIDDEN"
        assert len(actions(world)) == 2


async def test_a_hangup_while_a_set_is_being_read_has_it_read_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is being read is what stood there before the files were in place."""
    async with opened(tmp_path) as world:
        before = world.gateway.agreements.current.version

        def put_in_place_too_late(folder: Path) -> FilesRead:
            early = read(folder)
            monkeypatch.setattr(agreement_folder, "read", read)
            rewrite(world, LAPSED)
            os.kill(os.getpid(), signal.SIGHUP)
            return early

        monkeypatch.setattr(agreement_folder, "read", put_in_place_too_late)
        os.kill(os.getpid(), signal.SIGHUP)
        await _until(lambda: world.gateway.agreements.current.version != before)

        assert (await world.ask()).code == "FORBIDDEN"


async def test_a_look_at_a_set_that_has_not_changed_leaves_no_record(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        assert not await world.gateway.agreements.look()
        assert not await world.gateway.agreements.reload()
        assert len(actions(world)) == 1


async def test_what_lapses_while_the_agencies_are_asked_does_not_leave(tmp_path: Path) -> None:
    """The set changes between INTENT and OUTCOME: the lookup ends without a disclosure, and says so on the log."""
    slow = HeldSource(source(CS, known(CHILD, row())))
    async with running_world(tmp_path, slow, agreements=(TERMS,)) as world:
        asking = asyncio.create_task(world.ask())
        await slow.begun.wait()
        rewrite(world, LAPSED)
        assert await world.gateway.agreements.look()
        slow.let_go.set()
        told = await asking
        kinds, outcome = world.kinds(), world.payload(EventKind.OUTCOME)

    assert (told.status, told.code) == (503, "OVERLOADED")
    assert kinds == ["INTENT", "OUTCOME"]
    assert (outcome["outcome"], outcome["disclosed"]) == ("FAILED", {"entries": [], "sections": []})


async def test_the_timer_finds_a_changed_set_by_itself(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        task = asyncio.create_task(_looking(world))
        rewrite(world, LAPSED)
        await _until(lambda: len(actions(world)) == 2)
        task.cancel()


async def _looking(world: World) -> None:
    await every(0.05, world.gateway.agreements.look)
