"""The glossary is in order and holds every word of every closed list."""

from __future__ import annotations

from enum import StrEnum

import pytest

from schema import vocabulary
from tests.docs.markdown import Heading, headings, rows, text_of

TEXT = text_of("GLOSSARY.md")
TERMS, _, LISTS = TEXT.partition("\n## Word lists\n")

# scopes stand in docs/agreements.md beside the paths that they open
WORD_LISTS = sorted(
    name
    for name, words in vars(vocabulary).items()
    if isinstance(words, type) and issubclass(words, StrEnum) and words not in {StrEnum, vocabulary.Scope}
)


def names(text: str) -> list[str]:
    return [heading.text for heading in headings(text) if heading.level == 3]


def test_terms_stand_in_alphabetical_order_and_once() -> None:
    found = names(TERMS)

    assert found == sorted(set(found), key=str.casefold)
    assert Heading(1, "Glossary") in headings(TEXT)


def test_every_term_is_explained_in_one_to_three_sentences() -> None:
    for part in TERMS.split("\n### ")[1:]:
        term, _, meaning = part.partition("\n")
        sentences = [s for s in meaning.replace("\n", " ").split(". ") if s.strip()]
        assert 1 <= len(sentences) <= 3, term


def test_every_word_list_is_in_the_glossary_in_order() -> None:
    assert names(LISTS) == WORD_LISTS


@pytest.mark.parametrize("name", WORD_LISTS)
def test_every_word_of_a_list_has_its_meaning_in_the_order_of_the_code(name: str) -> None:
    part = next(p for p in LISTS.split("\n### ") if p.partition("\n")[0].removeprefix("### ").strip() == name)
    told = [cells for cells in rows(part) if cells[0] != "value"]

    assert [cells[0] for cells in told] == [word.value for word in getattr(vocabulary, name)]
    assert all(cells[1] for cells in told)
