"""Tokens that are refused before they end: what is revoked, how soon that is known, and what holds when it is not."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from gateway import app as wiring
from gateway.__main__ import main
from gateway.audit.events import EventKind
from gateway.audit.indexed import person_of
from gateway.audit.records import read_records
from gateway.revocations import (
    KEPT_SECONDS,
    MOST_SECONDS,
    OVERDUE_SECONDS,
    Revocable,
    Revocation,
    Revocations,
    forget_revocations,
    revoke,
)
from gateway.storage.engine import open_engine
from gateway.storage.tables import revocation
from tests.fixtures.migrated import lay_out
from tests.fixtures.sources import CHILD, known, row, source
from tests.fixtures.token_factory import AUDIENCE, CLIENT, ISSUER, OTHER_ISSUER, TokenFactory
from tests.fixtures.world import Told, World
from tests.gateway.conftest import Running

pytestmark = pytest.mark.anyio

PERSON = "amber-worker-17"
SYSTEM = TokenFactory().on_behalf_of(subject=PERSON)


def council() -> Any:
    return source("cs-amber", known(CHILD, row()), organisation="amber-council")


class Steady:
    """A clock that goes forward when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def revoked(
    world: World, what: Revocable, identifier: str, *, issuer: str = ISSUER, ago: float = 0, read: bool = True
) -> Revocation:
    """Revoke as the command does, some time ago, and let this process read the list."""
    found = Revocation.of(world.gateway.keys, what, issuer, identifier, time.time() - ago)
    await revoke(world.gateway.log, found, issuer, "an operator")
    if read:
        await world.gateway.revocations.read()
    return found


async def asked(world: World, **claims: Any) -> Told:
    return await world.ask(headers={"X-Request-ID": "6f1cf0a6-5d2f-4f5c-8d7c-3d8d4f1f7a01"}, **claims)


@pytest.mark.parametrize(
    ("what", "identifier", "claims"),
    [
        pytest.param(Revocable.TOKEN, "the-token", {"jti": "the-token"}, id="token"),
        pytest.param(Revocable.PERSON, PERSON, {}, id="person"),
        pytest.param(Revocable.PERSON, PERSON, SYSTEM, id="person-behind-a-system"),
        pytest.param(Revocable.CLIENT, CLIENT, {}, id="client"),
        pytest.param(Revocable.CLIENT, CLIENT, SYSTEM, id="client-of-its-own"),
    ],
)
async def test_what_is_revoked_is_refused_as_any_bad_token_is_though_it_was_seen_before(
    running: Running, what: Revocable, identifier: str, claims: dict[str, Any]
) -> None:
    async with running(council()) as world:
        again = {"jti": "one-id", **claims, "iat": int(time.time()) - 60, "exp": int(time.time()) + 240}
        before = await asked(world, **again)
        await revoked(world, what, identifier)
        after = await asked(world, **again)
        bad = await asked(world, aud="https://another.example")

    refused = [record.payload for record in world.records(EventKind.DENIED)]
    assert (before.status, after.status, after.code) == (200, 401, "UNAUTHENTICATED")
    assert after.response.content == bad.response.content
    assert after.response.headers == bad.response.headers
    assert [denied["code"] for denied in refused if denied] == ["TOKEN REVOKED", "TOKEN AUDIENCE"]


@pytest.mark.parametrize(
    ("what", "identifier", "how"),
    [
        pytest.param(Revocable.TOKEN, "another-token", {}, id="another-token"),
        pytest.param(Revocable.PERSON, "somebody-else", {}, id="somebody-else"),
        pytest.param(Revocable.CLIENT, "another-client", {}, id="another-client"),
        pytest.param(Revocable.PERSON, CLIENT, {}, id="a-person-named-like-the-client"),
        pytest.param(Revocable.CLIENT, PERSON, {}, id="a-client-named-like-the-person"),
        pytest.param(Revocable.PERSON, PERSON, {"issuer": OTHER_ISSUER}, id="of-another-issuer"),
        pytest.param(Revocable.PERSON, PERSON, {"ago": 120}, id="issued-since"),
        pytest.param(Revocable.TOKEN, "the-token", {"ago": KEPT_SECONDS + 1}, id="no-longer-kept"),
    ],
)
async def test_who_is_not_meant_is_not_refused(
    running: Running, what: Revocable, identifier: str, how: dict[str, Any]
) -> None:
    async with running(council()) as world:
        await revoked(world, what, identifier, **how)
        told = await world.ask(jti="the-token")

    assert told.status == 200


async def test_who_signs_in_within_the_tolerance_of_clocks_is_refused_still(running: Running) -> None:
    async with running(council()) as world:
        await revoked(world, Revocable.PERSON, PERSON, ago=25)
        now = int(time.time())
        told = await world.ask(iat=now, exp=now + 240)

    assert told.status == 401


async def test_a_revocation_is_read_without_anybody_telling_this_process(running: Running) -> None:
    async with running(council()) as world:
        await revoked(world, Revocable.PERSON, PERSON, read=False)
        async with asyncio.timeout(30):
            while True:
                if (await world.ask()).status == 401:
                    return
                await asyncio.sleep(0.05)


async def test_a_request_has_an_overdue_list_read_first(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Steady()
    monkeypatch.setattr(wiring, "Revocations", partial(Revocations, clock=clock))
    async with running(council()) as world:
        await revoked(world, Revocable.PERSON, PERSON, read=False)
        clock.now += OVERDUE_SECONDS + 1
        told = await world.ask()

    assert told.status == 401


async def test_nobody_is_let_in_once_the_list_could_not_be_read_for_too_long(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Steady()
    monkeypatch.setattr(wiring, "Revocations", partial(Revocations, clock=clock))
    async with running(council()) as world:
        world.execute("ALTER TABLE revocation RENAME TO elsewhere")
        clock.now += MOST_SECONDS
        still = await world.ask()
        clock.now += 1
        refused, bad = await world.ask(), await world.ask(aud="https://another.example")
        world.execute("ALTER TABLE elsewhere RENAME TO revocation")
        again = await world.ask()

    assert still.status == 200
    assert (refused.status, refused.code) == (503, "OVERLOADED")
    assert refused.response.headers["retry-after"] == "5"
    assert bad.status == 401, "what is wrong with a token is known without the list"
    assert [k for k in world.kinds() if k != "DENIED"] == ["INTENT", "OUTCOME"] * 2, (
        "of the one before, and the one after"
    )
    assert again.status == 200


async def test_a_lookup_under_way_discloses_nothing_once_the_list_is_too_old(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Steady()
    monkeypatch.setattr(wiring, "Revocations", partial(Revocations, clock=clock))
    async with running(council()) as world:
        gather = world.gateway.lookups.gathering.tree

        async def late(*given: Any) -> Any:
            tree = await gather(*given)
            clock.now += MOST_SECONDS + 1
            return tree

        monkeypatch.setattr(world.gateway.lookups.gathering, "tree", late)
        told = await world.ask()

    assert (told.status, told.code) == (503, "OVERLOADED")
    assert "Brook" not in told.response.text


async def test_the_list_and_the_log_hold_pseudonyms_and_the_log_the_one_of_the_person(running: Running) -> None:
    async with running(council()) as world:
        made = await revoked(world, Revocable.PERSON, PERSON)
        with world.gateway.engine.connect() as connection:
            rows = connection.execute(sa.select(revocation)).all()
        admin = world.payload(EventKind.ADMIN)

    assert PERSON not in repr(rows)
    assert admin["action"] == "TOKENS_REVOKED"
    assert (admin["by"], admin["revoked"]["what"]) == ("an operator", "PERSON")
    assert admin["revoked"]["id"] == made.digest == person_of(world.gateway.keys, ISSUER, PERSON)
    assert PERSON not in json.dumps(admin)


async def test_an_earlier_word_does_not_shorten_a_later_one_and_what_refuses_nothing_is_forgotten(
    running: Running,
) -> None:
    def kept(world: World) -> dict[str, int]:
        with world.gateway.engine.connect() as connection:
            return {row.digest: row.issued_until for row in connection.execute(sa.select(revocation))}

    async with running(council()) as world:
        later = await revoked(world, Revocable.PERSON, PERSON)
        await revoked(world, Revocable.PERSON, PERSON, ago=100)
        await revoked(world, Revocable.PERSON, "long-ago", ago=2 * 3600)
        both = kept(world)
        forget_revocations(world.gateway.engine, time.time())
        left = kept(world)

    assert (len(both), both[later.digest]) == (2, later.issued_until)
    assert left == {later.digest: later.issued_until}


# ------------------------------------------------------------------------------------------------------- the command


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "jwks.json").write_bytes(TokenFactory().jwks())
    path = tmp_path / "gateway.toml"
    path.write_text(
        f'[resource]\nidentifier = "{AUDIENCE}"\n[[issuers]]\nissuer = "{ISSUER}"\njwks_file = "jwks.json"\n'
        '[database]\nurl = "sqlite:///gateway.db"\n'
    )
    lay_out(tmp_path / "gateway.db")
    return path


Run = Callable[..., Result]


@pytest.fixture
def run(file: Path) -> Run:
    def invoke(*arguments: str, given: str | bytes = "") -> Result:
        return CliRunner().invoke(main, ["revoke", *arguments, "--config", str(file)], input=given)

    return invoke


def listed(file: Path) -> list[Any]:
    engine = open_engine(f"sqlite:///{file.parent}/gateway.db")
    with engine.connect() as connection:
        rows = list(connection.execute(sa.select(revocation)))
    engine.dispose()
    return rows


def test_the_command_puts_it_on_the_list_and_on_the_log_and_repeats_no_identifier(file: Path, run: Run) -> None:
    told = run("person", PERSON, "--json")
    from_input = run("token", "-", given="-a-token\n")
    with_hyphen = run("token", "-a-token")
    engine = open_engine(f"sqlite:///{file.parent}/gateway.db")
    admin = [r.payload for r in read_records(engine) if r.kind is EventKind.ADMIN and r.payload]
    engine.dispose()

    assert told.exit_code == from_input.exit_code == with_hyphen.exit_code == 0, told.output
    assert json.loads(told.stdout)["revoked"] == "person"
    assert "within 10 seconds" in from_input.stdout
    assert len(listed(file)) == 2, "the same token twice is one"
    assert [p["revoked"]["what"] for p in admin if p["action"] == "TOKENS_REVOKED"] == ["PERSON", "TOKEN", "TOKEN"]
    for said in (told.output, from_input.output, with_hyphen.output, json.dumps(admin)):
        assert PERSON not in said
        assert "a-token" not in said


@pytest.mark.parametrize(
    ("arguments", "given", "said"),
    [
        (("person",), "", "give one ID"),
        (("person", "Pat", "Secret-Name"), "", "give one ID"),
        (("person", "Secret-Name", "--jsn"), "", "give one ID"),
        (("person", ""), "", "printable"),
        (("person", "Secret\nName"), "", "printable"),
        (("person", "Secret" * 50), "", "printable"),
        (("token", "-"), "Secret\nSecret\n", "printable"),
        (("token", "-"), b"\xff", "UTF-8"),
        (("Secret-Name", "x"), "", "one of: token, person, client"),
        (("person", "Secret-Name", "--issuer", "https://Secret.example"), "", "none of the configured issuers"),
    ],
)
def test_a_mistake_has_one_line_which_repeats_nothing_and_revokes_nobody(
    file: Path, run: Run, arguments: tuple[str, ...], given: str | bytes, said: str
) -> None:
    result = run(*arguments, given=given)

    assert (result.exit_code, result.stderr.count("\n")) == (2, 1), result.output
    assert said in result.stderr
    assert "Secret" not in result.output
    assert listed(file) == []


def test_the_issuer_is_to_be_given_where_there_are_several(file: Path, run: Run) -> None:
    file.write_text(file.read_text() + f'[[issuers]]\nissuer = "{OTHER_ISSUER}"\njwks_file = "jwks.json"\n')

    unsaid, chosen = run("person", PERSON), run("person", PERSON, "--issuer", OTHER_ISSUER)

    assert (unsaid.exit_code, chosen.exit_code) == (2, 0)
    assert "give --issuer: 2 issuers" in unsaid.stderr


def test_without_a_database_there_is_nothing_to_revoke_in(file: Path, run: Run) -> None:
    (file.parent / "gateway.db").unlink()

    assert run("person", PERSON).exit_code == 2
    assert not (file.parent / "gateway.db").exists()
