"""Tokens that no resource server may accept, as data: what each is, and why it must be refused.

The ids follow families: S syntax, A algorithms, B signatures, K key ids and header members, E encryption, Y types,
I issuers, U audiences, X times, Z claims, P proof and revocation, N our own additions. `NOT_REFUSED` and
`NOT_APPLICABLE` hold the two rows that other servers list as bad and that are something else here.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from joserfc import jwe
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry

from auth.refusals import Reason
from tests.fixtures.token_factory import (
    AUDIENCE,
    CLIENT,
    ISSUER,
    OMIT,
    OTHER_ISSUER,
    TokenFactory,
    as_json,
    base64url,
    public_jwk,
    signing_key,
)

NOW = 1_800_000_000
REVOKED_TOKEN_ID = "revoked-0001"


class Corpus:
    """Two trusted issuers, a published encryption key of the first, and an attacker with keys of their own."""

    def __init__(self) -> None:
        self.trusted = TokenFactory(ISSUER, clock=lambda: NOW)
        self.other = TokenFactory(OTHER_ISSUER, clock=lambda: NOW)
        self.attacker = TokenFactory(ISSUER, clock=lambda: NOW, key_name="attacker")
        self.encryption = signing_key("encryption", "ES256")

    def jwks(self) -> bytes:
        return self.trusted.jwks(public_jwk(self.encryption, use="enc", alg="ECDH-ES"))

    def token(self, **claims: Any) -> str:
        return self.trusted.token(claims=claims)

    def headed(self, **header: Any) -> str:
        return self.trusted.token(header=header)

    def raw_claims(self, old: bytes, new: bytes) -> str:
        """Return a well-signed token whose JSON text was changed before it was signed."""
        payload = as_json(self.trusted.claims())
        assert old in payload
        return self.trusted.sign_raw(as_json(self.trusted.header()), payload.replace(old, new, 1))

    def parts(self, **claims: Any) -> list[str]:
        return self.token(**claims).split(".")

    def unsigned(self, algorithm: str, signature: str = "") -> str:
        header = as_json(self.trusted.header(overrides={"alg": algorithm}))
        return f"{base64url(header)}.{base64url(as_json(self.trusted.claims()))}.{signature}"

    def keyed_hash(self, secret: bytes) -> str:
        signing_input = self.unsigned("HS256").removesuffix(".")
        return f"{signing_input}.{base64url(hmac.new(secret, signing_input.encode(), hashlib.sha256).digest())}"

    def public_pem(self, algorithm: str) -> bytes:
        return self.trusted.keys[algorithm].as_pem(private=False)

    def signed_as(self, algorithm: str, key: ECKey | RSAKey, kid: str | None) -> str:
        header = as_json(self.trusted.header(overrides={"alg": algorithm, "kid": kid}))
        signing_input = f"{base64url(header)}.{base64url(as_json(self.trusted.claims()))}"
        signature = JWSRegistry.algorithms[algorithm].sign(signing_input.encode(), key)
        return f"{signing_input}.{base64url(signature)}"

    def with_signature(self, change: Callable[[bytes], bytes]) -> str:
        header, payload, _ = self.parts()
        signature = self.trusted.signature(f"{header}.{payload}".encode())
        return f"{header}.{payload}.{base64url(change(signature))}"


Make = Callable[[Corpus], str]


@dataclass(frozen=True, slots=True)
class BadToken:
    id: str
    what: str
    reason: Reason
    make: Make


def _der(signature: bytes) -> bytes:
    def integer(raw: bytes) -> bytes:
        body = raw.lstrip(b"\0")
        body = b"\0" + body if body[0] & 0x80 else body
        return b"\x02" + bytes([len(body)]) + body

    both = integer(signature[:32]) + integer(signature[32:])
    return b"\x30" + bytes([len(both)]) + both


def _unsigned(algorithm: str) -> Make:
    return lambda corpus: corpus.unsigned(algorithm)


def _headed(**header: object) -> Make:
    return lambda corpus: corpus.headed(**header)


def _claimed(**claims: object) -> Make:
    return lambda corpus: corpus.token(**claims)


def _swapped_payload(corpus: Corpus) -> str:
    header, _, signature = corpus.parts()
    return f"{header}.{corpus.parts(roles=['police_safeguarding_officer'])[1]}.{signature}"


def _json_serialisation(corpus: Corpus) -> str:
    header, payload, signature = corpus.parts()
    return as_json({"payload": payload, "protected": header, "signature": signature}).decode()


def _nested(levels: int) -> str:
    return "[" * levels + "]" * levels


def _deep(corpus: Corpus, levels: int) -> str:
    return corpus.raw_claims(b'{"iss"', b'{"deep":' + _nested(levels).encode() + b',"iss"')


def _encrypted(corpus: Corpus) -> str:
    header = {"alg": "ECDH-ES", "enc": "A256GCM", "cty": "JWT", "kid": corpus.encryption.kid}
    key = ECKey.import_key({k: v for k, v in public_jwk(corpus.encryption).items() if k in {"kty", "crv", "x", "y"}})
    return jwe.encrypt_compact(header, corpus.token(), key, algorithms=["ECDH-ES", "A256GCM"])


def _loose_bits(corpus: Corpus) -> str:
    """The same signature bytes, spelled with trailing bits that decode to nothing."""
    token = corpus.token()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) | 1]


SYNTAX = [
    BadToken("S1", "empty", Reason.NOT_A_JWS, lambda _: ""),
    BadToken("S2", "two parts", Reason.NOT_A_JWS, lambda c: ".".join(c.parts()[:2])),
    BadToken("S3", "four parts", Reason.NOT_A_JWS, lambda c: c.token() + ".AAAA"),
    BadToken("S4", "inner space", Reason.NOT_A_JWS, lambda c: c.token().replace(".", ". ", 1)),
    BadToken("S5", "trailing newline", Reason.NOT_A_JWS, lambda c: c.token() + "\n"),
    BadToken("S6", "padded base64", Reason.NOT_A_JWS, lambda c: c.token() + "=="),
    BadToken(
        "S7",
        "payload is a text",
        Reason.NOT_STRICT_JSON,
        lambda c: c.trusted.sign_raw(as_json(c.trusted.header()), b'"text"'),
    ),
    BadToken(
        "S8",
        "payload is an array",
        Reason.NOT_STRICT_JSON,
        lambda c: c.trusted.sign_raw(as_json(c.trusted.header()), as_json([c.trusted.claims()])),
    ),
    BadToken(
        "S9",
        "sub twice",
        Reason.NOT_STRICT_JSON,
        lambda c: c.raw_claims(b'{"iss"', b'{"sub":"somebody-else","iss"'),
    ),
    BadToken("S10", "16 KB", Reason.TOO_LONG, lambda c: c.token(padding="x" * 12_000)),
    BadToken("S11", "a claim 900 deep", Reason.NOT_STRICT_JSON, lambda c: _deep(c, 900)),
    BadToken(
        "S12",
        "exp is NaN",
        Reason.NOT_STRICT_JSON,
        lambda c: c.raw_claims(f'"exp":{NOW + 240}'.encode(), b'"exp":NaN'),
    ),
    BadToken("S13", "JSON serialisation", Reason.NOT_A_JWS, _json_serialisation),
    BadToken("S14", "not UTF-8", Reason.NOT_STRICT_JSON, lambda c: c.raw_claims(b"amber-council", b"amber\xff")),
]

ALGORITHM = [
    *(
        BadToken(f"A1-{name}", f"alg {name}, no signature", Reason.NOT_A_JWS, _unsigned(name))
        for name in ("none", "None", "NONE", "nOnE")
    ),
    BadToken("A2", "none, old signature", Reason.ALGORITHM, lambda c: c.unsigned("none", c.parts()[2])),
    BadToken("A3", "HS256 keyed by the EC PEM", Reason.ALGORITHM, lambda c: c.keyed_hash(c.public_pem("ES256"))),
    BadToken("A4", "HS256 keyed by the RSA PEM", Reason.ALGORITHM, lambda c: c.keyed_hash(c.public_pem("PS256"))),
    BadToken(
        "A5",
        "HS256 keyed by the JWK text",
        Reason.ALGORITHM,
        lambda c: c.keyed_hash(as_json(public_jwk(c.trusted.keys["ES256"]))),
    ),
    BadToken("A6", "HS256, empty key", Reason.ALGORITHM, lambda c: c.keyed_hash(b"")),
    BadToken("A7", "HS256, guessable key", Reason.ALGORITHM, lambda c: c.keyed_hash(b"secret")),
    BadToken(
        "A8",
        "RS256 by a key for PS256",
        Reason.ALGORITHM,
        lambda c: c.signed_as("RS256", c.trusted.keys["PS256"], c.trusted.keys["PS256"].kid),
    ),
    BadToken(
        "A9",
        "ES256 under the kid of an RSA key",
        Reason.KEY,
        lambda c: c.headed(kid=c.trusted.keys["PS256"].kid),
    ),
    BadToken("A10", "ES384", Reason.ALGORITHM, lambda c: c.headed(alg="ES384")),
    BadToken("A11", "alg missing", Reason.ALGORITHM, lambda c: c.headed(alg=OMIT)),
    BadToken("A12", "alg is an array", Reason.HEADER, lambda c: c.headed(alg=["ES256"])),
    BadToken("A13", "ECDSA with r = s = 0", Reason.SIGNATURE, lambda c: c.with_signature(lambda _: bytes(64))),
    BadToken("A14", "DER signature", Reason.SIGNATURE, lambda c: c.with_signature(_der)),
    BadToken(
        "B1",
        "one bit of the signature",
        Reason.SIGNATURE,
        lambda c: c.with_signature(lambda s: s[:20] + bytes([s[20] ^ 1]) + s[21:]),
    ),
    BadToken("B2", "truncated signature", Reason.SIGNATURE, lambda c: c.with_signature(lambda s: s[:-3])),
    BadToken("B3", "empty signature", Reason.NOT_A_JWS, lambda c: c.with_signature(lambda _: b"")),
    BadToken("B4", "another token's payload", Reason.SIGNATURE, _swapped_payload),
    BadToken(
        "B5",
        "an attacker's key under the right kid",
        Reason.SIGNATURE,
        lambda c: c.attacker.token(header={"kid": c.trusted.keys["ES256"].kid}),
    ),
]

_ATTACKER_URL = "https://keys.attacker.example/jwks"

KEYS = [
    BadToken("K1", "unknown kid", Reason.KEY, lambda c: c.headed(kid="nobody")),
    BadToken("K2", "kid is a path", Reason.KEY, lambda c: c.headed(kid="../../../../dev/null")),
    BadToken("K3", "kid is SQL", Reason.KEY, lambda c: c.headed(kid="x' UNION SELECT 'secret' --")),
    BadToken("K4", "kid is a URL", Reason.KEY, lambda c: c.headed(kid=_ATTACKER_URL)),
    BadToken("K5", "kid missing", Reason.HEADER, lambda c: c.headed(kid=OMIT)),
    BadToken("K6", "kid is a number", Reason.HEADER, lambda c: c.headed(kid=1)),
    BadToken("K7", "kid of 10 KB", Reason.TOO_LONG, lambda c: c.headed(kid="k" * 10_000)),
    BadToken(
        "K8",
        "attacker's key in jwk",
        Reason.HEADER,
        lambda c: c.attacker.token(header={"jwk": public_jwk(c.attacker.keys["ES256"])}),
    ),
    BadToken("K9", "attacker's jku", Reason.HEADER, lambda c: c.attacker.token(header={"jku": _ATTACKER_URL})),
    BadToken("K10", "attacker's x5u", Reason.HEADER, lambda c: c.attacker.token(header={"x5u": _ATTACKER_URL})),
    BadToken("K11", "attacker's x5c", Reason.HEADER, lambda c: c.attacker.token(header={"x5c": ["MIIB"]})),
    BadToken("K12", "good token with a jku", Reason.HEADER, lambda c: c.headed(jku=_ATTACKER_URL)),
    BadToken("K13", "unknown crit", Reason.HEADER, lambda c: c.headed(crit=["bork"], bork=1)),
    BadToken("K14", "empty crit", Reason.HEADER, lambda c: c.headed(crit=[])),
    BadToken("K15", "b64 false", Reason.HEADER, lambda c: c.headed(b64=False, crit=["b64"])),
    BadToken(
        "K16",
        "signed by a key published for encryption",
        Reason.KEY,
        lambda c: c.trusted.token(header={"kid": c.encryption.kid}, key=c.encryption),
    ),
    BadToken("K17", "zip header", Reason.HEADER, lambda c: c.headed(zip="DEF")),
    BadToken("E1", "good token inside a JWE", Reason.NOT_A_JWS, _encrypted),
]

TYPES = [
    BadToken(
        "Y1", "an ID token", Reason.TYPE, lambda c: c.trusted.token(header={"typ": "JWT"}, claims={"aud": CLIENT})
    ),
    BadToken("Y2", "typ JWT", Reason.TYPE, lambda c: c.headed(typ="JWT")),
    BadToken("Y3", "typ missing", Reason.TYPE, lambda c: c.headed(typ=OMIT)),
    *(
        BadToken(f"Y{number}", f"typ {typ}", Reason.TYPE, _headed(typ=typ))
        for number, typ in enumerate(("logout+jwt", "dpop+jwt", "rt+jwt", "token-introspection+jwt"), 4)
    ),
    BadToken(
        "Y8",
        "a client assertion",
        Reason.TYPE,
        lambda c: c.trusted.token(
            header={"typ": "client-authentication+jwt"}, claims={"iss": CLIENT, "sub": CLIENT, "aud": ISSUER}
        ),
    ),
]

ISSUERS = [
    BadToken("I1", "wrong iss", Reason.ISSUER, lambda c: c.token(iss="https://id.attacker.example")),
    BadToken("I2", "iss with a slash", Reason.ISSUER, lambda c: c.token(iss=ISSUER + "/")),
    BadToken("I3", "iss in another case", Reason.ISSUER, lambda c: c.token(iss=ISSUER.upper())),
    BadToken("I4", "iss missing", Reason.ISSUER, lambda c: c.token(iss=OMIT)),
    BadToken("I5", "iss is a list", Reason.ISSUER, lambda c: c.token(iss=[ISSUER])),
    BadToken("I6", "iss A, signed by B's key", Reason.KEY, lambda c: c.other.token(claims={"iss": ISSUER})),
    BadToken(
        "I6-kid",
        "iss A, A's kid, signed by B's key",
        Reason.SIGNATURE,
        lambda c: c.other.token(claims={"iss": ISSUER}, header={"kid": c.trusted.keys["ES256"].kid}),
    ),
    BadToken("I7", "iss B, signed by A's key", Reason.KEY, lambda c: c.token(iss=OTHER_ISSUER)),
]

_AUDIENCES: list[tuple[str, str, Any]] = [
    ("U1", "another service", "https://other.example"),
    ("U2", "missing", OMIT),
    ("U3", "empty list", []),
    ("U4", "a longer name", AUDIENCE + "/v2"),
    ("U5", "the host alone", "https://gateway.example"),
    ("U6", "the issuer", ISSUER),
    ("U7", "an object", {AUDIENCE: True}),
    ("U8", "a star", "*"),
    ("N-U9", "a list with a number beside us", [AUDIENCE, 1]),
]

AUDIENCES = [BadToken(id_, f"aud: {what}", Reason.AUDIENCE, _claimed(aud=aud)) for id_, what, aud in _AUDIENCES]

_TIMES: list[tuple[str, str, Reason, dict[str, Any]]] = [
    ("X1", "expired an hour ago", Reason.EXPIRED, {"iat": NOW - 3900, "exp": NOW - 3600}),
    ("X2", "expired 31 seconds ago", Reason.EXPIRED, {"exp": NOW - 31, "iat": NOW - 300}),
    ("X3", "exp missing", Reason.TIME_MALFORMED, {"exp": OMIT}),
    ("X4", "exp is a text", Reason.TIME_MALFORMED, {"exp": str(NOW + 240)}),
    ("X5", "exp is true", Reason.TIME_MALFORMED, {"exp": True}),
    ("X7", "exp is negative", Reason.TIME_MALFORMED, {"exp": -1}),
    ("X8", "nbf in the future", Reason.NOT_YET_VALID, {"nbf": NOW + 3600}),
    ("X9", "iat in the future", Reason.NOT_YET_VALID, {"iat": NOW + 3600, "exp": NOW + 3900}),
    ("X10", "lives for a day", Reason.LIFETIME, {"exp": NOW + 86_340}),
    ("X11", "iat missing", Reason.TIME_MALFORMED, {"iat": OMIT}),
    ("N-X12", "ends before it begins", Reason.LIFETIME, {"iat": NOW + 20, "exp": NOW + 10}),
    ("N-X13", "nbf is a text", Reason.TIME_MALFORMED, {"nbf": "0"}),
    ("N-X14", "exp beyond any calendar", Reason.TIME_MALFORMED, {"exp": 1 << 60}),
    ("N-X15", "iat is null", Reason.TIME_MALFORMED, {"iat": None}),
    ("N-X16", "auth_time is a text", Reason.TIME_MALFORMED, {"auth_time": "yesterday"}),
]

TIMES = [
    *(BadToken(id_, what, reason, _claimed(**claims)) for id_, what, reason, claims in _TIMES),
    BadToken(
        "X6",
        "exp overflows",
        Reason.NOT_STRICT_JSON,
        lambda c: c.raw_claims(f'"exp":{NOW + 240}'.encode(), b'"exp":1e400'),
    ),
]

_PERSON = {"sub": "amber-worker-17", "name": None, "role": "social_worker", "registration": None}

_CLAIMS: list[tuple[str, str, Reason, dict[str, Any]]] = [
    ("Z1", "sub missing", Reason.SUBJECT, {"sub": OMIT}),
    ("Z2", "sub empty", Reason.SUBJECT, {"sub": ""}),
    ("Z3", "sub is a number", Reason.SUBJECT, {"sub": 17}),
    ("Z4", "jti missing", Reason.TOKEN_ID, {"jti": OMIT}),
    ("Z5", "client_id missing", Reason.CLIENT, {"client_id": OMIT}),
    ("Z6", "client not on the list", Reason.CLIENT_NOT_LISTED, {"client_id": "somebody-elses-app"}),
    ("Z7", "scope is a list", Reason.SCOPE, {"scope": ["involvement:read"]}),
    ("Z9", "scope missing", Reason.SCOPE, {"scope": OMIT}),
    ("Z10", "tab in scope", Reason.SCOPE, {"scope": "involvement:read\tpolice.events:read"}),
    ("Z11", "roles is an object", Reason.ROLES, {"roles": {"social_worker": True}}),
    ("Z13", "org missing", Reason.ORGANISATION, {"org": OMIT}),
    (
        "P1",
        "bound to a DPoP key",
        Reason.SENDER_CONSTRAINED,
        {"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uig"}},
    ),
    ("P2", "bound to a certificate", Reason.SENDER_CONSTRAINED, {"cnf": {"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o"}}),
    ("P3", "revoked", Reason.REVOKED, {"jti": REVOKED_TOKEN_ID}),
    ("N-P4", "cnf is null", Reason.SENDER_CONSTRAINED, {"cnf": None}),
    ("N-Z14", "scope empty", Reason.SCOPE, {"scope": ""}),
    ("N-Z15", "two spaces in scope", Reason.SCOPE, {"scope": "involvement:read  child.find"}),
    ("N-Z16", "newline after scope", Reason.SCOPE, {"scope": "involvement:read\n"}),
    ("N-Z17", "sub is blank", Reason.SUBJECT, {"sub": "  "}),
    ("N-Z18", "sub with a line break", Reason.SUBJECT, {"sub": "a\nb"}),
    ("N-Z19", "sub of 300 characters", Reason.SUBJECT, {"sub": "a" * 300}),
    ("N-Z20", "org is a list", Reason.ORGANISATION, {"org": ["amber-council"]}),
    ("N-Z21", "a role is a number", Reason.ROLES, {"roles": ["social_worker", 1]}),
    ("N-Z22", "acr is a number", Reason.ASSURANCE, {"acr": 2}),
    ("N-Z23", "name is an object", Reason.PERSON, {"name": {"given": "Jo"}}),
    ("N-Z24", "registration is a number", Reason.PERSON, {"registration": 12345}),
    ("N-Z25", "act is a text", Reason.DELEGATION, {"act": "case-system"}),
    ("N-Z26", "act without sub", Reason.DELEGATION, {"act": {}}),
    (
        "N-Z27",
        "on behalf of a role that the token lacks",
        Reason.DELEGATION,
        {"sub": CLIENT, "on_behalf_of": {**_PERSON, "role": "police_safeguarding_officer"}},
    ),
    (
        "N-Z28",
        "on behalf of an unknown role",
        Reason.DELEGATION,
        {"sub": CLIENT, "roles": ["wizard"], "on_behalf_of": {**_PERSON, "role": "wizard"}},
    ),
    ("N-Z29", "on behalf of nobody", Reason.DELEGATION, {"sub": CLIENT, "on_behalf_of": {**_PERSON, "sub": ""}}),
    ("N-Z30", "on_behalf_of is null", Reason.DELEGATION, {"sub": CLIENT, "on_behalf_of": None}),
    ("N-Z31", "two delegations at once", Reason.DELEGATION, {"act": {"sub": CLIENT}, "on_behalf_of": _PERSON}),
    ("N-Z32", "details are an object", Reason.AUTHORIZATION_DETAILS, {"authorization_details": {"type": "x"}}),
    ("N-Z33", "a detail without a type", Reason.AUTHORIZATION_DETAILS, {"authorization_details": [{}]}),
    (
        "N-Z34",
        "a detail with an unknown purpose",
        Reason.AUTHORIZATION_DETAILS,
        {"authorization_details": [{"type": "child_lookup", "purpose": "CURIOSITY"}]},
    ),
    (
        "N-Z35",
        "a detail whose case reference is a number",
        Reason.AUTHORIZATION_DETAILS,
        {"authorization_details": [{"type": "child_lookup", "caseReference": 7}]},
    ),
]

CLAIMS = [BadToken(id_, what, reason, _claimed(**claims)) for id_, what, reason, claims in _CLAIMS]

OURS = [
    BadToken("N-S15", "trailing bits that decode to nothing", Reason.NOT_A_JWS, _loose_bits),
    BadToken("N-S16", "a claim nine deep", Reason.NOT_STRICT_JSON, lambda c: _deep(c, 8)),
    BadToken(
        "N-S17",
        "alg twice in the header",
        Reason.NOT_STRICT_JSON,
        lambda c: c.trusted.sign_raw(
            as_json(c.trusted.header()).replace(b"{", b'{"alg":"none",', 1), as_json(c.trusted.claims())
        ),
    ),
    BadToken(
        "N-S18",
        "a byte order mark",
        Reason.NOT_STRICT_JSON,
        lambda c: c.trusted.sign_raw(as_json(c.trusted.header()), b"\xef\xbb\xbf" + as_json(c.trusted.claims())),
    ),
    BadToken(
        "N-S19",
        "a lone surrogate",
        Reason.NOT_STRICT_JSON,
        lambda c: c.raw_claims(b"amber-council", b"amber-\\ud800"),
    ),
    BadToken(
        "N-S20",
        "a number of 40 digits",
        Reason.NOT_STRICT_JSON,
        lambda c: c.raw_claims(b'{"iss"', b'{"n":' + b"9" * 40 + b',"iss"'),
    ),
    BadToken("N-S21", "a character outside ASCII", Reason.NOT_A_JWS, lambda c: c.token() + "é"),
    BadToken("N-S22", "a fifth of a quantum", Reason.NOT_A_JWS, lambda c: ".".join([*c.parts()[:2], "AAAAA"])),
    BadToken("N-K18", "typ is an array", Reason.HEADER, lambda c: c.headed(typ=["at+jwt"])),
    BadToken("N-K19", "kid empty", Reason.HEADER, lambda c: c.headed(kid="")),
    BadToken("N-K20", "kid of 300 characters", Reason.HEADER, lambda c: c.headed(kid="k" * 300)),
]

BAD_TOKENS: list[BadToken] = [
    *SYNTAX,
    *ALGORITHM,
    *KEYS,
    *TYPES,
    *ISSUERS,
    *AUDIENCES,
    *TIMES,
    *CLAIMS,
    *OURS,
]

NOT_REFUSED = {"Z8": "a scope that merely begins like one of ours: the token is good and opens nothing"}
NOT_APPLICABLE = {"Z12": "the purpose is an argument of each lookup here, not a claim"}

LISTED_IDS = (
    *(f"S{n}" for n in range(1, 15)),
    *(f"A{n}" for n in range(1, 15)),
    *(f"B{n}" for n in range(1, 6)),
    *(f"K{n}" for n in range(1, 18)),
    "E1",
    *(f"Y{n}" for n in range(1, 9)),
    *(f"I{n}" for n in range(1, 8)),
    *(f"U{n}" for n in range(1, 9)),
    *(f"X{n}" for n in range(1, 12)),
    *(f"Z{n}" for n in range(1, 14)),
    *(f"P{n}" for n in range(1, 4)),
)
"""Every row of the published table; a test holds the lists above to it."""
