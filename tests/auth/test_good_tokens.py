"""Every form of token that the contract offers is accepted, and means what the contract says."""

from __future__ import annotations

from typing import Any

import pytest

from auth import tokens as tokens_module
from auth.caller import Caller, ChildLookupDetail, OnBehalfOf
from auth.jwks import VerificationKey
from auth.keys import KeySets
from auth.refusals import InvalidRequest, Reason, Unauthenticated
from auth.tokens import IssuerSettings, TokenValidator
from schema.vocabulary import Assurance, Purpose, Role
from tests.fixtures.token_factory import (
    ALGORITHMS,
    AUDIENCE,
    CLIENT,
    ISSUER,
    OMIT,
    OTHER_ISSUER,
    STRONG,
    TokenFactory,
)

pytestmark = pytest.mark.anyio

NOW = 1_800_000_000


class TimeOfDay:
    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now


class DenyList:
    def __init__(self) -> None:
        self.revoked: set[str] = set()

    def __call__(self, caller: Caller) -> bool:
        return caller.token_id in self.revoked


TRUSTED = TokenFactory(ISSUER, clock=lambda: NOW)
OTHER = TokenFactory(OTHER_ISSUER, clock=lambda: NOW)


async def published(url: str) -> bytes:
    return OTHER.jwks() if url.startswith(OTHER_ISSUER) else TRUSTED.jwks()


def a_validator(**arguments: Any) -> TokenValidator:
    settings = [IssuerSettings(factory.issuer, ALGORITHMS, None, None) for factory in (TRUSTED, OTHER)]
    keys = KeySets([TRUSTED.source(), OTHER.source()], fetch=published)
    usual: dict[str, Any] = {"revoked": lambda _: False, "clock": lambda: NOW}
    return TokenValidator(settings, AUDIENCE, keys, **(usual | arguments))


async def authenticated(**arguments: Any) -> Caller:
    return await a_validator().authenticate([TRUSTED.bearer(**arguments)])


OBO = TRUSTED.on_behalf_of()
GOOD_CLAIMS: list[Any] = [
    pytest.param({}, id="usual"),
    pytest.param({"aud": [AUDIENCE]}, id="audience-in-a-list"),
    pytest.param({"aud": ["https://other.example", AUDIENCE]}, id="audience-among-others"),
    pytest.param({"iat": NOW + 5, "exp": NOW + 300}, id="issuer-five-seconds-ahead"),
    pytest.param({"iat": NOW + 30, "exp": NOW + 300}, id="issuer-thirty-seconds-ahead"),
    pytest.param({"iat": NOW - 400, "exp": NOW - 29}, id="expired-within-the-leeway"),
    pytest.param({"nbf": NOW}, id="not-before-now"),
    pytest.param({"nbf": NOW + 30}, id="not-before-within-the-leeway"),
    pytest.param({"iat": NOW, "exp": NOW + 900}, id="longest-life"),
    pytest.param({"iat": NOW - 0.5, "exp": NOW + 60.25}, id="fractions-of-a-second"),
    pytest.param({"roles": OMIT}, id="no-roles-claim"),
    pytest.param({"roles": []}, id="no-roles"),
    pytest.param({"roles": ["wizard"]}, id="unknown-role"),
    pytest.param({"roles": ["social_worker", "privacy_officer"]}, id="two-roles"),
    pytest.param({"scope": "schema:read"}, id="one-scope"),
    pytest.param({"scope": "openid profile involvement:read"}, id="scopes-of-others-too"),
    pytest.param({"acr": STRONG, "amr": ["pwd", "hwk"], "auth_time": NOW - 30}, id="strong-sign-in"),
    pytest.param({"acr": "urn:somebody:else"}, id="unknown-acr"),
    pytest.param({"act": {"sub": CLIENT}}, id="acted-for"),
    pytest.param({"act": {"sub": CLIENT, "act": {"sub": "portal"}}}, id="chain-of-actors"),
    pytest.param(OBO, id="on-behalf-of"),
    pytest.param(TRUSTED.on_behalf_of(name=None, registration=None), id="on-behalf-of-without-name"),
    pytest.param({"sub": CLIENT, "roles": ["integrator"]}, id="machine"),
    pytest.param({"name": "Ms Amis", "registration": "SWE:SW12345"}, id="name-and-registration"),
    pytest.param({"authorization_details": []}, id="no-details"),
    pytest.param({"authorization_details": [{"type": "payment"}]}, id="details-for-others"),
    pytest.param({"authorization_details": [{"type": "child_lookup"}]}, id="unlimited-detail"),
    pytest.param({"tenant": {"a": [1, {"b": None}]}}, id="unknown-claims"),
]
GOOD_HEADERS: list[Any] = [
    pytest.param({"typ": "application/at+jwt"}, id="long-type"),
    pytest.param({"typ": "AT+JWT"}, id="type-in-capitals"),
    pytest.param({"cty": "json"}, id="content-type"),
]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("claims", GOOD_CLAIMS)
async def test_a_good_token_is_accepted(claims: dict[str, Any], algorithm: str) -> None:
    caller = await authenticated(claims=claims, algorithm=algorithm)

    assert caller.issuer == ISSUER


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("header", GOOD_HEADERS)
async def test_a_good_header_is_accepted(header: dict[str, Any], algorithm: str) -> None:
    assert (await authenticated(header=header, algorithm=algorithm)).issuer == ISSUER


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_second_issuer_is_accepted_with_its_own_keys(algorithm: str) -> None:
    caller = await a_validator().authenticate([OTHER.bearer(algorithm=algorithm)])

    assert caller.issuer == OTHER_ISSUER


async def test_the_caller_holds_what_the_token_says() -> None:
    claims = {
        "jti": "token-1",
        "acr": STRONG,
        "auth_time": NOW - 30,
        "name": "Ms Amis",
        "team": "Duty team",
        "registration": "SWE:SW12345",
        "authorization_details": [{"type": "child_lookup", "purpose": "CP_S47", "caseReference": "C-1"}],
        "act": {"sub": CLIENT},
    }

    assert await authenticated(claims=claims) == Caller(
        issuer=ISSUER,
        subject="amber-worker-17",
        client_id=CLIENT,
        organisation="amber-council",
        roles=frozenset({Role.SOCIAL_WORKER}),
        scopes=frozenset({"involvement:read", "child.identity:read"}),
        assurance=Assurance.STRONG,
        token_id="token-1",
        issued_at=NOW - 60,
        expires_at=NOW + 240,
        authenticated_at=NOW - 30,
        actor=CLIENT,
        on_behalf_of=None,
        registration="SWE:SW12345",
        name="Ms Amis",
        team="Duty team",
        authorization_details=(ChildLookupDetail(Purpose.CP_S47, "C-1"),),
    )


async def test_a_delegated_token_counts_the_practitioner_and_names_the_system() -> None:
    caller = await authenticated(claims={"act": {"sub": CLIENT}})

    assert (caller.person, caller.actor, caller.is_machine) == ("amber-worker-17", CLIENT, False)


async def test_a_system_on_behalf_of_a_practitioner_has_that_role_and_no_other() -> None:
    claims = {**OBO, "roles": ["social_worker", "police_safeguarding_officer"], "registration": "NMC:00A0000A"}

    caller = await authenticated(claims=claims)

    assert caller.on_behalf_of == OnBehalfOf("amber-worker-17", "Ms Amis", Role.SOCIAL_WORKER, "SWE:SW12345")
    assert caller.effective_roles == {Role.SOCIAL_WORKER}
    assert (caller.person, caller.is_machine) == ("amber-worker-17", False)
    assert caller.practitioner_registration == "SWE:SW12345"
    assert caller.practitioner_name == "Ms Amis"


async def test_client_credentials_without_a_practitioner_are_a_machine() -> None:
    caller = await authenticated(claims={"sub": CLIENT, "roles": ["integrator"]})

    assert caller.is_machine
    assert caller.effective_roles == {Role.INTEGRATOR}


@pytest.mark.parametrize("acr", [OMIT, "", "urn:somebody:else", STRONG.upper()])
async def test_an_absent_or_unknown_acr_is_an_ordinary_sign_in(acr: object) -> None:
    assert (await authenticated(claims={"acr": acr})).assurance is Assurance.STANDARD


@pytest.mark.parametrize("roles", [OMIT, [], ["wizard"], ["SOCIAL_WORKER"]])
async def test_an_absent_or_unknown_role_is_no_role(roles: object) -> None:
    assert (await authenticated(claims={"roles": roles})).roles == frozenset()


@pytest.mark.parametrize("registration", ["SW12345", "swe:SW12345", "SWE:", "SWE:SW 12345", "SWE:SW12345:"])
async def test_a_registration_of_another_form_proves_none(registration: str) -> None:
    assert (await authenticated(claims={"registration": registration})).practitioner_registration is None


async def test_a_caller_shows_no_name_or_person_in_its_repr() -> None:
    person = await authenticated(claims={"name": "Ms Amis", "sub": "amber-person-9", "registration": "SWE:SW12345"})
    system = await authenticated(claims={**OBO, "name": "Ms Amis"})

    for caller in (person, system):
        secrets = ("Amis", "amber-worker", "amber-person", "SW12345", caller.token_id)
        assert not any(secret in repr(caller) for secret in secrets)


async def test_an_issuer_speaks_only_for_the_organisations_it_is_listed_for() -> None:
    keys = KeySets([TRUSTED.source(), OTHER.source()], fetch=published)
    settings = [
        IssuerSettings(TRUSTED.issuer, ALGORITHMS, None, frozenset({"amber-council"})),
        IssuerSettings(OTHER.issuer, ALGORITHMS, None, frozenset({"elm-school"})),
    ]
    validator = TokenValidator(settings, AUDIENCE, keys, revoked=lambda _: False, clock=lambda: NOW)

    assert (await validator.authenticate([TRUSTED.bearer()])).organisation == "amber-council"
    with pytest.raises(Unauthenticated) as refused:
        await validator.authenticate([OTHER.bearer()])

    assert refused.value.reason is Reason.ORGANISATION


async def test_a_persons_token_cannot_speak_for_somebody_else() -> None:
    with pytest.raises(Unauthenticated) as refused:
        await authenticated(claims={**OBO, "sub": "amber-person-9"})

    assert refused.value.reason is Reason.DELEGATION


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
async def test_the_scheme_is_read_in_any_case(scheme: str) -> None:
    assert (await a_validator().authenticate([f"{scheme} {TRUSTED.token()}"])).issuer == ISSUER


async def test_a_request_without_credentials_is_asked_for_some_without_an_error() -> None:
    with pytest.raises(Unauthenticated) as refused:
        await a_validator().authenticate([])

    assert (refused.value.error, refused.value.reason) == (None, Reason.NO_CREDENTIALS)


@pytest.mark.parametrize("value", ["", "Basic YTpi", "Token abc", "DPoP abc", "Bearerabc", "Digest a=b, c=d"])
async def test_another_scheme_is_asked_for_a_bearer_token_without_an_error(value: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        await a_validator().authenticate([value])

    assert (refused.value.error, refused.value.reason) == (None, Reason.OTHER_SCHEME)


@pytest.mark.parametrize("joined", ["Bearer {0},Bearer {0}", "Bearer {0}, Basic YTpi", "Basic YTpi, bearer {0}"])
async def test_credentials_joined_by_a_comma_are_an_invalid_request(joined: str) -> None:
    with pytest.raises(InvalidRequest):
        await a_validator().authenticate([joined.format(TRUSTED.token())])


async def test_two_authorization_headers_are_an_invalid_request_even_if_equal() -> None:
    good = TRUSTED.bearer()

    with pytest.raises(InvalidRequest) as refused:
        await a_validator().authenticate([good, good])

    assert refused.value.reason is Reason.SEVERAL_CREDENTIALS


async def test_a_token_that_was_seen_before_is_refused_once_it_expires() -> None:
    clock = TimeOfDay()
    validator, good = a_validator(clock=clock), TRUSTED.bearer(claims={"exp": NOW + 20})
    await validator.authenticate([good])

    clock.now = NOW + 20 + 30

    with pytest.raises(Unauthenticated) as refused:
        await validator.authenticate([good])
    assert refused.value.reason is Reason.EXPIRED


async def test_a_token_that_was_seen_before_is_refused_once_it_is_revoked() -> None:
    revoked = DenyList()
    validator, good = a_validator(revoked=revoked), TRUSTED.bearer(claims={"jti": "token-1"})
    await validator.authenticate([good])

    revoked.revoked.add("token-1")

    with pytest.raises(Unauthenticated) as refused:
        await validator.authenticate([good])
    assert refused.value.reason is Reason.REVOKED


async def test_a_caller_is_rechecked_before_anything_is_disclosed() -> None:
    clock, revoked = TimeOfDay(), DenyList()
    validator = a_validator(clock=clock, revoked=revoked)
    caller = await validator.authenticate([TRUSTED.bearer(claims={"jti": "token-1"})])
    validator.recheck(caller)

    revoked.revoked.add("token-1")
    with pytest.raises(Unauthenticated) as refused:
        validator.recheck(caller)
    assert refused.value.reason is Reason.REVOKED

    clock.now = NOW + 240 + 30
    with pytest.raises(Unauthenticated) as refused:
        validator.recheck(caller)
    assert refused.value.reason is Reason.EXPIRED


async def test_a_token_that_was_seen_before_is_not_verified_again_for_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    verified: list[str] = []
    check = tokens_module._check_signature

    def counted(token: str, key: VerificationKey | None, algorithm: str) -> None:
        verified.append(algorithm)
        check(token, key, algorithm)

    monkeypatch.setattr(tokens_module, "_check_signature", counted)
    clock = TimeOfDay()
    validator, good = a_validator(clock=clock), TRUSTED.bearer()

    first = await validator.authenticate([good])
    clock.now += 59
    assert await validator.authenticate([good]) is first
    assert len(verified) == 1

    clock.now += 1
    assert await validator.authenticate([good]) == first
    assert len(verified) == 2


async def test_the_memory_of_verified_tokens_is_bounded_and_forgets_the_oldest() -> None:
    validator = a_validator(cache_size=3)

    callers = [await validator.authenticate([TRUSTED.bearer()]) for _ in range(5)]

    remembered = [verified.caller for verified in validator._cache.values()]
    assert remembered == callers[-3:]


async def test_the_memory_of_verified_tokens_holds_no_token() -> None:
    validator, token = a_validator(), TRUSTED.token()

    await validator.authenticate([f"Bearer {token}"])

    assert all(isinstance(key, bytes) and len(key) == 32 for key in validator._cache)


async def test_a_clock_that_is_set_back_does_not_lengthen_the_memory() -> None:
    clock = TimeOfDay()
    validator, good = a_validator(clock=clock), TRUSTED.bearer()
    await validator.authenticate([good])

    clock.now = NOW - 3600

    with pytest.raises(Unauthenticated) as refused:
        await validator.authenticate([good])
    assert refused.value.reason is Reason.NOT_YET_VALID


def test_a_validator_is_not_built_from_settings_that_would_weaken_it() -> None:
    keys = KeySets([TRUSTED.source()], fetch=published)

    with pytest.raises(ValueError, match="some of ES256, PS256"):
        IssuerSettings(ISSUER, ("HS256",), None, None)
    with pytest.raises(ValueError, match="some of ES256, PS256"):
        IssuerSettings(ISSUER, (), None, None)
    with pytest.raises(ValueError, match="name"):
        IssuerSettings("", ALGORITHMS, None, None)
    with pytest.raises(ValueError, match="twice"):
        TokenValidator([TRUSTED.settings()] * 2, AUDIENCE, keys, revoked=lambda _: False)
    with pytest.raises(ValueError, match="key set"):
        TokenValidator([OTHER.settings()], AUDIENCE, keys, revoked=lambda _: False)
    with pytest.raises(ValueError, match="audience"):
        TokenValidator([TRUSTED.settings()], "", keys, revoked=lambda _: False)
