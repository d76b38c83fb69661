"""Driver `police`: asks one force's nominal search. Source: wire interfaces, "Police"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from connectors import answers
from connectors.base import Ask, FieldMask, Manifest
from connectors.batches import ask_children
from connectors.calls import headers_of
from connectors.http import SourceClient
from connectors.police import mapping
from connectors.police.messages import Health
from connectors.retries import Attempt
from connectors.settings import HTTPSettings, read
from connectors.sources import source_client
from schema.records import Answer, ChildRef, SubjectRef
from schema.sections import PoliceRecord

SCOPE = "pole.nominal.search"
EVENTS = "police.events"
ORDERS = "police.orders"
NOTIFICATIONS = "police.notifications"
HOLDS = frozenset({answers.INVOLVEMENTS, answers.PREVIOUS}) | answers.paths(PoliceRecord)
RESTRICTED = 423  # RFC 4918: Locked
TOLD_OR_RESTRICTED = frozenset({200, RESTRICTED})


class PoliceConnector:
    """One force."""

    def __init__(self, manifest: Manifest, client: SourceClient) -> None:
        self._manifest = manifest
        self._client = client

    @property
    def manifest(self) -> Manifest:
        """What this connector can do."""
        return self._manifest

    async def involvements(
        self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask
    ) -> Mapping[SubjectRef, Answer]:
        """Return one answer for every subject; after a call that fails as a whole, see `ask_children`."""

        async def fetch(children: Sequence[ChildRef], attempt: Attempt) -> Mapping[SubjectRef, Answer]:
            reply = await self._client.request(
                "POST",
                "/api/v1/nominals/search",
                json=_search(children, mask, ask),
                headers=headers_of(ask),
                expect=TOLD_OR_RESTRICTED,
                separable=len(children) > 1,
                attempt=attempt,
                deadline=ask.deadline,
                request_id=ask.request_id,
                traceparent=ask.traceparent,
            )
            if reply.status == RESTRICTED:
                return mapping.restricted(reply.json, children, request_id=ask.request_id)
            return mapping.answers_of(
                reply.json, children, request_id=ask.request_id, agency=self._manifest.agency, mask=mask
            )

        return await ask_children(subjects, self._manifest, fetch, self._client.retries, ask)

    async def health(self, ask: Ask) -> bool:
        """Return True if the force's health call says ok; raises SourceFailed if it does not."""
        await self._client.request(
            "GET",
            "/api/v1/health",
            deadline=ask.deadline,
            request_id=ask.request_id,
            traceparent=ask.traceparent,
            decode=Health,
        )
        return True

    async def shields(self, ask: Ask) -> None:
        """Return None: a force cannot list its restricted nominals by NHS number."""
        return None

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.aclose()


def from_settings(entry: Mapping[str, Any]) -> PoliceConnector:
    """Return the connector of an entry; raises ConnectorMisconfigured."""
    settings = read(HTTPSettings, entry)
    return PoliceConnector(settings.manifest(holds=HOLDS, can_batch=True), source_client(settings, scope=SCOPE))


def _search(children: Sequence[ChildRef], mask: FieldMask, ask: Ask) -> dict[str, Any]:
    include = {
        "officers": mask.any(answers.INVOLVEMENTS, answers.PREVIOUS),
        "events": EVENTS in mask,
        "orders": ORDERS in mask,
        "notifications": NOTIFICATIONS in mask,
    }
    status = {"OPEN": mask.any(answers.INVOLVEMENTS, EVENTS), "CLOSED": answers.PREVIOUS in mask}
    return {
        "requestId": ask.request_id,
        "purposeClass": ask.purpose_class.value,
        "subjects": [{"nhsNumber": str(child.nhs_number)} for child in children],
        "include": [name for name, asked in include.items() if asked],
        "status": [name for name, asked in status.items() if asked],
    }
