"""The public keys of an issuer: which of a published set we accept.

The policy on import is ours: libraries accept 1024-bit RSA keys, mixed sets with symmetric keys and keys with a known
weakness (Project Wycheproof, JWK tests). One bad key refuses the whole set, because somebody who can add a bad key to
it can add a good one too; a well-formed key for another use or algorithm is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from auth.strict_json import NotStrict, decode_base64url, decode_object

MAX_DOCUMENT_BYTES = 65_536
ALGORITHMS = ("ES256", "PS256")
_KEY_TYPE = {"ES256": "EC", "PS256": "RSA"}
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"})
_MAX_KID = 200
_PRINTABLE = re.compile(r"[\x21-\x7E]+")


class SetFault(StrEnum):
    """Why a published key set was refused as a whole."""

    TOO_LARGE = "TOO_LARGE"
    NOT_A_KEY_SET = "NOT_A_KEY_SET"
    SYMMETRIC_KEY = "SYMMETRIC_KEY"
    PRIVATE_KEY = "PRIVATE_KEY"
    MALFORMED_KEY = "MALFORMED_KEY"
    WEAK_KEY = "WEAK_KEY"
    DUPLICATE_KID = "DUPLICATE_KID"
    NO_USABLE_KEY = "NO_USABLE_KEY"
    UNREACHABLE = "UNREACHABLE"


class KeySetRefused(Exception):
    """A published key set is not used; `fault` says why, and nothing of the document."""

    def __init__(self, fault: SetFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """One public key, for one algorithm: a key never serves two (RFC 8725, section 3.1)."""

    kid: str
    algorithm: str
    key: ECKey | RSAKey


def import_key_set(document: bytes, algorithms: Collection[str]) -> Mapping[str, VerificationKey]:
    """Return the signing keys of a JWK set (RFC 7517) by `kid`, for the issuer's algorithms.

    Raises KeySetRefused if the document, or any one key in it, breaks the policy, or if no key is left.
    """
    if len(document) > MAX_DOCUMENT_BYTES:
        raise KeySetRefused(SetFault.TOO_LARGE)
    try:
        published = decode_object(document).get("keys")
    except NotStrict:
        raise KeySetRefused(SetFault.NOT_A_KEY_SET) from None
    if not isinstance(published, list) or not all(isinstance(jwk, dict) for jwk in published):
        raise KeySetRefused(SetFault.NOT_A_KEY_SET)
    kids = [jwk["kid"] for jwk in published if "kid" in jwk]
    if any(not isinstance(kid, str) or len(kid) > _MAX_KID or not _PRINTABLE.fullmatch(kid) for kid in kids):
        raise KeySetRefused(SetFault.MALFORMED_KEY)
    if len(set(kids)) != len(kids):
        raise KeySetRefused(SetFault.DUPLICATE_KID)
    accepted = [key for jwk in published if (key := _accepted(jwk, algorithms)) is not None]
    if not accepted:
        raise KeySetRefused(SetFault.NO_USABLE_KEY)
    return MappingProxyType({key.kid: key for key in accepted})


def _accepted(jwk: dict[str, Any], algorithms: Collection[str]) -> VerificationKey | None:
    """Return the key, or None for one that is well formed and not for us; raise KeySetRefused for a bad one."""
    kty = jwk.get("kty")
    # first of all, and whatever the key says it is for: a secret that is published is no secret
    if kty == "oct" or "k" in jwk:
        raise KeySetRefused(SetFault.SYMMETRIC_KEY)
    if not _PRIVATE_MEMBERS.isdisjoint(jwk):
        raise KeySetRefused(SetFault.PRIVATE_KEY)
    if not isinstance(kty, str) or any(not isinstance(jwk.get(name, ""), str) for name in ("use", "alg", "crv")):
        raise KeySetRefused(SetFault.MALFORMED_KEY)
    if not _for_verification(jwk):
        return None
    algorithm = _algorithm(jwk, kty)
    key: ECKey | RSAKey | None = None
    if kty == "RSA":
        key = _rsa_key(jwk)
    elif kty == "EC" and algorithm == "ES256":
        key = _p256_key(jwk)
    if key is None or algorithm is None or algorithm not in algorithms or "kid" not in jwk:
        return None
    return VerificationKey(jwk["kid"], algorithm, key)


def _for_verification(jwk: dict[str, Any]) -> bool:
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or not all(isinstance(operation, str) for operation in operations):
        raise KeySetRefused(SetFault.MALFORMED_KEY)
    return jwk.get("use", "sig") == "sig" and "verify" in operations


def _algorithm(jwk: dict[str, Any], kty: str) -> str | None:
    """Return the one algorithm that the key serves; one that names none is bound by its type, never by a token."""
    named: str | None = jwk.get("alg")
    if named is None:
        if kty == "RSA":
            return "PS256"
        return "ES256" if kty == "EC" and jwk.get("crv") == "P-256" else None
    if named not in ALGORITHMS:
        return None
    if _KEY_TYPE[named] != kty:
        raise KeySetRefused(SetFault.MALFORMED_KEY)
    return named


def _p256_key(jwk: dict[str, Any]) -> ECKey:
    if jwk.get("crv") != "P-256":
        raise KeySetRefused(SetFault.WEAK_KEY)
    try:
        if any(len(decode_base64url(jwk[name])) != 32 for name in ("x", "y")):
            raise KeySetRefused(SetFault.MALFORMED_KEY)
        key = ECKey.import_key({"kty": "EC", "crv": "P-256", "x": jwk["x"], "y": jwk["y"]})
        _ = key.public_key  # a point off the curve is refused here, not at the first token
    except (JoseError, ValueError, KeyError, TypeError):
        raise KeySetRefused(SetFault.MALFORMED_KEY) from None
    return key


def _rsa_key(jwk: dict[str, Any]) -> RSAKey:
    try:
        modulus = int.from_bytes(decode_base64url(jwk["n"]), "big")
        exponent = int.from_bytes(decode_base64url(jwk["e"]), "big")
    except (NotStrict, KeyError, TypeError):
        raise KeySetRefused(SetFault.MALFORMED_KEY) from None
    # lower bound: NIST SP 800-131A; upper bound: the time of one verification; exponent: FIPS 186-5, A.1.1
    if not 2048 <= modulus.bit_length() <= 8192 or not modulus & 1:
        raise KeySetRefused(SetFault.WEAK_KEY)
    if not exponent & 1 or not 65_537 <= exponent < 1 << 32 or _has_roca_fingerprint(modulus):
        raise KeySetRefused(SetFault.WEAK_KEY)
    try:
        key = RSAKey.import_key({"kty": "RSA", "n": jwk["n"], "e": jwk["e"]})
        _ = key.public_key
    except (JoseError, ValueError):
        raise KeySetRefused(SetFault.MALFORMED_KEY) from None
    return key


_ROCA_PRIMES = (
    *(3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103),
    *(107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167),
)
_ROCA_RESIDUES = {prime: frozenset(pow(65_537, power, prime) for power in range(prime)) for prime in _ROCA_PRIMES}


def _has_roca_fingerprint(modulus: int) -> bool:
    """True for a modulus made by the faulty Infineon generator (CVE-2017-15361): a power of 65537 modulo each prime."""
    return all(modulus % prime in residues for prime, residues in _ROCA_RESIDUES.items())
