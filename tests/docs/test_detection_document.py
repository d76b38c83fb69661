"""Every rule, explanation and column of the feed stands in its document, as the code has them."""

from __future__ import annotations

from gateway.detection.detector import RULES
from gateway.detection.workforce import COLUMNS
from schema.vocabulary import AccessGround, ReviewSeverity
from tests.docs.markdown import codes, rows, text_of

DOCUMENT = "docs/detection.md"


def first_cells(document: str) -> list[str]:
    return [cells[0] for cells in rows(text_of(document))]


def test_every_rule_has_its_row() -> None:
    told = [cell for cell in first_cells(DOCUMENT) if cell.startswith("D") and cell[1:].isdigit()]

    assert list(dict.fromkeys(told)) == list(RULES)


def test_every_explanation_has_its_row() -> None:
    assert [cell for cell in first_cells(DOCUMENT) if cell in set(AccessGround)] == list(AccessGround)


def test_every_severity_is_spoken_of() -> None:
    text = text_of(DOCUMENT)

    assert [severity for severity in ReviewSeverity if severity not in text] == []


def test_every_column_of_the_feed_has_its_row() -> None:
    told = [code for cell in first_cells("docs/workforce-feed.md") for code in codes(cell)]

    assert told == list(COLUMNS)
