"""What an authority is asked for: documents that its published schema knows, and no field outside the mask."""

from __future__ import annotations

from itertools import combinations

import pytest
from graphql import parse, validate

from connectors.base import FieldMask
from connectors.childrens_services import documents
from connectors.childrens_services.client import HOLDS
from tests.connectors.childrens_services.samples import SCHEMA

ALL_MASKS = [frozenset(paths) for count in range(len(HOLDS) + 1) for paths in combinations(sorted(HOLDS), count)]
OPENS = {
    "statutory {": {"childrensServices.statuses"},
    "plans {": {"childrensServices.plans"},
    "assessments {": {"assessments"},
    "OPEN": {"involvements"},
    "CLOSED": {"involvements.previous"},
    "worker {": {"involvements", "involvements.previous"},
}


def test_every_document_is_valid_against_the_published_schema() -> None:
    made = {documents.children(FieldMask(paths)) for paths in ALL_MASKS}

    assert len(made) == 32
    for document in (*made, documents.HEALTH, documents.SHIELDED):
        assert validate(SCHEMA, parse(document)) == []


@pytest.mark.parametrize("text", OPENS)
def test_a_field_is_selected_if_and_only_if_the_mask_opens_it(text: str) -> None:
    for paths in ALL_MASKS:
        selected = text in documents.children(FieldMask(paths))
        assert selected == bool(OPENS[text] & paths)


def test_a_mask_that_comes_again_costs_no_new_document() -> None:
    mask = FieldMask(frozenset({"involvements"}))

    assert documents.children(mask) is documents.children(FieldMask(frozenset({"involvements"})))


def test_nothing_is_asked_for_that_nobody_could_be_told() -> None:
    everything = documents.children(FieldMask(HOLDS))

    for field in ("sex", "localId", "category", "assertedOn", "deceasedOn"):
        assert field not in everything
