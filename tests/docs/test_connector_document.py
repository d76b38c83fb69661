"""docs/writing-a-connector.md speaks of the protocol as it is."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import sys
import tomllib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.base import Ask, Connector, Deadline, FieldMask, Manifest
from connectors.memory_file import read_records
from connectors.registry import GROUP
from connectors.sources import source_client
from schema.identifiers import NHSNumber
from schema.records import Answered, ChildRef, Involvement, NoAnswer
from schema.vocabulary import PurposeClass, Sensitivity, SourceReason
from tests.docs.markdown import ROOT, code_blocks, codes, prose, rows, text_of

TEXT = text_of("docs/writing-a-connector.md")


def test_every_field_of_the_manifest_is_explained() -> None:
    told = {codes(cells[0])[0] for cells in rows(TEXT) if len(cells) == 2 and codes(cells[0])}

    assert told == {field.name for field in dataclasses.fields(Manifest)}


def test_every_method_of_the_protocol_is_named() -> None:
    methods = {name for name, value in vars(Connector).items() if callable(value) and not name.startswith("_")}

    assert methods == {"involvements", "health", "shields", "aclose"}
    assert {name for name in methods if f"`{name}`" not in TEXT} == set()


def test_the_fields_that_a_mapping_is_told_of_exist() -> None:
    named = {code.partition(".")[2] for code in codes(prose(TEXT)) if code.startswith("Involvement.")}

    assert named
    assert named <= {field.name for field in dataclasses.fields(Involvement)}


def test_the_example_record_is_read_as_the_document_says(tmp_path: Path) -> None:
    (record,) = code_blocks(TEXT, "json")
    file = tmp_path / "school.json"
    file.write_text(json.dumps([json.loads(record)]), encoding="utf-8")

    (held,) = read_records(file, traces=False).items()

    subject, answer = held
    assert subject == ChildRef(NHSNumber("9990000018"))
    assert answer.involvements[0].sensitivity is Sensitivity.STANDARD
    assert answer.involvements[0].identity is not None
    assert answer.trace is None


def test_the_entry_point_group_and_the_files_named_are_those_of_the_code() -> None:
    assert f'[project.entry-points."{GROUP}"]' in TEXT
    for code in codes(prose(TEXT)):
        if code.endswith(".py") and "/" in code:
            assert (ROOT / code).is_file(), code
    for case in ("memory_case.py", "police_case.py"):
        assert (ROOT / "tests/connectors/contract" / case).is_file()


@pytest.fixture
def housing(tmp_path: Path) -> Iterator[Any]:
    """The driver of the document, as a module of its own."""
    (code,) = code_blocks(TEXT, "python")
    file = tmp_path / "housing_of_the_document.py"
    file.write_text(code, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[file.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules[file.stem]


@pytest.mark.anyio
async def test_the_driver_of_the_document_answers_as_it_says(housing: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (entry,) = (found for block in code_blocks(TEXT, "toml") for found in tomllib.loads(block).get("connectors", ()))
    child, other = ChildRef(NHSNumber("9990000018")), ChildRef(NHSNumber("9990000026"))
    tenancy = {"id": "1", "team": "North team", "phone": "01632 960001", "ended": False}
    told = {
        "nhsNumber": child.nhs_number,
        "dateOfBirth": "2015-04-09",
        "familyNames": ["Amis"],
        "tenancies": [tenancy, tenancy | {"id": "2", "ended": True}],
    }
    asked: list[httpx.Request] = []

    def source(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json=told) if len(asked) < 3 else httpx.Response(500, text="broken")

    over = partial(source_client, transport=httpx.MockTransport(source))
    monkeypatch.setattr(housing, "source_client", over)
    connector: Connector = housing.from_settings(entry)
    ask = Ask("0" * 32, None, PurposeClass.SAFEGUARDING, Deadline.after(5.0), None)
    mask = FieldMask(frozenset({"involvements"}))
    found, mixed_up, down = [await connector.involvements([each], mask, ask) for each in (child, other, child)]
    await connector.aclose()

    answer = found[child]
    assert isinstance(answer, Answered), answer
    assert [row.local_id for row in answer.involvements] == ["1"]
    assert mixed_up[other] == NoAnswer(other, SourceReason.INVALID_ANSWER, "MISMATCH")
    assert isinstance(down[child], NoAnswer)
    assert {str(request.url) for request in asked} == {entry["base_url"] + "/households/by-child"}
