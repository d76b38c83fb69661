"""The trace against what the Personal Demographics Service publishes: every Patient its schema allows is accepted."""

from __future__ import annotations

import json
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from connectors.health.identity import no_such_patient, number_of, registered_with, shield, trace
from connectors.health.labels import sensitivity
from connectors.health.resources import Coding, Patient, read
from schema.vocabulary import Sensitivity

SCHEMAS = Path(__file__).parents[2] / "fixtures" / "published" / "nhs-pds" / "schemas"
OPTIONAL = ["meta", "name", "gender", "birthDate", "multipleBirthInteger", "deceasedDateTime", "generalPractitioner"]


@cache
def published(file: Path) -> Any:
    return yaml.safe_load(file.read_text())


def example(schema: Any, at: Path) -> Any:
    """Return the example that a published schema gives of itself, built from those of its members."""
    if "$ref" in schema:
        file = (at.parent / schema["$ref"]).resolve()
        return example(published(file), file) if file.exists() else None
    if "example" in schema:
        value = schema["example"]
        return value.isoformat() if isinstance(value, date) else value
    if schema.get("type") == "array":
        inner = example(schema["items"], at)
        return [] if inner is None else [inner]
    if "properties" in schema:
        members = {name: example(inner, at) for name, inner in schema["properties"].items()}
        return {name: value for name, value in members.items() if value not in (None, [])}
    return schema.get("default")


@pytest.fixture
def patient() -> dict[str, Any]:
    """The published Patient with every member that its schema gives an example of."""
    found: dict[str, Any] = example(published(SCHEMAS / "Patient.yaml"), SCHEMAS / "Patient.yaml")
    found["identifier"][0].setdefault("system", "https://fhir.nhs.uk/Id/nhs-number")
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]


def test_the_published_patient_is_accepted_and_traced(patient: dict[str, Any]) -> None:
    found = read(patient, Patient)

    assert number_of(found) == "9000000009"
    claim = trace(found)
    assert claim is not None
    assert (claim.date_of_birth, claim.family_names) == (date(2010, 10, 22), ("Smith",))
    assert shield(found) is False
    assert registered_with(found, date(2025, 1, 1)) == (("Y12345", date(2024, 1, 1), None),)
    assert registered_with(found, date(2026, 1, 1)) == ()  # it has ended by then


@given(left_out=st.sets(st.sampled_from(OPTIONAL)))
def test_any_optional_member_may_be_missing(left_out: set[str]) -> None:
    file = SCHEMAS / "Patient.yaml"
    whole = example(published(file), file)
    found = read({name: value for name, value in whole.items() if name not in left_out}, Patient)

    assert number_of(found) == "9000000009"
    assert (trace(found) is None) == bool({"name", "birthDate"} & left_out)
    assert (shield(found) is None) == ("meta" in left_out)


@pytest.mark.parametrize("use", published(SCHEMAS / "HumanName.yaml")["properties"]["use"]["enum"])
def test_a_name_of_every_published_use_proves(patient: dict[str, Any], use: str) -> None:
    patient["name"].append({"use": use, "family": "Marsh"})

    claim = trace(read(patient, Patient))

    assert claim is not None
    assert "Marsh" in claim.family_names


@pytest.mark.parametrize(
    "code", published(SCHEMAS / "Meta.yaml")["properties"]["security"]["items"]["properties"]["code"]["enum"]
)
def test_every_published_label_but_unrestricted_shields(patient: dict[str, Any], code: str) -> None:
    patient["meta"]["security"][0]["code"] = code

    assert shield(read(patient, Patient)) is (code != "U")


@pytest.mark.parametrize("code", ["RESOURCE_NOT_FOUND", "INVALIDATED_RESOURCE"])
def test_the_published_ways_to_say_no_such_patient_are_understood(code: str) -> None:
    file = SCHEMAS / "OperationOutcome.yaml"
    outcome = example(published(file), file)
    assert not no_such_patient(outcome)  # the example is of another kind

    outcome["issue"][0]["details"]["coding"][0]["code"] = code

    assert no_such_patient(outcome)


# Labels

codings = st.builds(
    Coding,
    system=st.sampled_from([None, "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "https://x.example/"]),
    code=st.sampled_from(["N", "U", "R", "V", "MH", "PSY", "SEX", "SUD", "ETH", "HIV", "XYZ", "", None]),
)


@given(labels=st.lists(codings), more=codings)
def test_a_further_label_never_makes_a_row_less_sensitive(labels: list[Coding], more: Coding) -> None:
    order = [Sensitivity.STANDARD, Sensitivity.UNKNOWN, Sensitivity.SENSITIVE]

    assert order.index(sensitivity([*labels, more])) >= order.index(sensitivity(labels))


@given(code=st.text(max_size=8), system=st.none() | st.text(max_size=8))
def test_only_known_words_are_ordinary(code: str, system: str | None) -> None:
    ordinary = sensitivity([Coding(code=code, system=system)]) is Sensitivity.STANDARD

    assert ordinary == (code in {"U", "L", "M", "N"} and system is None)


def test_the_fixtures_carry_their_owner_s_licence() -> None:
    assert "MIT License" in (SCHEMAS.parent / "LICENSE").read_text()
