"""Driver `childrens_services`: asks one authority. Source: wire interfaces, "Children's services"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from connectors import answers
from connectors.base import Ask, FieldMask, Manifest
from connectors.batches import ask_children
from connectors.calls import headers_of
from connectors.childrens_services import documents, mapping
from connectors.childrens_services.messages import Health, Shielded
from connectors.faults import FaultCode, SourceFailed
from connectors.http import SourceClient
from connectors.retries import Attempt
from connectors.settings import HTTPSettings, read
from connectors.sources import source_client
from schema.identifiers import NHSNumber
from schema.records import Answer, ChildRef, SubjectRef
from schema.sections import Assessments, ChildIdentity, ChildrensServicesRecord

SCOPE = "childrens-services.involvements"
HOLDS = (
    frozenset({answers.INVOLVEMENTS, answers.PREVIOUS})
    | answers.paths(ChildIdentity)
    | answers.paths(ChildrensServicesRecord)
    | answers.paths(Assessments)
)
MAX_PAGES = 1000


class ChildrensServicesConnector:
    """One authority."""

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
            body = await self._post(
                documents.children(mask),
                {"nhsNumbers": [str(child.nhs_number) for child in children]},
                ask,
                separable=len(children) > 1,
                attempt=attempt,
            )
            return mapping.answers_of(
                body, children, agency=self._manifest.agency, mask=mask, today=datetime.now(UTC).date()
            )

        return await ask_children(subjects, self._manifest, fetch, self._client.retries, ask)

    async def health(self, ask: Ask) -> bool:
        """Return True if the authority's service says ok; raises SourceFailed if it does not."""
        mapping.data_of(await self._post(documents.HEALTH, {}, ask), Health)
        return True

    async def shields(self, ask: Ask) -> frozenset[NHSNumber]:
        """Return the authority's full list of shielded children, every page of it.

        Raises SourceFailed: half a list would lift the shields of the other half.
        """
        shielded: frozenset[NHSNumber] = frozenset()
        after: str | None = None
        passed: set[str] = set()
        for _ in range(MAX_PAGES):
            page = mapping.data_of(await self._post(documents.SHIELDED, {"after": after}, ask), Shielded).shielded
            shielded |= mapping.numbers_of(page)
            if not page.complete or page.next in passed:
                break
            if page.next is None:
                return shielded
            passed.add(page.next)
            after = page.next
        raise SourceFailed(FaultCode.SCHEMA)

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.aclose()

    async def _post(
        self,
        document: str,
        variables: Mapping[str, Any],
        ask: Ask,
        *,
        separable: bool = False,
        attempt: Attempt | None = None,
    ) -> Any:
        reply = await self._client.request(
            "POST",
            "/graphql",
            json={"query": document, "variables": variables},
            headers=headers_of(ask),
            deadline=ask.deadline,
            request_id=ask.request_id,
            traceparent=ask.traceparent,
            separable=separable,
            attempt=attempt,
        )
        return reply.json


def from_settings(entry: Mapping[str, Any]) -> ChildrensServicesConnector:
    """Return the connector of an entry; raises ConnectorMisconfigured."""
    settings = read(HTTPSettings, entry)
    manifest = settings.manifest(holds=HOLDS, names_adults=True, can_batch=True, lists_shields=True)
    return ChildrensServicesConnector(manifest, source_client(settings, scope=SCOPE))
