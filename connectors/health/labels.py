"""Security labels, and the basis on which a labelled row may be mentioned at all.

Source: HL7 v3-ActCode (sensitivity) and v3-Confidentiality; the extension is this project's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from connectors.health.resources import Coding, Extension, whole_date
from schema.vocabulary import DisclosureBasis, RefusalReason, Sensitivity

CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
DISCLOSURE_BASIS = "https://contactpoint.example/fhir/disclosure-basis"
BASIS_UNTIL = f"{DISCLOSURE_BASIS}-until"
BASIS_WITHDRAWN = f"{DISCLOSURE_BASIS}-withdrawn"

_SENSITIVE = frozenset({"MH", "PSY", "SEX", "SUD", "ETH", "HIV", "R", "V"})
_ORDINARY = frozenset({"U", "L", "M", "N"})
_RESTRICTED, _VERY_RESTRICTED = "R", "V"


def sensitivity(labels: Iterable[Coding]) -> Sensitivity:
    """Return SENSITIVE if any label says so, UNKNOWN if any is not known here, STANDARD only if neither."""
    unknown = False
    for label in labels:
        # whichever system it is written under: being wrong this way round withholds a row, the other way discloses it
        if label.code in _SENSITIVE:
            return Sensitivity.SENSITIVE
        if label.code not in _ORDINARY or label.system not in (CONFIDENTIALITY, None):
            unknown = True
    return Sensitivity.UNKNOWN if unknown else Sensitivity.STANDARD


def refusal(labels: Iterable[Coding], basis: DisclosureBasis | None) -> RefusalReason | None:
    """Return RESTRICTED for a row that its source restricts: V whatever else is stated, R where no basis lifts it."""
    codes = {label.code for label in labels}
    restricted = _VERY_RESTRICTED in codes or (_RESTRICTED in codes and basis is None)
    return RefusalReason.RESTRICTED if restricted else None


def disclosure_basis(
    resources: Iterable[tuple[Extension, ...]],
) -> tuple[DisclosureBasis | None, date | None]:
    """Return the one basis that the resources of a row state, and its expiry; None if they state none or disagree."""
    stated = {
        _read(extension) for extensions in resources for extension in extensions if extension.url == DISCLOSURE_BASIS
    }
    return stated.pop() if len(stated) == 1 else (None, None)


def _read(extension: Extension) -> tuple[DisclosureBasis | None, date | None]:
    beside = extension.beside_value_code.extension if extension.beside_value_code else ()
    if extension.value_code not in tuple(DisclosureBasis) or extension.extension:
        # a value and extensions of its own at once is no extension at all: what they would have said cannot be known
        return None, None
    if any(inner.url == BASIS_WITHDRAWN for inner in beside):
        return None, None
    until = [inner for inner in beside if inner.url == BASIS_UNTIL]
    expires = whole_date(until[0].value_date or until[0].value_date_time) if len(until) == 1 else None
    if until and expires is None:
        # a basis whose end cannot be read is not relied on
        return None, None
    return DisclosureBasis(extension.value_code), expires
