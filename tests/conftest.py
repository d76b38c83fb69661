"""Shared fixtures. Unit tests may not open a socket; a test that needs one says so with the `network` marker."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator

import hypothesis
import pytest
import uvloop  # noqa: F401 - it captures the socket class when imported, so before any test refuses sockets

from tests.fixtures.postgresql import postgresql_database, postgresql_server
from tests.recorded.listening import TALLY, listen, settle

__all__ = ["postgresql_database", "postgresql_server"]

listen()

# how long an example takes says something of the machine; what hypothesis does in continuous integration stays
_UNTIMED = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
hypothesis.settings.register_profile("untimed", hypothesis.settings(), **_UNTIMED)
hypothesis.settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("network") or item.get_closest_marker("node"):
            item.add_marker(pytest.mark.enable_socket)


def pytest_runtest_setup(item: pytest.Item) -> None:
    import pytest_socket  # noqa: PLC0415 - a plugin of the test extras

    if item.get_closest_marker("enable_socket"):
        pytest_socket.enable_socket()
    else:
        # event loops need a socket pair of their own
        pytest_socket.disable_socket(allow_unix_socket=True)


# nobody spreads requests over the gateways that tests start: none of them waits for that before it ends
os.environ.setdefault("CONTACTPOINT_SERVER__LEAVE_SECONDS", "0")


@pytest.fixture
def record_testsuite_property(
    record_property: Callable[[str, object], None],
) -> Callable[[str, object], None]:
    """Record a figure of a proof with its test: what a worker process says of the suite reaches no report."""
    return record_property


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    """Hold the log against every answer that was sent in a test, but where the test makes them differ on purpose."""
    yield
    found = settle()
    if found and not item.get_closest_marker("records_otherwise"):
        TALLY.differences += len(found)
        raise AssertionError(f"the log and what was sent differ: {'; '.join(sorted(set(found)))}")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In continuous integration a skip is a failure: what was not tested must not look as if it were."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") == "true" and reporter is not None and reporter.stats.get("skipped"):
        reporter.write_line(f"{len(reporter.stats['skipped'])} skipped, which continuous integration does not accept")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
