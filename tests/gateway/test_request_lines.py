"""Each request has one line in the log, which holds nothing of it but what it asked for and how it was answered."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from gateway.front.request_lines import RequestLines
from gateway.settings import TelemetrySection
from tests.fixtures.sources import BORN, CHILD, FAMILY, known, row, source
from tests.gateway.conftest import Running

pytestmark = pytest.mark.anyio


def council() -> Any:
    return source("cs-amber", known(CHILD, row()), organisation="amber-council")


def lines(text: str) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, text.splitlines()) if line["event"] == "request"]


async def test_each_request_has_one_line_with_the_id_of_its_answer(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = str(uuid.uuid4())
    viewer = {"query": "{ viewer { subject } }"}
    async with running(council()) as world:
        capsys.readouterr()
        told = await world.ask()
        answers = [
            await world.client.post("/graphql", json=viewer, headers=world.headers() | {"X-Request-ID": chosen}),
            await world.client.post("/graphql", json=viewer),
            await world.client.post("/graphql", content=b"no json", headers=world.headers()),
            await world.client.get("/nowhere"),
            await world.client.get("/livez"),
        ]
        world.gateway.lines.flush()
    found = lines(capsys.readouterr().err)

    assert told.outcome == "DISCLOSED"
    assert [(line["operation"], line["status"], line["code"]) for line in found] == [
        ("child", 200, "OK"),
        ("viewer", 200, "OK"),
        ("unread", 401, "UNAUTHENTICATED"),
        ("unread", 415, "UNSUPPORTED_MEDIA_TYPE"),
        ("page", 404, "HTTP_404"),
    ]
    assert [line["request_id"] for line in found[1:]] == [a.headers["X-Request-ID"] for a in answers[:-1]]
    assert found[1]["request_id"] == chosen
    assert all(
        set(line) == {"request_id", "operation", "status", "code", "milliseconds", "event", "level", "timestamp"}
        for line in found
    )


async def test_a_line_holds_nothing_of_the_child_the_asker_or_what_a_client_wrote(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running(council()) as world:
        capsys.readouterr()
        await world.ask(reason="a reason to be kept apart")
        await world.client.get(f"/children/{CHILD}", params={"family": FAMILY})
        await world.client.post(
            "/graphql",
            json={"query": f"query named_{CHILD} {{ viewer {{ subject }} }}", "operationName": f"named_{CHILD}"},
            headers=world.headers() | {"X-Request-ID": f"request-{CHILD}", "User-Agent": f"agent-{CHILD}"},
        )
        world.gateway.lines.flush()
    text = capsys.readouterr().err

    assert len(lines(text)) == 3
    for secret in (str(CHILD), FAMILY, str(BORN), "amber-worker", "amber-council", "a reason", "children", "named"):
        assert secret not in text


async def test_what_waits_is_written_when_the_gateway_closes(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running(council()) as world:
        capsys.readouterr()
        await world.client.get("/schema.graphql")

    assert [line["operation"] for line in lines(capsys.readouterr().err)] == ["sdl"]


async def noted(telemetry: TelemetrySection, capsys: pytest.CaptureFixture[str], *operations: str) -> str:
    kept = RequestLines(telemetry)
    capsys.readouterr()
    for operation in operations:
        kept.note("7d1c0000-0000-4000-8000-000000000000", operation, 200, "OK", 0.0123)
    kept.flush()
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("telemetry", "written"),
    [
        (TelemetrySection(log_level="debug"), ["child", "livez"]),
        (TelemetrySection(log_level="info"), ["child"]),
        (TelemetrySection(log_level="warning"), []),
        (TelemetrySection(request_log=False), []),
    ],
)
async def test_the_level_and_a_setting_say_which_lines_are_written(
    telemetry: TelemetrySection, written: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    text = await noted(telemetry, capsys, "child", "livez")

    assert [line["operation"] for line in lines(text)] == written


async def test_a_line_of_text_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    text = await noted(TelemetrySection(log_format="text"), capsys, "child")

    assert re.fullmatch(
        r"2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z \[info\] request "
        r"request_id=7d1c0000-0000-4000-8000-000000000000 operation=child status=200 code=OK milliseconds=12\.3\n",
        text,
    )


async def test_many_lines_leave_before_the_time_is_up(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = RequestLines(TelemetrySection())
    capsys.readouterr()
    count: Callable[[], int] = lambda: capsys.readouterr().err.count("\n")  # noqa: E731
    for _ in range(511):
        kept.note("7d1c0000-0000-4000-8000-000000000000", "child", 200, "OK", 0.01)
    assert count() == 0
    kept.note("7d1c0000-0000-4000-8000-000000000000", "child", 200, "OK", 0.01)
    assert count() == 512
    kept.flush()
    assert count() == 0
