"""Security labels, and the basis on which a labelled row may be mentioned at all.

Source: HL7 v3-ActCode (sensitivity) and v3-Confidentiality; the extension is this project's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from connectors.health.resources import Coding, Extension, whole_date
from schema.vocabulary import DisclosureBasis, Sensitivity

CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
DISCLOSURE_BASIS = "https://contactpoint.example/fhir/disclosure-basis"

_SENSITIVE = frozenset({"MH", "PSY", "SEX", "SUD", "ETH", "HIV", "R", "V"})
_ORDINARY = frozenset({"U", "L", "M", "N"})


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


def disclosure_basis(
    resources: Iterable[tuple[Extension, ...]],
) -> tuple[DisclosureBasis | None, date | None]:
    """Return the one basis that the resources of a row state, and its expiry; None if they state none or disagree."""
    stated = {
        _read(extension) for extensions in resources for extension in extensions if extension.url == DISCLOSURE_BASIS
    }
    return stated.pop() if len(stated) == 1 else (None, None)


def _read(extension: Extension) -> tuple[DisclosureBasis | None, date | None]:
    until = [inner for inner in extension.extension if inner.url == "until"]
    expires = whole_date(until[0].value_date or until[0].value_date_time) if len(until) == 1 else None
    if extension.value_code not in tuple(DisclosureBasis) or (until and expires is None):
        # a basis whose end cannot be read is not relied on
        return None, None
    return DisclosureBasis(extension.value_code), expires
