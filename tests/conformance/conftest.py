"""Servers on the loopback address, and what a client of each must send: the endpoint alone, and the whole gateway."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from graphql import build_schema, execute

from gateway.errors import Unauthenticated
from gateway.graphql.documents import Documents, Operation
from gateway.graphql.endpoint import ExecutedAnswer, GraphQLEndpoint, RequestContext
from tests.end_to_end.world import demo_world

SCHEMA = build_schema("type Query { agencies: [String!]! } type Mutation { touch: Boolean }")


@dataclass(frozen=True, slots=True)
class ServedApp:
    """An ASGI application, the path of its GraphQL endpoint, and the headers that open it."""

    app: Any
    path: str
    headers: Mapping[str, str]


async def _authenticate(authorization: Sequence[str]) -> str:
    if list(authorization) != ["Bearer schema"]:
        raise Unauthenticated("Bearer")
    return "integrator"


async def _answer(
    _caller: str, operation: Operation, _variables: Mapping[str, Any], context: RequestContext
) -> ExecutedAnswer:
    result = execute(
        SCHEMA,
        operation.document,
        root_value={"agencies": []},
        variable_values=dict(context.variables),
        operation_name=operation.node.name.value if operation.node.name else None,
    )
    assert not hasattr(result, "__await__")
    return ExecutedAnswer(data=result.data, errors=[error.formatted for error in result.errors or ()])


async def _refused(*_: object) -> None:
    return None


@pytest.fixture
def served_app() -> ServedApp:
    endpoint = GraphQLEndpoint(
        documents=Documents(SCHEMA),
        authenticate=_authenticate,
        may_introspect=lambda _caller: True,
        answer=_answer,
        refused=_refused,
    )
    return ServedApp(endpoint, "/graphql", {"authorization": "Bearer schema"})


@pytest.fixture
def endpoint(served_app: ServedApp) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield the URL and the headers of the endpoint over a schema of its own, while a real server answers there."""
    server = uvicorn.Server(
        uvicorn.Config(
            served_app.app, host="127.0.0.1", port=0, lifespan="off", log_config=None, access_log=False, ws="none"
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise RuntimeError("the server did not start")
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}{served_app.path}", served_app.headers
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield the URL of a whole gateway in the demo's world, and a token that may do no more than read the schema."""
    with demo_world(tmp_path) as world:
        yield f"{world.url}/graphql", {"authorization": f"Bearer {world.token('integrator')}"}


@pytest.fixture(params=["endpoint", "gateway"])
def served(request: pytest.FixtureRequest) -> tuple[str, Mapping[str, str]]:
    """Return the URL and the headers of each server in turn."""
    found: tuple[str, Mapping[str, str]] = request.getfixturevalue(request.param)
    return found
