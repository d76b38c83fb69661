"""Not one token of the corpus is accepted, each for its own reason, and the corpus notices a check that is missing."""

from __future__ import annotations

import asyncio
import json
import re
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth import claims as claims_module
from auth import tokens as tokens_module
from auth.keys import IssuerKeys, KeySets
from auth.refusals import REASONS, InvalidRequest, Reason, Unauthenticated
from auth.tokens import IssuerSettings, TokenValidator
from tests.auth.bad_tokens import (
    BAD_TOKENS,
    LISTED_IDS,
    NOT_APPLICABLE,
    NOT_REFUSED,
    NOW,
    REVOKED_TOKEN_ID,
    BadToken,
    Corpus,
)
from tests.fixtures.token_factory import ALGORITHMS, AUDIENCE, CLIENT, TokenFactory

pytestmark = pytest.mark.anyio

CORPUS = Corpus()


class IssuerSites:
    """The two issuers' published sets; keeps every URL that was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        return CORPUS.other.jwks() if url.startswith(CORPUS.other.issuer) else CORPUS.jwks()


def a_validator(sites: IssuerSites | None = None, **changes: Any) -> TokenValidator:
    keys = changes.pop("keys", KeySets)(
        [CORPUS.trusted.source(), CORPUS.other.source()], fetch=(sites or IssuerSites()).fetch
    )
    clients = changes.pop("clients", frozenset({CLIENT}))
    settings = [IssuerSettings(factory.issuer, ALGORITHMS, clients, None) for factory in (CORPUS.trusted, CORPUS.other)]
    arguments: dict[str, Any] = {
        "revoked": lambda c: c.token_id == REVOKED_TOKEN_ID,
        "clock": lambda: NOW,
        **changes,
    }
    return TokenValidator(settings, AUDIENCE, keys, **arguments)


async def refusal(validator: TokenValidator, token: str) -> Unauthenticated:
    with pytest.raises(Unauthenticated) as caught:
        await validator.authenticate([f"Bearer {token}"])
    return caught.value


async def accepted_ids(validator: TokenValidator) -> set[str]:
    accepted = set()
    for bad in BAD_TOKENS:
        try:
            await validator.authenticate([f"Bearer {bad.make(CORPUS)}"])
        except Unauthenticated:
            continue
        accepted.add(bad.id)
    return accepted


@pytest.mark.parametrize("bad", BAD_TOKENS, ids=[f"{bad.id}-{bad.what}" for bad in BAD_TOKENS])
async def test_a_bad_token_is_refused_for_its_own_reason_and_told_nothing(bad: BadToken) -> None:
    token = bad.make(CORPUS)

    refused = await refusal(a_validator(), token)

    assert refused.error == "invalid_token"
    assert refused.reason is bad.reason
    assert str(refused) == bad.reason.value
    assert refused.__cause__ is None


async def test_none_of_the_corpus_is_accepted() -> None:
    assert await accepted_ids(a_validator()) == set()
    assert len(BAD_TOKENS) > 104


def test_the_corpus_holds_every_row_of_the_published_table() -> None:
    ids = [bad.id for bad in BAD_TOKENS]
    families = {re.sub(r"-.*", "", id_) for id_ in ids if not id_.startswith("N-")}

    assert len(set(ids)) == len(ids)
    assert set(LISTED_IDS) == families | NOT_REFUSED.keys() | NOT_APPLICABLE.keys()


async def test_a_scope_that_begins_like_ours_is_another_scope() -> None:
    caller = await a_validator().authenticate([CORPUS.trusted.bearer(claims={"scope": "involvement:readx"})])

    assert caller.scopes == {"involvement:readx"}


def test_every_reason_is_described_and_reached_by_a_test() -> None:
    of_the_request = {Reason.NO_CREDENTIALS, Reason.OTHER_SCHEME, Reason.SEVERAL_CREDENTIALS}

    assert REASONS.keys() == set(Reason)
    assert {bad.reason for bad in BAD_TOKENS} | of_the_request == set(Reason)


async def test_no_token_causes_a_call_to_anywhere_but_its_issuers_key_set() -> None:
    sites = IssuerSites()
    validator = a_validator(sites)

    await accepted_ids(validator)

    assert set(sites.asked) == {f"{CORPUS.trusted.issuer}/jwks", f"{CORPUS.other.issuer}/jwks"}


@pytest.mark.parametrize("id_", ["K8", "K9", "K10", "K11", "K12"])
async def test_a_key_or_address_inside_a_token_causes_no_call_at_all(id_: str) -> None:
    sites = IssuerSites()
    (bad,) = [bad for bad in BAD_TOKENS if bad.id == id_]

    await refusal(a_validator(sites), bad.make(CORPUS))

    assert sites.asked == []


class PooledKeySets(KeySets):
    """The flaw: whichever issuer a token names, every issuer's keys will do."""

    def of(self, issuer: str) -> IssuerKeys | None:
        named = super().of(issuer)
        return None if named is None else PooledKeys(named, list(self._issuers.values()))  # type: ignore[return-value]


class PooledKeys:
    def __init__(self, named: IssuerKeys, pool: list[IssuerKeys]) -> None:
        self.generation = named.generation
        self.pool = pool

    async def key(self, kid: str) -> object:
        found = [key for keys in self.pool if (key := await keys.key(kid)) is not None]
        return found[0] if found else None


def _any_audience(_audience: object, _expected: str) -> None: ...


def _any_signature(*_arguments: object) -> None: ...


def _lenient_json(raw: bytes) -> dict[str, Any]:
    value = json.loads(raw.decode("utf-8-sig", errors="replace"))
    return value if isinstance(value, dict) else {}


def _unbound(claims: dict[str, Any], *arguments: Any) -> object:
    return claims_module.caller_from({name: v for name, v in claims.items() if name != "cnf"}, *arguments)


PATCHES: list[Any] = [
    pytest.param(claims_module, "_check_audience", _any_audience, {"U1", "U2", "U3", "U7"}, id="audience"),
    pytest.param(
        tokens_module, "_check_signature", _any_signature, {"A13", "B1", "B4", "B5", "I6", "K1"}, id="signature"
    ),
    pytest.param(tokens_module, "decode_object", _lenient_json, {"S9", "S11", "S14", "N-S16"}, id="strict-json"),
    pytest.param(tokens_module, "_TYPES", {"at+jwt", "jwt", ""}, {"Y2", "Y3"}, id="type"),
    pytest.param(
        tokens_module,
        "_HEADER_MEMBERS",
        frozenset({"alg", "typ", "kid", "cty", "jku"}),
        {"K12"},
        id="header-members",
    ),
    pytest.param(tokens_module, "MAX_TOKEN_CHARACTERS", 1 << 20, {"S10"}, id="length"),
    pytest.param(claims_module, "_SCOPE", re.compile(r"[\s\S]*"), {"Z10", "N-Z14", "N-Z16"}, id="scope-grammar"),
    pytest.param(tokens_module, "caller_from", _unbound, {"P1", "P2", "N-P4"}, id="sender-constraint"),
]


@pytest.mark.parametrize(("module", "name", "flaw", "expected"), PATCHES)
async def test_the_corpus_notices_a_check_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, module: object, name: str, flaw: object, expected: set[str]
) -> None:
    monkeypatch.setattr(module, name, flaw)

    assert await accepted_ids(a_validator()) >= expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"max_lifetime_seconds": 1 << 30}, {"X10"}, id="lifetime"),
        pytest.param({"leeway_seconds": 7200}, {"X1", "X2", "X8", "X9"}, id="leeway"),
        pytest.param({"clients": None}, {"Z6"}, id="client-list"),
        pytest.param({"revoked": lambda _: False}, {"P3"}, id="revocation"),
        pytest.param({"keys": PooledKeySets}, {"I6", "I7"}, id="one-key-set-per-issuer"),
    ],
)
async def test_the_corpus_notices_a_parameter_that_is_too_wide(changes: dict[str, Any], expected: set[str]) -> None:
    assert await accepted_ids(a_validator(**changes)) == expected


TOKENS = {algorithm: CORPUS.trusted.token(algorithm=algorithm) for algorithm in ALGORITHMS}
VALIDATOR = a_validator()


def is_refused(authorization: str) -> bool:
    try:
        asyncio.run(VALIDATOR.authenticate([authorization]))
    except (Unauthenticated, InvalidRequest):
        return True
    return False


@given(st.sampled_from(ALGORITHMS), st.data())
def test_changing_any_byte_of_a_good_token_refuses_it(algorithm: str, data: st.DataObject) -> None:
    token = TOKENS[algorithm]
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.integers(0, 255).map(chr).filter(lambda character: character != token[at]))

    assert is_refused(f"Bearer {token[:at]}{other}{token[at + 1 :]}")


@given(st.sampled_from(ALGORITHMS), st.data())
def test_removing_or_adding_a_character_refuses_a_good_token(algorithm: str, data: st.DataObject) -> None:
    token = TOKENS[algorithm]
    at = data.draw(st.integers(0, len(token) - 1))
    added = data.draw(st.integers(0x21, 0x7E).map(chr))

    assert is_refused(f"Bearer {token[:at]}{token[at + 1 :]}")
    assert is_refused(f"Bearer {token[:at]}{added}{token[at:]}")


def test_the_tokens_of_the_properties_are_good_before_they_are_changed() -> None:
    assert not any(is_refused(f"Bearer {token}") for token in TOKENS.values())


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_no_other_spelling_of_the_signature_is_accepted(algorithm: str) -> None:
    token = TOKENS[algorithm]
    alphabet = string.ascii_letters + string.digits + "-_"

    assert all(is_refused(f"Bearer {token[:-1]}{last}") for last in alphabet if last != token[-1])


async def test_two_refused_tokens_can_be_told_apart_without_holding_either() -> None:
    factory = TokenFactory(clock=lambda: NOW)
    first, second = factory.token(claims={"aud": "elsewhere"}), factory.token(claims={"aud": "elsewhere"})

    refusals = [await refusal(a_validator(), token) for token in (first, second)]

    prefixes = [refused.token_sha256 for refused in refusals]
    assert len(set(prefixes)) == 2
    assert all(prefix is not None and re.fullmatch(r"[0-9a-f]{16}", prefix) for prefix in prefixes)
