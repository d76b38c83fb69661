"""Decision records: numbered without gaps, named alike everywhere, one page each."""

from __future__ import annotations

import re

import pytest

from tests.docs.markdown import ROOT, headings, text_of

FOLDER = "docs/adr"
RECORDS = sorted(path.name for path in (ROOT / FOLDER).glob("[0-9]*.md"))
_NAME = re.compile(r"(\d{4})-[a-z0-9-]+\.md")


def test_numbers_run_from_one_without_a_gap() -> None:
    assert [name[:4] for name in RECORDS] == [f"{number:04}" for number in range(1, len(RECORDS) + 1)]


def test_the_index_lists_every_record_with_its_number() -> None:
    listed = re.findall(r"^\| (\d{4}) \| \[(.+)\]\((.+)\) \|$", text_of(f"{FOLDER}/README.md"), re.MULTILINE)

    assert [(number, file) for number, _, file in listed] == [(name[:4], name) for name in RECORDS]


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_has_its_number_its_date_and_its_parts(name: str) -> None:
    text = text_of(f"{FOLDER}/{name}")
    found = headings(text)

    assert _NAME.fullmatch(name)
    assert found[0].text.startswith(f"{name[:4]}. ")
    assert re.search(r"^Date: \d{4}-\d{2}-\d{2}\. Status: (accepted|superseded)", text, re.MULTILINE)
    parts = [heading.text for heading in found if heading.level == 2 and heading.text != "Alternatives considered"]
    assert parts == ["Context", "Decision", "Consequences"]
    assert len(text.splitlines()) <= 60, "one page"


@pytest.mark.parametrize("name", RECORDS)
def test_title_and_file_name_say_the_same(name: str) -> None:
    title = headings(text_of(f"{FOLDER}/{name}"))[0].text.partition(". ")[2].lower()
    words = set(re.sub(r"[^a-z0-9 ]", " ", title).split())

    # a file name may be shorter than the title, and never says anything else
    assert set(name[5:-3].split("-")) <= words
