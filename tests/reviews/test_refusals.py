"""Every word by which a policy refuses is explained to those who read the log, and means one thing."""

from __future__ import annotations

from auth.appointing import AppointingRefusal
from auth.auditing import AuditingRefusal
from auth.reviewing import ReviewingRefusal
from auth.rules import Refusal
from tests.docs.markdown import rows, text_of

WORDS = [*Refusal, *AppointingRefusal, *ReviewingRefusal, *AuditingRefusal]


def test_every_refusal_is_in_the_document_of_the_log_in_the_order_of_the_code() -> None:
    table = text_of("docs/audit-log.md").partition("## Refusals of the policies")[2].partition("\n## ")[0]
    told = [cells for cells in rows(table) if cells[0] != "code"]

    assert [cells[0] for cells in told] == [word.value for word in WORDS]
    assert all(cells[1] for cells in told)


def test_no_word_is_used_by_two_policies() -> None:
    assert len({word.value for word in WORDS}) == len(WORDS)
