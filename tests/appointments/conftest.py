"""A world in the test's own folder, whose agreements open something to the appointed alone."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest

from connectors.base import Connector
from gateway.federation.sources import Source
from tests.appointments.asking import TO_THE_APPOINTED
from tests.fixtures.world import World, running_world


class Running(Protocol):
    """`running_world` in a folder that is already chosen."""

    def __call__(self, *connectors: Connector | Source, **arguments: object) -> AbstractAsyncContextManager[World]: ...


@pytest.fixture
def running(tmp_path: Path) -> Running:
    return partial(running_world, tmp_path, agreements=TO_THE_APPOINTED)
