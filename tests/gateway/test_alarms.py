"""What nobody mends but by looking at a source raises its alarm at once: rows 20, 21, 25 and 29 of the matrix."""

from __future__ import annotations

import re
from typing import Final

import pytest
import yaml

from connectors.faults import FaultCode
from gateway.metrics import ALARMING
from tests.docs.markdown import text_of
from tests.fixtures.sources import CHILD, FailingSource, known, row, source
from tests.gateway.conftest import Running
from tests.gateway.test_metrics import Samples, shown

pytestmark = pytest.mark.anyio

ALARMS: Final = {
    FaultCode.AUTH: "ContactPointSourceRefusesGateway",
    FaultCode.TOKEN_ENDPOINT: "ContactPointSourceRefusesGateway",
    FaultCode.TLS: "ContactPointSourceNotTrusted",
    FaultCode.MISMATCH: "ContactPointAnotherChild",
    FaultCode.TOO_LARGE: "ContactPointAnswerTooLarge",
}
_GROWS: Final = re.compile(r"sum by \(instance, source\) \(increase\((\w+)\{code=~?\"([A-Z_|]+)\"\}\[\d+m\]\)\) > 0")
_RULES: Final = [
    rule for group in yaml.safe_load(text_of("docker/prometheus/alerts.yaml"))["groups"] for rule in group["rules"]
]


def raised(before: Samples, after: Samples, of: str) -> list[str]:
    """Return the alerts of one source that ask whether something grew, and see that it did, between two scrapes.

    As `increase` does: of a series that was not there before, nobody knows from what it grew.
    """
    found = []
    for rule in _RULES:
        asks = _GROWS.fullmatch(rule["expr"].strip())
        if asks is None:
            continue
        series, codes = asks[1], asks[2].split("|")
        for key, value in after.items():
            labels = dict(key[1])
            wanted = key[0] == series and labels["source"] == of and labels["code"] in codes
            if wanted and key in before and value > before[key]:
                found.append(rule["alert"])
    return found


@pytest.mark.parametrize("code", [pytest.param(code, id=code.value) for code in FaultCode])
async def test_a_fault_that_somebody_must_look_at_raises_its_alarm_the_first_time(
    running: Running, code: FaultCode
) -> None:
    of = f"police-{code.value.lower().replace('_', '-')}"
    failing = FailingSource(source(of, kind="POLICE", organisation="amber-police"), code)
    council = source("cs-amber", known(CHILD, row()), organisation="amber-council")
    async with running(failing, council) as world:
        before = await shown(world)
        told = await world.ask()
        after = await shown(world)

    assert told.sources[of].startswith("NO_ANSWER")
    assert raised(before, after, of) == ([ALARMS[code]] if code in ALARMS else [])
    assert raised(before, after, "cs-amber") == []


def test_there_is_an_alarm_for_each_code_of_which_one_is_enough() -> None:
    assert set(ALARMING) == ALARMS.keys()
    assert sum(_GROWS.fullmatch(rule["expr"].strip()) is not None for rule in _RULES) == len(set(ALARMS.values()))


def test_a_series_that_was_not_there_before_raises_nothing() -> None:
    key = (
        "contactpoint_source_answers_total",
        frozenset({("source", "police-amber"), ("status", "NO_ANSWER"), ("code", "TLS")}),
    )

    assert raised({}, {key: 1.0}, "police-amber") == []
    assert raised({key: 0.0}, {key: 1.0}, "police-amber") == ["ContactPointSourceNotTrusted"]
