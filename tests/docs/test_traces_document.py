"""docs/traces.md names every span with what stands in it, and the figures of the code."""

from __future__ import annotations

from gateway.tracing import exporting
from gateway.tracing.spans import OF_A_LOOKUP, UNTOLD, Key, Step
from tests.docs.markdown import codes, rows, text_of

TEXT = text_of("docs/traces.md")
SPANS, _, ATTRIBUTES = TEXT.partition("## The spans")[2].partition("| attribute | is |")


def test_every_span_is_told_with_what_it_is_below() -> None:
    told = {codes(cells[0])[0]: cells[1] for cells in rows(SPANS) if codes(cells[0])}

    assert list(told) == [step.value for step in Step]
    assert {name for name, above in told.items() if above.startswith("the lookup")} == {s.value for s in OF_A_LOOKUP}


def test_every_attribute_is_told_and_stands_in_some_span() -> None:
    told = [codes(cells[0])[0] for cells in rows(ATTRIBUTES.partition("\n## ")[0]) if codes(cells[0])]
    standing = {code for cells in rows(SPANS) for code in codes(cells[3])}

    assert sorted(told) == sorted(key.value for key in Key)
    assert standing == set(told)


def test_the_figures_are_those_of_the_code() -> None:
    assert f"`{UNTOLD}`" in TEXT
    assert f"{exporting.QUEUE} at most" in TEXT
    assert (exporting.SEND_SECONDS, exporting.CLOSE_SECONDS) == (2.0, 3.0)
    assert "for two seconds at most at a time" in TEXT
    assert "for three seconds at most" in TEXT
