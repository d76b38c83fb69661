"""The simulated local authorities: one server, a GraphQL endpoint and a token endpoint for each authority."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Mount, Route

from gateway.demo.agencies.answers import Answer
from gateway.demo.agencies.childrens_services_schema import SCHEMA, Authority, Context
from gateway.demo.agencies.desk import Ask, BadRequestError, Desk
from gateway.demo.agencies.faults import Fault, Faults
from gateway.demo.agencies.oauth import Client, TokenDesk, register
from gateway.demo.families import World
from gateway.demo.staff import AUTHORITIES

SCOPE = "childrens-services.involvements"


def app(world: World, *, clients: Mapping[str, Client] | None = None, faults: Faults | None = None) -> Starlette:
    """Return the server of all authorities.

    `app.state` holds `calls`, `notices`, `faults`, and by authority `tokens` and `clients`. A fault of one authority
    alone is set with `path="/eastmarch"`.
    """
    clients = clients or {authority: register(f"contactpoint-{authority}", SCOPE) for authority in AUTHORITIES}
    faults = faults or Faults()
    desk = Desk("application/json", _problem, faults)
    tokens = {authority: TokenDesk(client, faults) for authority, client in clients.items()}
    application = Starlette(
        routes=[
            Mount(
                f"/{authority}",
                routes=[
                    Route("/oauth/token", tokens[authority].token, methods=["POST"]),
                    Route(
                        "/graphql",
                        desk.endpoint(tokens[authority].guard(SCOPE), _Endpoint(_authority(world, authority)).execute),
                        methods=["POST"],
                    ),
                ],
            )
            for authority in clients
        ],
        max_body_size=262_144,
    )
    application.state.calls, application.state.faults = desk.calls, faults
    application.state.notices = desk.notices
    application.state.tokens, application.state.clients = tokens, dict(clients)
    return application


def _authority(world: World, name: str) -> Authority:
    held = {
        child.nhs_number: (child, record)
        for child in world.children
        for record in child.councils
        if record.authority == name
    }
    return Authority(name=name, children=held, stand_in=next(reversed(held)))


def _problem(status: int, code: str) -> dict[str, Any]:
    return {"errors": [{"message": "The request was refused", "extensions": {"code": code, "status": status}}]}


class _Endpoint:
    def __init__(self, authority: Authority) -> None:
        self._authority = authority

    async def execute(self, ask: Ask) -> Answer:
        """Return the executed operation: data, or errors, or both, with 200."""
        body = _read(await ask.request.body())
        result = await SCHEMA.execute(
            body["query"],
            variable_values=body.get("variables"),
            operation_name=body.get("operationName"),
            context_value=Context(self._authority, ask),
        )
        answer: dict[str, Any] = {"data": result.data}
        if result.errors:
            answer["errors"] = [{"message": error.message} for error in result.errors]
        elif ask.fault is Fault.ERRORS_BESIDE_DATA:
            answer["errors"] = [{"message": "A part of the record could not be read"}]
        return Answer(200, answer)


def _read(body: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(body)
    except ValueError:
        raise BadRequestError("the body is not JSON") from None
    if not isinstance(parsed, dict) or not isinstance(parsed.get("query"), str):
        raise BadRequestError("the body is not a GraphQL request")
    if not isinstance(parsed.get("variables", {}), dict | None):
        raise BadRequestError("variables are an object")
    return parsed
