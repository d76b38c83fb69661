"""Records in this process: the reference connector, and the oracle for the others.

What it does is the definition of right: it tells what the mask opens and nothing else, answers every subject asked
about, and a child it does not know gets an empty answer, not a failure.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from connectors import answers, memory_sections
from connectors.base import Ask, FieldMask, Manifest
from connectors.memory_file import read_records
from connectors.memory_sections import HELD, Holding
from connectors.settings import ConnectorMisconfigured, ConnectorSettings, read
from schema.identifiers import NHSNumber
from schema.records import Answer, Answered, ChildRef, SubjectRef
from schema.sections import ChildIdentity


class MemorySettings(ConnectorSettings):
    """The keys of driver `memory`."""

    records: Annotated[Path, Field(strict=False)]  # a JSON file; see connectors.memory_file
    traces: bool = False  # whether the source knows who its children are well enough to prove it
    sections: Annotated[tuple[str, ...], Field(strict=False)] | None = None  # deeper records that the file may hold


class MemoryConnector:
    """A source whose answers are known in advance."""

    def __init__(self, manifest: Manifest, answers: Mapping[SubjectRef, Answered]) -> None:
        for subject, answer in answers.items():
            if answer.subject != subject:
                raise ValueError("an answer is held under another subject")
        self._manifest = manifest
        self._answers = dict(answers)

    @property
    def manifest(self) -> Manifest:
        """What this connector can do."""
        return self._manifest

    async def involvements(
        self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask
    ) -> Mapping[SubjectRef, Answer]:
        """Return what is held about each subject, narrowed to the mask."""
        return {subject: self._answer(subject, mask) for subject in subjects}

    async def health(self, ask: Ask) -> bool:
        """Return True: the source is this process."""
        return True

    async def shields(self, ask: Ask) -> frozenset[NHSNumber]:
        """Return every child that the records shield."""
        return frozenset(
            subject.nhs_number
            for subject, answer in self._answers.items()
            if isinstance(subject, ChildRef) and answer.shielded
        )

    async def aclose(self) -> None:
        """Nothing is open."""

    def _answer(self, subject: SubjectRef, mask: FieldMask) -> Answer:
        if type(subject) not in self._manifest.subjects:
            return answers.not_for_this_source(subject)
        held = self._answers.get(subject)
        if held is None:
            return answers.empty(subject, shielded=None)
        today = datetime.now(UTC).date()
        return narrow(dataclasses.replace(held, sections=memory_sections.on(held.sections, today)), mask)


def from_settings(entry: Mapping[str, Any]) -> MemoryConnector:
    """Return the connector of an entry; raises ConnectorMisconfigured, also for what is wrong in the records."""
    settings = read(MemorySettings, entry)
    holds = frozenset({answers.INVOLVEMENTS, answers.PREVIOUS})
    if settings.traces:
        holds |= answers.paths(ChildIdentity)
    names = frozenset(settings.sections or ())
    if not names <= HELD.keys():
        raise ConnectorMisconfigured("sections", f"must be of {', '.join(HELD)}")
    holds |= frozenset(path for name in names for path in answers.paths(HELD[name].cls))
    manifest = settings.manifest(holds=holds, can_batch=True, lists_shields=True)
    holding = Holding(manifest.agency, names) if names else None
    return MemoryConnector(manifest, read_records(settings.records, traces=settings.traces, holding=holding))


def narrow(held: Answered, mask: FieldMask) -> Answered:
    """Return of `held` what the mask opens: trace, shield and linked adults always, since decisions rest on them."""
    told = {
        cls: {field.name: getattr(value, field.name) for field in answers.declaration(cls).fields}
        for cls, value in held.sections.items()
    }
    return dataclasses.replace(
        held,
        involvements=tuple(row for row in held.involvements if answers.opened(mask, row.status)),
        sections=answers.narrow(told, mask),
    )
