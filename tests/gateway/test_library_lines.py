"""What the event loop and the libraries log names what went wrong, and holds nothing of what they were doing."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

from tests.end_to_end.world import logs_kept

SECRET = "9990000018"


async def asked_about(number: str) -> None:
    raise KeyError(number)


def called_with(number: str) -> None:
    raise ValueError(number)


async def a_task_that_nobody_awaits() -> None:
    task = asyncio.get_running_loop().create_task(asked_about(SECRET))
    await asyncio.wait([task])
    del task
    gc.collect()


async def a_callback_that_fails() -> None:
    asyncio.get_running_loop().call_soon(called_with, SECRET)
    await asyncio.sleep(0)


async def a_task_that_is_destroyed() -> None:
    task = asyncio.Future[None]()
    asyncio.get_running_loop().call_exception_handler(
        {"message": "Task was destroyed but it is pending!", "task": task}
    )


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize(
    ("trouble", "said", "exception"),
    [
        (a_task_that_nobody_awaits, "Task exception was never retrieved", "KeyError"),
        (a_callback_that_fails, "Exception in callback", "ValueError"),
        (a_task_that_is_destroyed, "Task was destroyed but it is pending!", None),
    ],
)
def test_what_the_event_loop_says_holds_no_value(
    run: Callable[[Any], Any], trouble: Callable[[], Any], said: str, exception: str | None
) -> None:
    with logs_kept() as logged:
        run(trouble())

    (line,) = [json.loads(line) for line in logged.getvalue().splitlines()]
    assert SECRET not in logged.getvalue()
    assert line["event"].startswith(said)
    assert line["logger"] == "asyncio"
    assert line.get("exception") == exception


def test_what_another_library_says_is_left_whole() -> None:
    with logs_kept() as logged:
        logging.getLogger("uvicorn.error").warning("Cancel 3 running task(s)")

    assert json.loads(logged.getvalue())["event"] == "Cancel 3 running task(s)"
