"""`kill -9` of a whole PostgreSQL under load: every answer that a client got has its OUTCOME when the server is back.

CONTACTPOINT_TEST_DATABASE_KILLS sets how often (3); the longer proof takes more.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest

from gateway.storage.engine import open_engine
from tests.end_to_end.load import Lives, Load, audit_verify, records_at, unrecorded, wait_until_ready
from tests.end_to_end.world import DemoWorld
from tests.fixtures.postgresql import OWNER, SUPERUSER, PostgreSQLServer, running_server
from tests.progress import Progress

pytestmark = pytest.mark.network

KILLS = int(os.environ.get("CONTACTPOINT_TEST_DATABASE_KILLS", "3"))
OF_A_LOG = 10
CONTROL_KILLS = 15


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQLServer]:
    """A server of its own: the one of the run is not killed."""
    with running_server() as running:
        yield running


def kill_whole(server: PostgreSQLServer) -> None:
    """Kill every process of the server at once, so that none of them can flush what another left."""
    assert server.process is not None
    postmaster = server.process.pid
    for pid in [postmaster, *_children(postmaster)]:
        os.kill(pid, signal.SIGKILL)
    server.kill()


def _children(parent: int) -> list[int]:
    tasks = Path(f"/proc/{parent}/task").glob("*/children")
    return [int(pid) for each in tasks for pid in each.read_text().split()]


def killed_servers(
    world: DemoWorld, server: PostgreSQLServer, folder: Path, kills: int, *flags: str, seed: int = 0
) -> Mapping[str, Any]:
    """Run a gateway under load, kill its database so often, and return what came of it."""
    moments = random.Random(seed)
    url = server.url(server.database())
    survived = 0
    codes: list[int] = []
    with Lives(world.settings, folder, *flags, url=url) as lives:
        load = Load(world, lives.url)
        with load.running():
            pid = lives.start()
            for _ in range(kills):
                load.answered.clear()
                assert load.answered.wait(20), "nobody was answered"
                time.sleep(moments.uniform(0.0, 0.4))
                kill_whole(server)
                # whoever was in the middle of a commit has to stop; whoever was not may wait for the server
                ended = lives.ends_within(pid, 1.0)
                server.start()
                if ended or lives.ends_within(pid, 1.0):
                    codes.append(lives.ended())
                    pid = lives.start()
                else:
                    survived += 1
                    wait_until_ready(lives.url)
            assert lives.end(pid, signal.SIGTERM) == 0
    return {
        "kills": kills,
        "answers": len(load.received),
        "practitioners": sum(len(each.names) for each in load.received),
        "lost": len(unrecorded(load.received, records_at(url))),
        "verified": audit_verify(folder),
        "survived": survived,
        "codes": codes,
        "odd": [text for text in load.odd if not text.startswith("503 ")],
    }


def test_whenever_the_database_is_killed_every_answer_has_its_outcome_when_it_is_back(
    everything: DemoWorld,
    server: PostgreSQLServer,
    tmp_path: Path,
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    def work(step: str) -> Mapping[str, Any]:
        number, kills = map(int, step.split())
        folder = tmp_path / str(number)
        folder.mkdir()
        return killed_servers(everything, server, folder, kills, seed=number)

    steps = [f"{first // OF_A_LOG} {min(OF_A_LOG, KILLS - first)}" for first in range(0, KILLS, OF_A_LOG)]
    found = Progress.of_this_proof("postgresql").run(steps, work)

    codes = [code for each in found for code in each["codes"]]
    survived = sum(each["survived"] for each in found)
    record_testsuite_property("kills of the whole PostgreSQL under load", sum(each["kills"] for each in found))
    record_testsuite_property("answers received whole", sum(each["answers"] for each in found))
    record_testsuite_property("practitioners in them", sum(each["practitioners"] for each in found))
    record_testsuite_property("of these without a durable OUTCOME", sum(each["lost"] for each in found))
    record_testsuite_property(
        "what the gateway did", f"stopped with exit code 70: {codes.count(70)}; waited for the server: {survived}"
    )
    record_testsuite_property(
        "audit verify at the end of each log: exit 0",
        f"{[each['verified'] for each in found].count(0)} of {len(found)}",
    )
    for each in found:
        assert each["lost"] == 0
        assert each["odd"] == []
        assert each["verified"] == 0
        assert each["answers"] > each["kills"]
    assert set(codes) <= {70}


def test_a_gateway_that_commits_asynchronously_is_caught(
    everything: DemoWorld,
    server: PostgreSQLServer,
    tmp_path: Path,
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    """The control."""
    lost, kills, answers = 0, 0, 0
    while not lost and kills < CONTROL_KILLS:
        folder = tmp_path / str(kills)
        folder.mkdir()
        found = killed_servers(everything, server, folder, 1, "--asynchronous", seed=kills)
        kills, lost, answers = kills + 1, found["lost"], answers + found["answers"]

    record_testsuite_property(
        "control: lost with synchronous_commit=off", f"{lost} of {answers} answers, in {kills} kills"
    )
    assert lost > 0


def test_a_database_that_commits_asynchronously_by_default_does_not_for_the_gateway(
    everything: DemoWorld, server: PostgreSQLServer, tmp_path: Path
) -> None:
    name = server.database()
    with psycopg.connect(server.url(name, SUPERUSER), autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET synchronous_commit TO off".encode())
    with psycopg.connect(server.url(name, OWNER)) as connection:
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("off",)
    engine = open_engine(server.url(name))
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
    engine.dispose()
