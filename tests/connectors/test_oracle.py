"""Under every mask a driver answers as the reference does that holds all that the driver could tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import httpx
import pytest

from connectors.base import Ask, Connector, Deadline, FieldMask
from connectors.memory import MemoryConnector
from schema.records import Answer, Answered, SubjectRef
from schema.vocabulary import PurposeClass
from tests.connectors.contract import childrens_services_case, police_case
from tests.connectors.contract.cases import Case

pytestmark = pytest.mark.anyio

# An event has the status of the work it belongs to: without what is previous, the force is asked for open events alone.
# The reference cannot tell the two apart.
EXCEPT = {"police": lambda mask: "police.events" in mask and "involvements.previous" not in mask}


async def masks_that_tell_them_apart(case: Case, driver: Connector) -> list[FieldMask]:
    """Return the masks under which the driver does not answer as a reference that holds all that it could tell."""
    holds = driver.manifest.holds
    ask = Ask("6f9619ff-8b86-4011-b42d-00c04fc964ff", None, PurposeClass.SAFEGUARDING, Deadline.after(60), None)
    everything = await driver.involvements(case.held, FieldMask(holds), ask)
    assert all(isinstance(told, Answered) for told in everything.values())
    reference = MemoryConnector(
        driver.manifest, {child: told for child, told in everything.items() if isinstance(told, Answered)}
    )
    leave_out = EXCEPT.get(case.driver, lambda mask: False)
    masks = [
        FieldMask(frozenset(paths)) for count in range(len(holds) + 1) for paths in combinations(sorted(holds), count)
    ]
    return [
        mask
        for mask in masks
        if not leave_out(mask)
        and await driver.involvements(case.held, mask, ask) != await reference.involvements(case.held, mask, ask)
    ]


CASES = pytest.mark.parametrize(
    "case", [police_case.CASE, childrens_services_case.CASE], ids=lambda case: str(case.driver)
)


@CASES
async def test_a_driver_tells_under_a_mask_what_the_reference_tells(case: Case) -> None:
    assert await masks_that_tell_them_apart(case, case.connect(httpx.MockTransport(case.source))) == []


class Deaf:
    """A driver that asks for everything whatever the mask."""

    def __init__(self, driver: Connector) -> None:
        self._driver = driver
        self.manifest = driver.manifest
        self.health, self.shields, self.aclose = driver.health, driver.shields, driver.aclose

    async def involvements(
        self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask
    ) -> Mapping[SubjectRef, Answer]:
        return await self._driver.involvements(subjects, FieldMask(self.manifest.holds), ask)


@CASES
async def test_a_driver_that_does_not_heed_the_mask_would_be_found(case: Case) -> None:
    driver = case.connect(httpx.MockTransport(case.source))

    assert await masks_that_tell_them_apart(case, Deaf(driver))
