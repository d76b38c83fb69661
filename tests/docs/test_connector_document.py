"""docs/writing-a-connector.md speaks of the protocol as it is."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from connectors.base import Connector, Manifest
from connectors.memory_file import read_records
from connectors.registry import GROUP
from schema.identifiers import NHSNumber
from schema.records import ChildRef, Involvement
from schema.vocabulary import Sensitivity
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
