"""What every driver's answers have in common: the mask's own words, and answers that hold no row."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from connectors.base import FieldMask
from connectors.faults import FaultCode, SourceFailed
from schema.records import Answered, NoAnswer, SubjectRef
from schema.sections import SECTIONS, SectionDeclaration
from schema.vocabulary import InvolvementStatus, SourceReason

INVOLVEMENTS = "involvements"
PREVIOUS = "involvements.previous"
SUBJECT_KIND = "SUBJECT_KIND"

_DECLARED = MappingProxyType({declaration.cls: declaration for declaration in SECTIONS.values()})


def opened(mask: FieldMask, status: InvolvementStatus) -> bool:
    """Return whether the mask opens involvements of this status; CURRENT and PREVIOUS have a path each."""
    return (PREVIOUS if status is InvolvementStatus.PREVIOUS else INVOLVEMENTS) in mask


def declaration(section: type) -> SectionDeclaration:
    """Return the declaration of a section class; raises KeyError if it is none."""
    return _DECLARED[section]


def paths(section: type) -> frozenset[str]:
    """Return the mask's paths of a section's fields."""
    return frozenset(field.path for field in declaration(section).fields)


def narrow(told: Mapping[type, Mapping[str, object]], mask: FieldMask) -> Mapping[type, object]:
    """Return sections holding the given values, but for those that the mask does not open.

    A section of which nothing is left is left out.
    """
    sections: dict[type, object] = {}
    for cls, values in told.items():
        kept = {field.name: values.get(field.name) for field in declaration(cls).fields if field.path in mask}
        if any(value is not None for value in kept.values()):
            sections[cls] = cls(**kept)
    return sections


def empty(subject: SubjectRef, *, shielded: bool | None) -> Answered:
    """Return the answer of a source that holds nothing about the subject; `shielded` None: it does not say."""
    return Answered(subject, involvements=(), trace=None, shielded=shielded, linked_adults=(), sections={}, as_of=None)


def no_answer(subject: SubjectRef, failure: SourceFailed) -> NoAnswer:
    """Return the failure as an answer about the subject."""
    return NoAnswer(subject, failure.reason, failure.code.value)


def invalid(subject: SubjectRef, code: FaultCode) -> NoAnswer:
    """Return that what the source said about the subject cannot be believed: code SCHEMA or MISMATCH."""
    return NoAnswer(subject, SourceReason.INVALID_ANSWER, code.value)


def not_for_this_source(subject: SubjectRef) -> NoAnswer:
    """Return the answer about a subject of a kind that the source cannot be asked about: never an empty one."""
    return NoAnswer(subject, SourceReason.PROTOCOL, SUBJECT_KIND)
