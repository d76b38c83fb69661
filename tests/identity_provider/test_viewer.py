"""`contactpoint viewer`: documents within the server's limits, and a table that says only what the gateway said."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
import respx
from click.testing import CliRunner, Result
from graphql import FieldNode, parse

from gateway.commands.viewer import viewer, viewer_documents
from schema.vocabulary import Purpose

URL = "http://127.0.0.1:8000"
ENTRY = {
    "agency": {"name": "Northshire Constabulary"},
    "field": "involvements",
    "open": True,
    "relationship": "NONE",
    "code": None,
    "requiredScopes": [],
}
CLOSED = ENTRY | {
    "field": "police.events",
    "open": False,
    "code": "MISSING_SCOPE",
    "requiredScopes": ["police.events:read"],
}
WHO = {
    "subject": "someone-77",
    "organisation": "oak-primary",
    "roles": ["school_safeguarding_lead"],
    "scopes": ["a:read"],
}


def run(*arguments: str, body: Any) -> Result:
    with respx.mock(base_url=URL) as router:
        router.post("/graphql").mock(return_value=httpx.Response(200, json=body))
        return CliRunner(env={"CONTACTPOINT_TOKEN": "of.my.own"}).invoke(viewer, arguments)


def aliases(document: str) -> list[str]:
    operation: Any = parse(document).definitions[0]
    (selected,) = operation.selection_set.selections
    return [n.alias.value for n in selected.selection_set.selections if isinstance(n, FieldNode) and n.alias]


def test_every_purpose_is_asked_once_and_no_document_holds_more_aliases_than_the_server_takes() -> None:
    asked = [aliases(document) for document in viewer_documents(None)]

    assert max(map(len, asked)) <= 10
    assert [name for names in asked for name in names] == [purpose.value for purpose in Purpose]
    assert [aliases(document) for document in viewer_documents(Purpose.CP_S47)] == [[]]


def test_each_purpose_is_one_line() -> None:
    result = run(body={"data": {"viewer": WHO | {"CP_S47": [ENTRY, CLOSED], "CONSENT": [ENTRY | {"open": False}]}}})

    lines = [line.split(maxsplit=1) for line in result.stdout.splitlines()]
    assert ["CP_S47", "open at 1 of 1 agencies"] in lines
    assert ["CONSENT", "closed"] in lines
    assert "someone-77" not in result.stdout


def test_a_purpose_lists_its_fields_with_what_is_lacking() -> None:
    result = run("--purpose", "cp_s47", body={"data": {"viewer": WHO | {"access": [ENTRY, CLOSED]}}})

    words = [line.split() for line in result.stdout.splitlines()]
    assert ["Northshire", "Constabulary", "involvements", "open", "NONE"] in words
    assert [
        "Northshire",
        "Constabulary",
        "police.events",
        "closed",
        "NONE",
        "MISSING_SCOPE",
        "police.events:read",
    ] in words


def test_a_program_gets_what_the_gateway_sent() -> None:
    body = {"data": {"viewer": WHO | {"access": [ENTRY]}}}

    assert json.loads(run("--purpose", "CP_S47", "--json", body=body).stdout) == body


@pytest.mark.parametrize(
    ("arguments", "body", "code"),
    [
        pytest.param(["--purpose", "CURIOSITY-77"], {}, 2, id="purpose"),
        pytest.param([], {"data": None}, 1, id="no-data"),
        pytest.param([], {"errors": [{"message": "No.", "extensions": {"code": "UNAUTHENTICATED"}}]}, 1, id="refused"),
    ],
)
def test_what_is_no_answer_is_one_line(arguments: list[str], body: Any, code: int) -> None:
    with respx.mock(base_url=URL, assert_all_called=False) as router:
        router.post("/graphql").mock(return_value=httpx.Response(200, json=body))
        result = CliRunner(env={"CONTACTPOINT_TOKEN": "of.my.own"}).invoke(viewer, arguments)

    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "77" not in result.stderr


def test_what_an_agency_wrote_does_not_steer_the_terminal() -> None:
    steering = ENTRY | {"agency": {"name": "\x1b[2JForce"}}

    assert "\x1b" not in run("--purpose", "CP_S47", body={"data": {"viewer": WHO | {"access": [steering]}}}).stdout
