"""The routes beside /graphql, the wiring, and how the gateway starts and ends."""

from __future__ import annotations

import asyncio
import fcntl
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
import sqlalchemy as sa

from auth.keys import KeysUnavailable
from gateway import app as wiring
from gateway.audit.events import EventKind
from gateway.audit.index_tables import event_index
from gateway.configured import build_sources, fetch_keys, key_sources, load_agreements
from gateway.demo.configuration import demo_settings
from gateway.demo.folder import FolderInUse
from gateway.duty import Duty
from gateway.errors import Overloaded
from gateway.front import asgi
from gateway.front.authentication import authenticator, metadata_url
from gateway.graphql.query import sdl
from gateway.settings import Settings, SettingsFault
from gateway.storage.errors import DurabilityNotMet, StorageError
from schema.vocabulary import Scope
from tests.fixtures.sources import CHILD, FailingSource, RaisingSource, Remembering, known, row, source
from tests.fixtures.token_factory import AUDIENCE, ISSUER
from tests.gateway.conftest import Running

pytestmark = pytest.mark.anyio


def council() -> Any:
    return source("cs-amber", known(CHILD, row()), organisation="amber-council")


async def test_the_process_is_alive_and_ready_while_the_log_can_be_written(running: Running) -> None:
    async with running(council()) as world:
        alive, ready = await world.client.get("/livez"), await world.client.get("/readyz")

    assert (alive.status_code, alive.json()) == (200, {"status": "alive"})
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert set(ready.json()["checks"].values()) == {True}


async def test_neither_liveness_nor_readiness_tells_of_a_source_whose_circuit_is_open(running: Running) -> None:
    async with running(FailingSource(council())) as world:
        before = [await world.client.get(path) for path in ("/livez", "/readyz")]
        told = [(await world.ask()).sources["cs-amber"] for _ in range(6)]
        after = [await world.client.get(path) for path in ("/livez", "/readyz")]

    assert told[-1] == "NO_ANSWER CIRCUIT_OPEN"
    assert [(each.status_code, each.content) for each in after] == [(each.status_code, each.content) for each in before]
    assert [each.status_code for each in after] == [200, 200]


async def test_readiness_ends_with_the_log_and_with_durability_and_liveness_does_not(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_durable(_: object) -> None:
        raise DurabilityNotMet("no")

    async with running(council()) as world:
        with monkeypatch.context() as patched:
            patched.setattr("gateway.front.operations.assert_durable", not_durable)
            not_durable_now = await world.client.get("/readyz")
        world.gateway.log.close()
        closed = await world.client.get("/readyz")
        alive = await world.client.get("/livez")

    assert (not_durable_now.status_code, not_durable_now.json()["checks"]["durability"]) == (503, False)
    assert (closed.status_code, closed.json()["checks"]["audit"]) == (503, False)
    assert alive.status_code == 200


async def test_readiness_says_nothing_of_a_source(running: Running) -> None:
    async with running(RaisingSource(council())) as world:
        ready = await world.client.get("/readyz")

    assert ready.status_code == 200
    assert "cs-amber" not in ready.text


async def test_the_protected_resource_says_who_issues_tokens_for_it(running: Running) -> None:
    async with running() as world:
        plain = await world.client.get("/.well-known/oauth-protected-resource")
        deep = await world.client.get("/.well-known/oauth-protected-resource/graphql")

    assert plain.json() == deep.json()
    assert plain.json()["resource"] == AUDIENCE
    assert plain.json()["authorization_servers"] == [ISSUER]
    assert set(plain.json()["scopes_supported"]) == {s.value for s in Scope}


async def test_the_sdl_is_for_a_token_with_its_scope(running: Running) -> None:
    async with running() as world:
        nobody = await world.client.get("/schema.graphql")
        without = await world.client.get("/schema.graphql", headers=world.headers())
        allowed = await world.client.get("/schema.graphql", headers=world.headers(scope="schema:read"))

    assert nobody.status_code == 401
    assert nobody.headers["www-authenticate"].startswith("Bearer ")
    assert (without.status_code, without.json()["errors"][0]["extensions"]["code"]) == (403, "FORBIDDEN")
    assert without.json()["errors"][0]["message"] == "The schema is told to tokens with the scope schema:read."
    assert (allowed.status_code, allowed.text) == (200, sdl())


async def test_metrics_hold_nothing_of_a_person(running: Running) -> None:
    async with running(council()) as world:
        await world.ask()
        metrics = await world.client.get("/metrics")

    assert metrics.status_code == 200
    assert CHILD not in metrics.text
    assert "amber-worker" not in metrics.text


async def test_a_request_that_is_refused_for_another_cause_leaves_no_record(running: Running) -> None:
    async with running() as world:
        await world.client.post("/graphql", json={"query": "{ nonsense }"}, headers=world.headers())
        await world.client.post("/graphql", content=b"no json", headers=world.headers())
        kinds = world.kinds()

    assert kinds == []


async def test_two_authorization_headers_are_a_bad_request(running: Running) -> None:
    async with running() as world:
        bearer = world.headers()["Authorization"]
        told = await world.client.post(
            "/graphql", json={"query": "{ __typename }"}, headers=[("Authorization", bearer), ("Authorization", bearer)]
        )

    assert told.status_code == 400
    assert 'error="invalid_request"' in told.headers["www-authenticate"]


async def test_without_any_keys_a_token_cannot_be_judged_and_the_caller_is_asked_to_come_back() -> None:
    class Keyless:
        async def authenticate(self, authorization: object) -> Any:
            raise KeysUnavailable

    class Recent:
        overdue = False

    with pytest.raises(Overloaded) as refused:
        await authenticator(Keyless(), "https://gateway.example/metadata", Recent())([])  # type: ignore[arg-type]
    assert refused.value.status == 503


async def test_closing_lets_answers_end_and_closes_every_source(running: Running) -> None:
    remembering = Remembering(council())
    async with running(remembering) as world:
        await world.ask()

    assert remembering.closed
    assert world.gateway.log.ready is False
    assert world.fatal == []


async def test_what_is_done_to_the_database_is_done_by_one_process_for_all(running: Running) -> None:
    async with running(council()) as world:

        def done() -> tuple[int, int]:
            lists = sum(r.payload["action"] == "SHIELDS_LOADED" for r in world.records(EventKind.ADMIN) if r.payload)
            with world.gateway.engine.connect() as connection:
                return lists, connection.scalar(sa.select(sa.func.count()).select_from(event_index)) or 0

        await world.ask()
        before = done()
        other = Duty(world.gateway.engine, world.gateway.log)
        assert other.had()
        for _, work in asgi.timers(world.gateway):
            await work()
        assert done() == before
        other.close()

        for _, work in asgi.timers(world.gateway):
            await work()
        assert done()[0] > before[0]
        assert done()[1] > before[1]


async def test_a_timer_that_fails_is_logged_by_type_and_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    runs = []

    async def work() -> None:
        runs.append(1)
        raise RuntimeError(f"quotes {CHILD}")

    task = asyncio.ensure_future(asgi.every(0, work))
    for _ in range(20):
        await asyncio.sleep(0)
    task.cancel()

    printed = capsys.readouterr()
    assert len(runs) > 1
    assert "timer_failed" in printed.out
    assert CHILD not in printed.out


# ---------------------------------------------------------------------------------------------------------- wiring


def settings(**sections: Any) -> Settings:
    return Settings(resource={"identifier": AUDIENCE}, **sections)  # type: ignore[arg-type]


def entry(tmp_path: Path, name: str = "school-elm", **differs: Any) -> dict[str, Any]:
    (tmp_path / "school.json").write_text("[]")
    usual = {
        "id": name,
        "name": "Elm School",
        "kind": "SCHOOL",
        "driver": "memory",
        "organisation": "elm-school",
        "records": str(tmp_path / "school.json"),
    }
    return usual | differs


def broker(*connectors: str) -> dict[str, Any]:
    return {"id": "hub", "name": "Hub", "kind": "CHILDRENS_SERVICES", "connectors": connectors, "phone": "01632 960900"}


def test_sources_are_built_in_order_with_their_broker_and_switch(tmp_path: Path) -> None:
    found = build_sources(
        settings(connectors=(entry(tmp_path, "b"), entry(tmp_path, "a", enabled=False)), brokers=(broker("a"),))
    )

    assert [(s.id, s.enabled, s.broker.id if s.broker else None) for s in found] == [
        ("b", True, None),
        ("a", False, "hub"),
    ]


def test_every_fault_of_every_entry_is_told_and_no_value(tmp_path: Path) -> None:
    with pytest.raises(SettingsFault) as refused:
        build_sources(
            settings(
                connectors=(
                    entry(tmp_path, "a", driver="carrier-pigeon"),
                    entry(tmp_path, "b", kind="SECRET-KIND"),
                    entry(tmp_path, "c"),
                    entry(tmp_path, "c"),
                    {"driver": "memory"},
                )
            )
        )

    faults = refused.value.faults
    assert faults[0].startswith("connectors[a].driver: is none of ")
    assert any(f.startswith("connectors[b].kind: ") for f in faults)
    assert "connectors[c].id: stands twice" in faults
    assert any(f.startswith("connectors[4].") for f in faults)
    assert "SECRET-KIND" not in str(refused.value)


def test_two_gateways_on_one_database_write_two_shards_under_one_key(tmp_path: Path) -> None:
    with_database = {"database": {"url": f"sqlite:///{tmp_path}/gateway.db"}}
    (tmp_path / "link.db").symlink_to(tmp_path / "gateway.db")
    by_link = with_database | {"database": {"url": f"sqlite:///{tmp_path}/link.db"}}
    key = {"audit": {"key_file": tmp_path / "key"}}

    first = wiring.build(settings(**with_database, **key))
    second = wiring.build(settings(**by_link, **key))

    assert first.log.shard != second.log.shard
    assert first.keys.key_id == second.keys.key_id
    for each in (first, second):
        asyncio.run(each.close())


def test_a_second_demo_on_a_running_ones_folder_rewrites_nothing_there(tmp_path: Path) -> None:
    (tmp_path / "jwks.json").write_text("of the first")
    unused: Any = None

    with (tmp_path / "demo.lock").open("w") as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        with pytest.raises(FolderInUse, match="another demo"):
            demo_settings(tmp_path, "http://127.0.0.1:1", unused, unused, unused, 1, "127.0.0.1")

    assert (tmp_path / "jwks.json").read_text() == "of the first"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["demo.lock", "jwks.json"]


def test_a_gateway_that_cannot_be_built_says_why(tmp_path: Path) -> None:
    (tmp_path / "gateway.db").write_text("no database " * 200)

    with pytest.raises(StorageError, match="cannot be read as a database"):
        wiring.build(settings(database={"url": f"sqlite:///{tmp_path}/gateway.db"}))


def test_a_database_that_is_no_file_needs_a_key_that_all_gateways_share(tmp_path: Path) -> None:
    with pytest.raises(SettingsFault, match=r"audit\.key_file"):
        wiring.build(settings(database={"url": "postgresql://contactpoint@/nowhere"}))


def test_a_broker_of_a_connector_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsFault, match=r"brokers\.connectors: z is not a connector"):
        build_sources(settings(connectors=(entry(tmp_path, "a"),), brokers=(broker("a", "z"),)))


def test_an_issuer_without_keys_and_agreements_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsFault, match=r"issuers\[0\]: "):
        key_sources(settings(issuers=({"issuer": ISSUER},)))
    with pytest.raises(SettingsFault, match="no such directory"):
        load_agreements(settings(agreements={"directory": tmp_path / "nowhere"}))
    assert load_agreements(settings()).agreements


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        ("https://a.example/graphql", "https://a.example/.well-known/oauth-protected-resource/graphql"),
        ("https://a.example", "https://a.example/.well-known/oauth-protected-resource"),
        ("https://a.example:8443/x?y=z", "https://a.example:8443/.well-known/oauth-protected-resource/x"),
    ],
)
def test_the_metadata_stands_at_the_identifiers_origin(identifier: str, expected: str) -> None:
    assert metadata_url(Settings(resource={"identifier": identifier})) == expected  # type: ignore[arg-type]


async def test_a_key_set_is_fetched_whole_and_only_when_it_is_served_and_small() -> None:
    with respx.mock() as http:
        http.get("https://id.example/jwks").mock(return_value=httpx.Response(200, content=b"{}"))
        http.get("https://id.example/gone").mock(return_value=httpx.Response(404))
        http.get("https://id.example/moved").mock(
            return_value=httpx.Response(302, headers={"Location": "https://id.example/jwks"})
        )
        http.get("https://id.example/huge").mock(return_value=httpx.Response(200, content=b"x" * 70_000))

        assert await fetch_keys("https://id.example/jwks") == b"{}"
        for path in ("gone", "moved"):
            with pytest.raises(OSError, match="not served"):
                await fetch_keys(f"https://id.example/{path}")
        with pytest.raises(OSError, match="too large"):
            await fetch_keys("https://id.example/huge")


def test_storage_that_fails_ends_the_process_by_a_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr("gateway.app.os.kill", lambda pid, number: sent.append((pid, number)))
    wiring._stop()

    assert len(sent) == 1
