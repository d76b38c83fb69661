"""The exception tree: complete, unique, and free of the request."""

from __future__ import annotations

import re

import pytest

from gateway import errors
from gateway.errors import Forbidden, GatewayError, InternalServerError, MethodNotAllowed, RateLimited, Unauthenticated

PUBLISHED_CODES = {
    "UNAUTHENTICATED",
    "FORBIDDEN",
    "BAD_USER_INPUT",
    "GRAPHQL_PARSE_FAILED",
    "GRAPHQL_VALIDATION_FAILED",
    "LIMIT_EXCEEDED",
    "RATE_LIMITED",
    "OVERLOADED",
    "AUDIT_UNAVAILABLE",
    "INTERNAL_SERVER_ERROR",
}
DEFINED = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, GatewayError)]


def test_the_module_docstring_is_the_tree() -> None:
    assert _parents(errors.__doc__ or "") == {
        cls.__name__: cls.__mro__[1].__name__ for cls in DEFINED if cls is not GatewayError
    }


def _parents(text: str) -> dict[str, str]:
    above: dict[int, str] = {}
    parents = {}
    for indent, name in re.findall(r"^( {4,})(\w+)$", text, re.MULTILINE):
        above[len(indent)] = name
        if len(indent) > 4:
            parents[name] = above[len(indent) - 4]
    return parents


def test_every_code_is_used_by_one_class() -> None:
    codes = [cls.__dict__["code"] for cls in DEFINED if cls.__dict__.get("code")]

    assert len(codes) == len(set(codes))
    assert set(codes) >= PUBLISHED_CODES


def test_every_error_that_is_raised_has_a_code_a_status_and_a_sentence() -> None:
    leaves = [cls for cls in DEFINED if not any(cls in other.__bases__ for other in DEFINED)]

    assert all(cls.code and 200 <= cls.status < 600 and cls.message.endswith(".") for cls in leaves)


@pytest.mark.parametrize(
    ("error", "header"),
    [
        pytest.param(Unauthenticated('Bearer error="invalid_token"'), b"www-authenticate", id="challenge"),
        pytest.param(RateLimited(60), b"retry-after", id="retry-after"),
        pytest.param(MethodNotAllowed(), b"allow", id="allow"),
    ],
)
def test_an_error_carries_the_header_that_its_status_asks_for(error: GatewayError, header: bytes) -> None:
    assert [name for name, _ in error.headers()] == [header]


def test_only_a_refusal_after_execution_began_has_null_data() -> None:
    assert [cls for cls in DEFINED if cls.executed] == [Forbidden]


def test_an_internal_error_says_the_correlation_id_and_nothing_else() -> None:
    error = InternalServerError("6f1f8a52-6a5b-4d42-8a55-3ecf3a6a0b9d").formatted()

    assert error["extensions"] == {
        "code": "INTERNAL_SERVER_ERROR",
        "requestId": "6f1f8a52-6a5b-4d42-8a55-3ecf3a6a0b9d",
    }
