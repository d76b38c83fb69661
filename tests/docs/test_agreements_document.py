"""docs/agreements.md lists what can be opened, every field and every shipped lawful basis; its examples can be read."""

from __future__ import annotations

import tomllib
from datetime import date

import msgspec
import pytest

from auth import agreement_files
from auth.agreement_files import BASES, ORGANISATIONS, SHIPPED, AgreementsUnreadable, load
from auth.paths import SCOPES
from schema.vocabulary import Purpose, Role
from tests.docs.markdown import code_blocks, codes, rows, text_of

TEXT = text_of("docs/agreements.md")


def table(header: str) -> list[list[str]]:
    """Return the rows below a header row whose first cell is `header`."""
    found = list(rows(TEXT))
    start = next(i for i, cells in enumerate(found) if cells[0] == header)
    width = len(found[start])
    body = []
    for cells in found[start + 1 :]:
        if len(cells) != width or cells[0].startswith(("field of", "path", "purpose", "file")):
            break
        body.append(cells)
    return body


def test_the_paths_are_all_that_can_be_opened_with_their_scopes() -> None:
    told = {codes(cells[0])[0]: codes(cells[1])[0] for cells in table("path")}

    assert told == {path: scope.value for path, scope in SCOPES.items()}


def test_every_field_of_an_agreement_and_of_a_grant_is_explained() -> None:
    for header, form in (
        ("field of an agreement", agreement_files._Agreement),
        ("field of a grant", agreement_files._Grant),
    ):
        told = {codes(cells[0])[0] for cells in table(header)}
        assert told == {field.name for field in msgspec.structs.fields(form)}


def test_the_lawful_bases_are_the_shipped_ones() -> None:
    bases = load(SHIPPED).bases

    told = {cells[0]: (cells[1], cells[2]) for cells in table("purpose")}

    assert told == {
        p.value: (basis.gateway, basis.commenced.isoformat() if basis.commenced else "no") for p, basis in bases.items()
    }
    assert set(told) <= {p.value for p in Purpose}


def test_the_examples_make_a_set_that_can_be_loaded(tmp_path) -> None:  # type: ignore[no-untyped-def]
    organisations, bases, agreement = code_blocks(TEXT, "toml")
    for name, text in ((ORGANISATIONS, organisations), (BASES, bases), ("police.toml", agreement)):
        (tmp_path / name).write_text(text, encoding="utf-8")

    loaded = load(tmp_path)

    assert [a.id for a in loaded.agreements] == ["police"]
    assert loaded.basis(Purpose.SAFEGUARD_S16LA, date(2026, 11, 22)) is None


def test_the_example_agreement_says_what_the_shipped_one_says() -> None:
    example = tomllib.loads(code_blocks(TEXT, "toml")[2])
    shipped = tomllib.loads((SHIPPED / "police.toml").read_text(encoding="utf-8"))

    assert example["grant"][0] in shipped["grant"]
    assert {k: v for k, v in example.items() if k != "grant"} == {k: v for k, v in shipped.items() if k != "grant"}


def test_the_shipped_set_has_no_parties() -> None:
    assert not load(SHIPPED).organisations


def test_no_shipped_agreement_has_lapsed() -> None:
    for agreement in load(SHIPPED).agreements:
        assert agreement.review_on >= date.today(), f"{agreement.id}: its owner must review it"  # noqa: DTZ011


def test_a_set_with_an_unknown_path_is_refused_with_file_and_line(tmp_path) -> None:  # type: ignore[no-untyped-def]
    organisations, bases, agreement = code_blocks(TEXT, "toml")
    for name, text in (
        (ORGANISATIONS, organisations),
        (BASES, bases),
        ("p.toml", agreement.replace('["involvements"]', '["all"]')),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8")

    with pytest.raises(AgreementsUnreadable, match=r"p\.toml:\d+: "):
        load(tmp_path)


def test_every_word_that_a_grant_may_hold_is_a_link_away() -> None:
    links = " ".join(cells[1] for cells in rows(TEXT) if cells[0] in {"`to`", "`roles`", "`purposes`", "`assurance`"})

    for anchor in ("agencykind", "role", "purpose-1", "assurance-1"):
        assert f"(../GLOSSARY.md#{anchor})" in links
    assert {role.value for role in Role} <= {cells[0] for cells in rows(text_of("GLOSSARY.md"))}
