"""One demo world for all tests of a process; when it ends, the log is held against every answer that was given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_socket

from tests.end_to_end.accounts import unaccounted
from tests.end_to_end.world import DemoWorld, demo_world


@pytest.fixture(scope="session")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoWorld]:
    """The world; at its end every answer of the session must be on the log, neither more nor less."""
    data: Path = tmp_path_factory.mktemp("demo")
    with demo_world(data) as running:
        yield running
        # the last test of the process may have been one without sockets
        pytest_socket.enable_socket()
        assert unaccounted(running.exchanges, running.running.records()) == []


@pytest.fixture
def world(everything: DemoWorld) -> Iterator[DemoWorld]:
    """The running world, every agency well again after the test."""
    yield everything
    for agency in (
        everything.agencies.health,
        everything.agencies.police,
        everything.agencies.probation,
        everything.agencies.childrens_services,
    ):
        agency.faults.clear()
