"""The examples of docs/wire-interfaces.md are answers that the drivers read."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors import memory_sections
from connectors.base import FieldMask
from connectors.health.labels import disclosure_basis
from connectors.health.resources import EpisodeOfCare
from connectors.memory_sections import Holding
from connectors.police import mapping
from connectors.police.client import HOLDS
from schema.identifiers import NHSNumber
from schema.records import Agency, Answered, ChildRef
from schema.sections import Assessments, PoliceRecord
from schema.vocabulary import AgencyKind

TEXT = (Path(__file__).parents[2] / "docs" / "wire-interfaces.md").read_text(encoding="utf-8")
EXAMPLES = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)]
ADA = ChildRef(NHSNumber("9990000018"))


def example(*, holding: str) -> Any:
    """Return the one example that has this member at its top."""
    (found,) = [one for one in EXAMPLES if holding in one]
    return found


def test_a_forces_answer_is_read_in_full() -> None:
    body = example(holding="results")
    force = Agency("police-northshire", "Northshire Constabulary", AgencyKind.POLICE)

    told = mapping.answers_of(body, [ADA], request_id="uuid", agency=force, mask=FieldMask(HOLDS))[ADA]

    assert isinstance(told, Answered)
    assert len(told.involvements) == 1
    record = told.sections[PoliceRecord]
    assert all(getattr(record, name) for name in ("events", "orders", "notifications"))


def test_a_423_is_the_one_that_a_force_may_answer() -> None:
    (text,) = re.findall(r"answers 423 with `(\{.*?\})`", TEXT)

    told = mapping.restricted(json.loads(text), [ADA], request_id="uuid")[ADA]

    assert isinstance(told, Answered)
    assert told.shielded is True


def test_a_basis_that_was_withdrawn_is_none_and_counts_without_its_withdrawal() -> None:
    episode = {"id": "1", "status": "active", **example(holding="extension")}
    withdrawn = msgspec.convert(episode, EpisodeOfCare)
    del episode["extension"][0]["_valueCode"]["extension"][1]
    given = msgspec.convert(episode, EpisodeOfCare)

    assert disclosure_basis([withdrawn.extension]) == (None, None)
    assert disclosure_basis([given.extension]) == ("CONSENT", date(2027, 1, 31))


def test_deeper_records_of_a_file_are_read() -> None:
    raw = example(holding="sections")["sections"]
    school = Agency("school-oak", "Oak Primary School", AgencyKind.SCHOOL)

    held = memory_sections.read(raw, Holding(school, frozenset(raw)))

    assert set(held) == {PoliceRecord, Assessments}
    assert memory_sections.on(held, date(2027, 1, 10))[Assessments].assessments  # type: ignore[attr-defined]
    assert memory_sections.on(held, date(2027, 1, 11))[Assessments].assessments is None  # type: ignore[attr-defined]


@pytest.mark.parametrize("word", ["LOW", "VERY_HIGH", "MORE_DETRIMENTAL", "X-Access-Notification: silent"])
def test_the_words_on_the_wire_are_named(word: str) -> None:
    assert word in TEXT
