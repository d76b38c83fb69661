"""A run of the whole application in this process over marked children, with every place collected that it writes to."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import pytest

from auth.keys import IssuerKeys
from gateway.audit.errors import AuditError
from gateway.audit.log import AuditLog
from gateway.budgets import Budgets
from gateway.graphql import execution
from gateway.settings import LimitsSection
from gateway.shields import DatabaseShields
from tests.canaries.asking import BORN, FAMILY, Asker, Overheard
from tests.canaries.marked import Canaries
from tests.canaries.sinks import MAY_STAND, Sinks, database_columns, files_under
from tests.end_to_end.world import logs_kept
from tests.fixtures.traces import telemetry, traces_kept
from tests.fixtures.world import EVERY_PATH, Opening, Terms, running_world
from tests.monotonicity.situations import PURPOSES, SOURCES, connectors

_NEVER_TOLD = {
    "child.answers.involvements.local_id",
    "child.answers.involvements.identity.family_names",
    "child.answers.involvements.identity.given_names",
}
_TOLD = ("child.answers.involvements.", "child.answers.sections.", "told.")


def may_stand(canaries: Canaries) -> dict[str, set[str]]:
    """Return what may stand in which place; in an answer what some grant tells, and nothing else of child or asker."""
    told = {kind for kind in canaries.kinds if kind.startswith(_TOLD)} - _NEVER_TOLD
    return {**MAY_STAND, "answers": told | {"asker.registration"}}  # their own, in the entry that is about them


async def run(
    folder: Path, rounds: int, seed: int, output: pytest.CaptureFixture[str]
) -> tuple[Canaries, Sinks, Asker]:
    """Ask so many rounds; return what was looked for, where, and the asker."""
    canaries, sinks = Canaries(), Sinks()
    canaries.add_digests(canaries.add("child.family", FAMILY))
    canaries.add("child.born", BORN.isoformat())
    for form in ("%Y%m%d", "%d/%m/%Y", "%d-%m-%Y"):
        canaries.add("child.born", BORN.strftime(form))
    (folder / "tmp").mkdir()
    (folder / "world").mkdir()
    output.readouterr()
    with logs_kept() as logged, _temporary_files_in(folder / "tmp"), traces_kept() as traces:
        async with _asker(folder / "world", canaries, sinks, Random(seed)) as asker:
            for index in range(rounds):
                await asker.round(index)
            await _in_trouble(asker, rounds)
            sinks.put("metrics", (await asker.world.client.get("/metrics")).content)
            sinks.put("traces", traces.text(asker.world.gateway))
        sinks.put("logs structured and of libraries", logged.getvalue())
    for stream, text in zip(("standard output", "standard error"), output.readouterr(), strict=True):
        sinks.put(stream, text)
    for column, content in database_columns(f"sqlite:///{folder}/world/gateway.db"):
        sinks.put(column, content)
    sinks.put("temporary files", b"")
    for name, content in files_under(folder / "tmp"):
        sinks.put(f"temporary files {name}", content)
    for name, content in files_under(folder / "world"):
        if not name.startswith("gateway.db"):
            sinks.put(f"files {name}", content)
    return canaries, sinks, asker


@asynccontextmanager
async def _asker(folder: Path, canaries: Canaries, sinks: Sinks, random: Random) -> AsyncIterator[Asker]:
    held = connectors()
    budget = {"minute": 10_000, "hour": 100_000, "day": 1_000_000}
    limits: dict[str, Any] = {"source_seconds": 0.06}
    limits |= {"person_overrides": budget} if "person_overrides" in LimitsSection.model_fields else {}
    everybody = Opening(
        opens=[path for path in EVERY_PATH if path != "involvements.practitioner"],
        to=("CHILDRENS_SERVICES", "HEALTH", "POLICE", "SCHOOL"),
        roles=("social_worker", "health_visitor", "police_safeguarding_officer"),
        purposes=PURPOSES,
    )
    named = Opening(opens=EVERY_PATH, purposes=PURPOSES, assurance="STRONG")
    agreements = [Terms(f"kind:{kind}", [everybody, named]) for kind in dict.fromkeys(kind for _, kind, *_ in SOURCES)]
    async with running_world(
        folder, *held.values(), agreements=agreements, limits=limits, sections=telemetry()
    ) as world:
        yield Asker(world, held, canaries, sinks, random)


async def _in_trouble(asker: Asker, index: int) -> None:
    """Look a child up while the gateway's own parts fail: each with the canaries in the text of what is raised."""
    child = asker.child(index)
    secret = f"{child!r} {child.number} {FAMILY}"

    async def once(target: Any, name: str, raised: BaseException) -> None:
        with patch.object(target, name, side_effect=raised):
            await asker.lookup(child, roles=["social_worker"])

    await once(AuditLog, "append", AuditError(secret))
    await once(AuditLog, "append", OSError(28, secret))
    await once(execution, "disclosed_fields", Overheard(secret))
    await once(Budgets, "charge", Overheard(secret))
    await once(DatabaseShields, "_shielding", Overheard(secret))
    await once(IssuerKeys, "key", Overheard(secret))
    failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    failed.set_exception(fault := Overheard(secret))
    unheard = {"message": "Task exception was never retrieved", "exception": fault, "future": failed}
    asyncio.get_running_loop().default_exception_handler(unheard)
    failed.exception()
    for table in ("shield", "budget", "audit_leaf"):
        asker.world.execute(f'ALTER TABLE "{table}" RENAME TO "gone_{table}"')
        await asker.lookup(child, roles=["social_worker"])
        if table != "audit_leaf":  # that one ended the log for good
            asker.world.execute(f'ALTER TABLE "gone_{table}" RENAME TO "{table}"')


@contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    with patch.object(tempfile, "tempdir", str(folder)):
        yield
