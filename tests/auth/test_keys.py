"""Key sets: which are imported, how they rotate, and what an outage of the issuer does and does not do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey

from auth import keys as keys_module
from auth.jwks import _ROCA_PRIMES, KeySetRefused, SetFault, import_key_set
from auth.keys import KeySets, KeySource, KeysUnavailable
from auth.refusals import Reason, Unauthenticated
from auth.tokens import TokenValidator
from tests.fixtures.token_factory import (
    ALGORITHMS,
    AUDIENCE,
    ISSUER,
    OMIT,
    OTHER_ISSUER,
    TokenFactory,
    as_json,
    base64url,
    public_jwk,
    signing_key,
)

pytestmark = pytest.mark.anyio

NOW = 1_800_000_000
OLD = TokenFactory(clock=lambda: NOW, key_name="old")
NEW = TokenFactory(clock=lambda: NOW, key_name="new")
GOOD = public_jwk(OLD.keys["ES256"])


# --- what is imported


def a_set(*keys: object) -> bytes:
    return as_json({"keys": list(keys)})


def _number(value: int) -> str:
    return base64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _roca_modulus() -> int:
    product = 1
    for prime in _ROCA_PRIMES:
        product *= prime
    modulus = (1 << 2047) // product * product + product + pow(65_537, 5, product)
    return modulus if modulus & 1 else modulus + product


def _off_curve() -> dict[str, Any]:
    return {**GOOD, "kid": "off", "x": GOOD["y"], "y": GOOD["x"]}


RSA = public_jwk(OLD.keys["PS256"], kid="rsa")
HOSTILE: list[Any] = [
    pytest.param(lambda: OctKey.generate_key(256).as_dict(), SetFault.SYMMETRIC_KEY, id="symmetric"),
    pytest.param(lambda: {"kty": "oct", "use": "enc", "k": "AAAA"}, SetFault.SYMMETRIC_KEY, id="symmetric-for-enc"),
    pytest.param(lambda: {**GOOD, "kid": "k", "k": "AAAA"}, SetFault.SYMMETRIC_KEY, id="symmetric-in-disguise"),
    pytest.param(lambda: dict(NEW.keys["ES256"].as_dict(private=True)), SetFault.PRIVATE_KEY, id="private-ec"),
    pytest.param(lambda: dict(NEW.keys["PS256"].as_dict(private=True)), SetFault.PRIVATE_KEY, id="private-rsa"),
    pytest.param(lambda: {**GOOD, "kid": "p", "use": "enc", "d": "AAAA"}, SetFault.PRIVATE_KEY, id="private-for-enc"),
    pytest.param(lambda: {**RSA, "n": _number((1 << 1023) + 1)}, SetFault.WEAK_KEY, id="rsa-1024"),
    pytest.param(lambda: {**RSA, "n": _number((1 << 2046) + 1)}, SetFault.WEAK_KEY, id="rsa-2047"),
    pytest.param(lambda: {**RSA, "n": _number((1 << 9000) + 1)}, SetFault.WEAK_KEY, id="rsa-9000"),
    pytest.param(lambda: {**RSA, "e": _number(3)}, SetFault.WEAK_KEY, id="rsa-exponent-three"),
    pytest.param(lambda: {**RSA, "e": _number(1)}, SetFault.WEAK_KEY, id="rsa-exponent-one"),
    pytest.param(lambda: {**RSA, "n": _number(_roca_modulus())}, SetFault.WEAK_KEY, id="roca"),
    pytest.param(lambda: {**RSA, "n": RSA["n"] + "=="}, SetFault.MALFORMED_KEY, id="rsa-padded"),
    pytest.param(lambda: {**RSA, "n": 17}, SetFault.MALFORMED_KEY, id="rsa-modulus-is-a-number"),
    pytest.param(lambda: {"kty": "RSA", "kid": "r"}, SetFault.MALFORMED_KEY, id="rsa-empty"),
    pytest.param(
        lambda: public_jwk(ECKey.generate_key("P-384"), kid="k", alg="ES256"), SetFault.WEAK_KEY, id="es256-on-p384"
    ),
    pytest.param(_off_curve, SetFault.MALFORMED_KEY, id="point-off-the-curve"),
    pytest.param(lambda: {**GOOD, "kid": "k", "x": GOOD["x"][:-2]}, SetFault.MALFORMED_KEY, id="short-coordinate"),
    pytest.param(
        lambda: {**GOOD, "kid": "k", "y": base64url(bytes(31))}, SetFault.MALFORMED_KEY, id="31-byte-coordinate"
    ),
    pytest.param(lambda: {"kty": "EC", "crv": "P-256", "kid": "k"}, SetFault.MALFORMED_KEY, id="ec-empty"),
    pytest.param(lambda: {**GOOD, "kid": "k", "alg": "PS256"}, SetFault.MALFORMED_KEY, id="alg-of-another-type"),
    pytest.param(lambda: GOOD, SetFault.DUPLICATE_KID, id="kid-twice"),
    pytest.param(lambda: {**GOOD, "use": "enc", "alg": "ECDH-ES"}, SetFault.DUPLICATE_KID, id="kid-twice-for-enc"),
    pytest.param(lambda: {**GOOD, "kid": 7}, SetFault.MALFORMED_KEY, id="kid-is-a-number"),
    pytest.param(lambda: {**GOOD, "kid": ""}, SetFault.MALFORMED_KEY, id="kid-empty"),
    pytest.param(lambda: {**GOOD, "kid": "k", "use": ["sig"]}, SetFault.MALFORMED_KEY, id="use-is-a-list"),
    pytest.param(lambda: {**GOOD, "kid": "k", "key_ops": "verify"}, SetFault.MALFORMED_KEY, id="key-ops-is-a-text"),
    pytest.param(lambda: {"kid": "k"}, SetFault.MALFORMED_KEY, id="kty-missing"),
    pytest.param(lambda: "key", SetFault.NOT_A_KEY_SET, id="key-is-a-text"),
]


@pytest.mark.parametrize(("hostile", "fault"), HOSTILE)
def test_one_bad_key_refuses_the_whole_set(hostile: Callable[[], object], fault: SetFault) -> None:
    with pytest.raises(KeySetRefused) as refused:
        import_key_set(a_set(GOOD, hostile()), ALGORITHMS)

    assert refused.value.fault is fault


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        pytest.param(b"<html>sign in</html>", SetFault.NOT_A_KEY_SET, id="html"),
        pytest.param(b"", SetFault.NOT_A_KEY_SET, id="empty"),
        pytest.param(b"[]", SetFault.NOT_A_KEY_SET, id="array"),
        pytest.param(b"{}", SetFault.NOT_A_KEY_SET, id="no-keys-member"),
        pytest.param(b'{"keys":{}}', SetFault.NOT_A_KEY_SET, id="keys-is-an-object"),
        pytest.param(b'{"keys":[],"keys":[' + as_json(GOOD) + b"]}", SetFault.NOT_A_KEY_SET, id="keys-twice"),
        pytest.param(b'{"keys":[]}', SetFault.NO_USABLE_KEY, id="no-keys"),
        pytest.param(a_set(GOOD) + b" " * 65_536, SetFault.TOO_LARGE, id="too-large"),
        pytest.param(b" " * 10_000_000, SetFault.TOO_LARGE, id="ten-megabytes"),
    ],
)
def test_what_is_no_key_set_is_refused(document: bytes, fault: SetFault) -> None:
    with pytest.raises(KeySetRefused) as refused:
        import_key_set(document, ALGORITHMS)

    assert refused.value.fault is fault


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({**GOOD, "kid": "k", "use": "enc", "alg": "ECDH-ES"}, id="for-encryption"),
        pytest.param({**RSA, "use": "enc", "alg": "RSA-OAEP"}, id="rsa-for-encryption"),
        pytest.param({**RSA, "alg": "RS256"}, id="for-another-algorithm"),
        pytest.param({**GOOD, "kid": "k", "key_ops": ["deriveBits"]}, id="for-key-agreement"),
        pytest.param(public_jwk(ECKey.generate_key("P-384"), kid="k", alg="ES384"), id="es384"),
        pytest.param(public_jwk(ECKey.generate_key("secp256k1"), kid="k"), id="another-curve"),
        pytest.param(dict(OKPKey.generate_key("Ed25519").as_dict(private=False)), id="ed25519"),
        pytest.param({name: v for name, v in RSA.items() if name != "kid"}, id="without-kid"),
    ],
)
def test_a_well_formed_key_for_something_else_is_passed_over(other: dict[str, Any]) -> None:
    assert import_key_set(a_set(other, GOOD), ALGORITHMS).keys() == {GOOD["kid"]}


def test_a_key_that_names_neither_use_nor_algorithm_serves_the_one_that_its_type_allows() -> None:
    bare = [public_jwk(OLD.keys[algorithm], use=OMIT, alg=OMIT, key_ops=OMIT) for algorithm in ALGORITHMS]

    imported = import_key_set(a_set(*bare), ALGORITHMS)

    assert [key.algorithm for key in imported.values()] == ["ES256", "PS256"]


def test_a_key_for_an_algorithm_that_the_issuer_may_not_use_is_passed_over() -> None:
    assert [key.algorithm for key in import_key_set(OLD.jwks(), ("PS256",)).values()] == ["PS256"]


def test_an_imported_key_cannot_sign() -> None:
    imported = import_key_set(OLD.jwks(), ALGORITHMS)

    assert not any(key.key.is_private for key in imported.values())


# --- where it comes from


@pytest.mark.parametrize(
    "url",
    [
        "http://id.amber.example/jwks",
        "http://10.0.0.1/jwks",
        "http://127.0.0.1.example/jwks",
        "file:///etc/passwd",
        "ftp://id.amber.example/jwks",
        "https:///jwks",
        "https://user:secret@id.amber.example/jwks",
        "https://[/jwks",
        "jwks",
    ],
)
def test_an_unsafe_key_set_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        KeySource(ISSUER, ALGORITHMS, url, None)


@pytest.mark.parametrize(
    "url", ["https://id.example/k", "http://127.0.0.1:9/k", "http://[::1]/k", "http://localhost/k"]
)
def test_https_and_the_loopback_address_are_accepted(url: str) -> None:
    assert KeySource(ISSUER, ALGORITHMS, url, None).jwks_uri == url


def test_a_key_source_is_a_url_or_a_file_and_has_known_algorithms() -> None:
    with pytest.raises(ValueError, match="either"):
        KeySource(ISSUER, ALGORITHMS, None, None)
    with pytest.raises(ValueError, match="either"):
        KeySource(ISSUER, ALGORITHMS, "https://id.example/k", Path("keys.json"))
    with pytest.raises(ValueError, match="some of"):
        KeySource(ISSUER, ("RS256",), "https://id.example/k", None)
    with pytest.raises(ValueError, match="fetch"):
        KeySets([OLD.source()], fetch=None)
    with pytest.raises(ValueError, match="twice"):
        KeySets([OLD.source(), OLD.source()], fetch=Site().fetch)


async def test_a_file_serves_as_a_key_set_and_is_read_again(tmp_path: Path) -> None:
    file, clock = tmp_path / "jwks.json", Clock()
    file.write_bytes(OLD.jwks())
    keys = KeySets([KeySource(ISSUER, ALGORITHMS, None, file)], fetch=None, clock=clock)
    validator = a_validator(keys)
    assert (await validator.authenticate([OLD.bearer()])).issuer == ISSUER

    file.write_bytes(NEW.jwks())

    assert (await validator.authenticate([NEW.bearer()])).issuer == ISSUER


async def test_a_file_that_is_too_large_is_not_read_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(OLD.jwks() + b" " * 70_000)
    keys = KeySets([KeySource(ISSUER, ALGORITHMS, None, file)], fetch=None)

    await keys.load()

    assert keys.faults == {ISSUER: SetFault.TOO_LARGE}


# --- rotation and outage


class Clock:
    def __init__(self) -> None:
        self.now = 5_000.0

    def __call__(self) -> float:
        return self.now


class Site:
    """An issuer's published set; counts how often it was asked."""

    def __init__(self, document: bytes | None = None) -> None:
        self.document: bytes | None = document or OLD.jwks()
        self.calls = 0

    async def fetch(self, _url: str) -> bytes:
        self.calls += 1
        await asyncio.sleep(0)
        if self.document is None:
            raise ConnectionError
        return self.document


class HangingSite(Site):
    async def fetch(self, _url: str) -> bytes:
        self.calls += 1
        await asyncio.Event().wait()
        return b""


class HeldSite(Site):
    """Answers when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.let = asyncio.Event()

    async def fetch(self, url: str) -> bytes:
        await self.let.wait()
        return await super().fetch(url)


def a_validator(keys: KeySets) -> TokenValidator:
    return TokenValidator([OLD.settings()], AUDIENCE, keys, revoked=lambda _: False, clock=lambda: NOW)


def set_up(site: Site) -> tuple[KeySets, TokenValidator, Clock]:
    clock = Clock()
    keys = KeySets([OLD.source()], fetch=site.fetch, clock=clock)
    return keys, a_validator(keys), clock


async def reason(validator: TokenValidator, authorization: str) -> Reason:
    with pytest.raises(Unauthenticated) as refused:
        await validator.authenticate([authorization])
    return refused.value.reason


async def test_a_new_key_is_accepted_after_one_fetch() -> None:
    site = Site()
    keys, validator, _ = set_up(site)
    await keys.load()
    site.document = NEW.jwks()

    assert (await validator.authenticate([NEW.bearer()])).issuer == ISSUER
    assert site.calls == 2


async def test_a_thousand_unknown_kids_cost_at_most_one_fetch_a_minute() -> None:
    site = Site()
    keys, validator, clock = set_up(site)
    await keys.load()
    site.calls = 0

    for number in range(1000):
        clock.now += 60 / 1000
        assert await reason(validator, OLD.bearer(header={"kid": f"k{number}"})) is Reason.KEY
    assert site.calls == 1

    clock.now += 60
    await asyncio.gather(*(reason(validator, OLD.bearer(header={"kid": f"c{number}"})) for number in range(100)))
    assert site.calls == 2


async def test_without_the_pause_every_unknown_kid_would_cost_a_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys_module, "REFETCH_PAUSE_SECONDS", 0.0)
    site = Site()
    keys, validator, _ = set_up(site)
    await keys.load()

    for number in range(10):
        await reason(validator, OLD.bearer(header={"kid": f"k{number}"}))

    assert site.calls == 1 + 10


async def test_the_first_token_of_a_cold_server_costs_one_fetch_even_with_an_unknown_kid() -> None:
    site = Site()
    _, validator, _ = set_up(site)

    assert await reason(validator, OLD.bearer(header={"kid": "nobody"})) is Reason.KEY
    assert site.calls == 1


async def test_a_removed_key_is_dead_within_five_minutes_even_for_a_token_seen_before() -> None:
    site = Site()
    _, validator, clock = set_up(site)
    await validator.authenticate([OLD.bearer()])
    site.document = NEW.jwks()

    clock.now += 239
    seen = OLD.bearer()
    await validator.authenticate([seen])
    clock.now += 1
    assert await reason(validator, OLD.bearer()) is Reason.KEY

    assert await reason(validator, seen) is Reason.KEY
    assert keys_module.REFRESH_SECONDS + 60 <= 300


async def test_what_was_verified_with_a_set_is_dropped_when_the_set_changes() -> None:
    site = Site()
    keys, validator, clock = set_up(site)
    seen = OLD.bearer()
    await validator.authenticate([seen])

    site.document = NEW.jwks()
    clock.now += 180
    await keys.keep_fresh()

    assert await reason(validator, seen) is Reason.KEY


async def test_an_unchanged_set_keeps_what_was_verified() -> None:
    site = Site()
    keys, validator, clock = set_up(site)
    await validator.authenticate([OLD.bearer()])
    clock.now += 240
    await keys.keep_fresh()

    issuer_keys = keys.of(ISSUER)

    assert issuer_keys is not None
    assert (issuer_keys.generation, site.calls) == (1, 2)


@pytest.mark.parametrize(("hostile", "fault"), HOSTILE[:9])
async def test_a_hostile_set_leaves_the_last_good_keys(hostile: Callable[[], object], fault: SetFault) -> None:
    site = Site()
    keys, validator, clock = set_up(site)
    await keys.load()
    site.document = a_set(public_jwk(NEW.keys["ES256"], kid="fresh"), hostile())

    clock.now += 240

    assert (await validator.authenticate([OLD.bearer()])).issuer == ISSUER
    assert await reason(validator, NEW.bearer(header={"kid": "fresh"})) is Reason.KEY
    assert keys.faults == {ISSUER: fault}


async def test_the_last_good_keys_serve_for_an_hour_and_then_nobody_can_tell() -> None:
    site = Site()
    keys, validator, clock = set_up(site)
    await keys.load()
    site.document = None

    clock.now += 3600
    assert (await validator.authenticate([OLD.bearer()])).issuer == ISSUER

    clock.now += 1
    with pytest.raises(KeysUnavailable):
        await validator.authenticate([OLD.bearer()])
    assert not keys.ready

    clock.now += 5
    site.document = NEW.jwks()
    assert (await validator.authenticate([NEW.bearer()])).issuer == ISSUER
    assert keys.faults == {}


async def test_a_server_that_never_had_keys_is_not_ready_and_says_so_rather_than_refuse() -> None:
    site = Site()
    site.document = None
    keys, validator, _ = set_up(site)

    await keys.load()

    assert not keys.ready
    with pytest.raises(KeysUnavailable):
        await validator.authenticate([OLD.bearer()])
    assert keys.faults == {ISSUER: SetFault.UNREACHABLE}


async def test_an_issuer_that_is_down_is_not_asked_by_every_request() -> None:
    site = Site()
    keys, validator, clock = set_up(site)
    await keys.load()
    site.document, site.calls = None, 0
    clock.now += 240

    for _ in range(100):
        await validator.authenticate([OLD.bearer()])
        await asyncio.sleep(0)

    assert site.calls == 1


async def test_an_issuer_that_hangs_holds_nobody_up_after_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys_module, "FETCH_SECONDS", 0.001)
    site = HangingSite()
    keys, validator, _ = set_up(site)

    await keys.load()

    assert keys.faults == {ISSUER: SetFault.UNREACHABLE}
    with pytest.raises(KeysUnavailable):
        await validator.authenticate([OLD.bearer()])
    assert site.calls == 1


async def test_many_at_once_share_one_fetch_and_one_who_leaves_does_not_end_it() -> None:
    site = HeldSite()
    _, validator, _ = set_up(site)
    callers = [asyncio.create_task(validator.authenticate([OLD.bearer()])) for _ in range(50)]
    await asyncio.sleep(0)

    callers[0].cancel()
    await asyncio.sleep(0)
    site.let.set()
    answers = await asyncio.gather(*callers, return_exceptions=True)

    assert isinstance(answers[0], asyncio.CancelledError)
    assert not any(isinstance(answer, BaseException) for answer in answers[1:])
    assert site.calls == 1


async def test_a_quiet_server_stays_ready_while_its_timer_runs() -> None:
    site = Site()
    keys, _, clock = set_up(site)
    await keys.load()

    for _ in range(240):
        clock.now += 30
        await keys.keep_fresh()

    assert keys.ready
    assert site.calls == 1 + 240 // 6


async def test_one_issuers_outage_is_not_everybodys() -> None:
    other = TokenFactory(OTHER_ISSUER, clock=lambda: NOW)

    async def fetch(url: str) -> bytes:
        if url.startswith(OTHER_ISSUER):
            raise ConnectionError
        return OLD.jwks()

    keys = KeySets([OLD.source(), other.source()], fetch=fetch)
    await keys.load()
    validator = TokenValidator(
        [OLD.settings(), other.settings()], AUDIENCE, keys, revoked=lambda _: False, clock=lambda: NOW
    )

    assert keys.ready
    assert (await validator.authenticate([OLD.bearer()])).issuer == ISSUER
    with pytest.raises(KeysUnavailable):
        await validator.authenticate([other.bearer()])


async def test_the_age_of_the_keys_can_be_watched() -> None:
    keys, _, clock = set_up(Site())
    issuer_keys = keys.of(ISSUER)
    assert issuer_keys is not None
    assert issuer_keys.age_seconds is None

    await keys.load()
    clock.now += 17

    assert issuer_keys.age_seconds == 17


def test_the_hostile_keys_would_be_good_but_for_one_thing() -> None:
    fresh = public_jwk(signing_key("fresh", "PS256"))

    assert set(import_key_set(a_set(GOOD, RSA, fresh), ALGORITHMS)) == {GOOD["kid"], "rsa", "fresh-ps256"}
    assert json.loads(a_set(GOOD))["keys"][0]["kty"] == "EC"
