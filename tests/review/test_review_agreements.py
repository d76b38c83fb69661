"""A changed set of agreements that opens more than it says, or is never read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from auth import agreement_files
from auth.agreement_folder import FilesRead
from auth.sharing import AgreementSet
from gateway import agreements_in_force
from gateway.audit.events import EventKind
from tests.fixtures.sources import CHILD, known, row, source
from tests.fixtures.world import Opening, Terms, running_world

pytestmark = pytest.mark.anyio

FILE = "kind-childrens_services.toml"


@pytest.mark.parametrize("key", ["organisations", "areas"])
async def test_an_emptied_list_does_not_open_to_everybody(tmp_path: Path, key: str) -> None:
    """`organisations`: "only these"; `areas`: "only for callers in one of these areas". None of them is nobody."""
    terms = Terms(
        "kind:CHILDRENS_SERVICES",
        (Opening(organisations=("brook-council",) if key == "organisations" else ()),),
        areas=("brook",) if key == "areas" else (),
    )
    async with running_world(tmp_path, source("cs-amber", known(CHILD, row())), agreements=[terms]) as world:
        assert (await world.ask()).code == "FORBIDDEN"
        file = world.folder / "agreements" / FILE
        words = file.read_text().replace('organisations = ["brook-council"]', "organisations = []")
        file.write_text(words.replace('areas = ["brook"]', "areas = []"))
        await world.gateway.agreements.reload()
        told = await world.ask()

    assert told.code == "FORBIDDEN"


async def test_a_set_that_is_complete_when_its_fault_is_noted_is_read_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read was half a file; what is remembered as refused is the version of the whole one."""
    monkeypatch.setattr(agreements_in_force, "_SETTLED_SECONDS", 0.01)
    real = agreement_files.parsed
    async with running_world(tmp_path, source("cs-amber", known(CHILD, row()))) as world:
        file = world.folder / "agreements" / FILE
        closing = file.read_text().replace('"social_worker"', '"gp"')
        file.write_text(closing[: len(closing) // 2])

        def the_copy_ends_meanwhile(files: FilesRead) -> AgreementSet:
            try:
                return real(files)
            finally:
                file.write_text(closing)

        monkeypatch.setattr(agreement_files, "parsed", the_copy_ends_meanwhile)
        await world.gateway.agreements.reload()
        monkeypatch.setattr(agreement_files, "parsed", real)
        for _ in range(3):
            await world.gateway.agreements.look()
        told = await world.ask()

    assert told.code == "FORBIDDEN"


async def test_a_file_whose_name_is_not_utf8_is_refused_on_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the timer fails every time, and nothing says that sets are no longer read."""
    monkeypatch.setattr(agreements_in_force, "_SETTLED_SECONDS", 0.01)
    async with running_world(tmp_path, source("cs-amber")) as world:
        os.close(os.open(os.fsencode(world.folder / "agreements") + b"/b\xff.toml", os.O_CREAT | os.O_WRONLY))
        await world.gateway.agreements.look()
        actions = [(record.payload or {})["action"] for record in world.records(EventKind.ADMIN)]

    assert "AGREEMENTS_REFUSED" in actions
