"""docs/purposes.md says what the code holds every purpose to."""

from __future__ import annotations

from auth.hard_rules import HardRule
from auth.paths import SCOPES
from auth.purposes import EVERYBODY, GATEWAYS, LegalGateway, Processing
from schema.vocabulary import AgencyKind, Purpose
from tests.docs.markdown import codes, rows, text_of

ROWS = {
    cells[0]: cells[1:] for cells in rows(text_of("docs/purposes.md")) if len(cells) == 5 and cells[0] in set(Purpose)
}
REGIMES = {
    "UK GDPR": Processing.GENERAL,
    "each side's": Processing.BY_SIDE,
    "Part 3": Processing.LAW_ENFORCEMENT,
}


def kinds(text: str) -> frozenset[AgencyKind]:
    if text.startswith("everybody but "):
        return EVERYBODY - kinds(text.removeprefix("everybody but "))
    named = {"everybody": EVERYBODY, "nobody": frozenset[AgencyKind]()}
    return named[text] if text in named else frozenset(AgencyKind(word) for word in text.split(", "))


def as_written(source: str, from_: str, to: str, regime: str, only: str) -> LegalGateway:
    """Return a row of the document as the table in code would hold it."""
    parts = only.split("; ") if only else []
    after = {start: part.removeprefix(start) for part in parts for start in STARTS if part.startswith(start)}
    assert len(after) == len(parts)
    ends = after.get("one side is ", "everybody").replace(" or ", ", ")
    most = after.get("at most ")
    return LegalGateway(
        source,
        kinds(from_),
        kinds(from_ if to == "the same" else to),
        REGIMES[regime],
        one_of=kinds(ends),
        appointed=EVERYBODY if "with an appointment" in after else kinds(after.get("with an invitation: ", "nobody")),
        named=kinds(after.get("named in the grant: ", "nobody")),
        most=frozenset(SCOPES) if most is None else frozenset(codes(most)),
    )


STARTS = ("one side is ", "with an appointment", "with an invitation: ", "named in the grant: ", "at most ")


def test_the_table_is_what_the_code_holds_every_purpose_to() -> None:
    assert list(ROWS) == [purpose.value for purpose in GATEWAYS]
    for purpose, gateway in GATEWAYS.items():
        assert as_written(gateway.source, *ROWS[purpose.value]) == gateway, purpose


def test_every_hard_rule_is_named_with_the_agreements() -> None:
    text = text_of("docs/agreements.md")

    assert [rule for rule in HardRule if rule.value not in text] == []
