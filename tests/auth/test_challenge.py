"""The WWW-Authenticate values that a refused caller gets."""

from __future__ import annotations

import pytest

from auth.tokens import challenge

METADATA = "https://gateway.example/.well-known/oauth-protected-resource"


def test_without_credentials_the_challenge_names_no_error() -> None:
    assert challenge(None, resource_metadata=METADATA) == f'Bearer resource_metadata="{METADATA}"'


def test_a_bad_token_is_told_nothing_but_that_it_is_bad() -> None:
    expected = f'Bearer error="invalid_token", resource_metadata="{METADATA}"'

    assert challenge("invalid_token", resource_metadata=METADATA) == expected


def test_a_stronger_sign_in_is_asked_for_by_name_and_age() -> None:
    value = challenge(
        "insufficient_user_authentication",
        resource_metadata=METADATA,
        acr_values="urn:contactpoint:acr:strong",
        max_age=300,
    )

    assert value == (
        'Bearer error="insufficient_user_authentication", acr_values="urn:contactpoint:acr:strong", max_age="300", '
        f'resource_metadata="{METADATA}"'
    )


def test_a_missing_scope_is_named() -> None:
    value = challenge("insufficient_scope", resource_metadata=METADATA, scope="involvement:read audit:read")

    assert 'scope="involvement:read audit:read"' in value


@pytest.mark.parametrize("text", ['a"b', "a\\b", "a\r\nSet-Cookie: b", "é"])
def test_nothing_can_break_out_of_the_quotes(text: str) -> None:
    with pytest.raises(ValueError, match="scope cannot stand"):
        challenge("insufficient_scope", resource_metadata=METADATA, scope=text)
