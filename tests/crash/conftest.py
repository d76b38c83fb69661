"""The demo world, for those tests of this folder that ask a whole gateway."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.end_to_end.world import DemoWorld, demo_world


@pytest.fixture(scope="session")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoWorld]:
    with demo_world(tmp_path_factory.mktemp("demo")) as running:
        yield running
