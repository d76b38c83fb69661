"""A world in the test's own folder."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest
import structlog

from connectors.base import Connector
from gateway.federation.sources import Source
from tests.fixtures.world import World, running_world


class Running(Protocol):
    """`running_world` in a folder that is already chosen."""

    def __call__(self, *connectors: Connector | Source, **arguments: object) -> AbstractAsyncContextManager[World]: ...


@pytest.fixture
def running(tmp_path: Path) -> Running:
    return partial(running_world, tmp_path)


@pytest.fixture(autouse=True)
def logs_as_they_are_before_configuration() -> Iterator[None]:
    """Undo what a command of another test did to the process's logs: a test reads what is printed in its own."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level
