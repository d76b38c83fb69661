"""An answer, for people: the outcome and what it does not mean first, then who is involved, then how far to trust it.

No sentence here says that a child is known to nobody: an answer without a name is not a statement about the child.
Everything that an agency wrote is printed as text: no markup, no control characters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from gateway.commands.rendering_listings import Listing
from gateway.commands.rendering_sections import section_rows

Fields = Mapping[str, Any]

_LEGAL_TIME = ZoneInfo("Europe/London")

_REASONS = {
    "CONNECT": "it could not be reached",
    "TIMEOUT": "it took too long",
    "PROTOCOL": "its answer was broken",
    "INVALID_ANSWER": "its answer could not be trusted",
    "REFUSED": "it refused the gateway",
    "RATE_LIMITED": "it was asked too often",
    "OVERLOADED": "it is overloaded",
    "CIRCUIT_OPEN": "it has been failing and is left to recover",
    "AWAITING": "it has not fetched the question yet",
    "NO_AGREEMENT": "no agreement opens it for you and this purpose",
    "DISABLED": "it is switched off here",
    "OUT_OF_AREA": "its agreement does not cover your organisation's area",
}
_WITHHELD = {
    "MISSING_SCOPE": "your sign-in lacks the scope",
    "ROLE_NOT_GRANTED": "not open to your role",
    "PURPOSE_NOT_GRANTED": "not open for this purpose",
    "STEP_UP_REQUIRED": "sign in with a second factor",
    "AGREEMENT_LAPSED": "your organisation's agreement has lapsed",
}
_CONTACT_COLUMNS, _LONGEST_UNBROKEN, _DATE_COLUMNS = 22, 40, 13
# the same whatever the cause, so that it tells nothing: a child not held and a child not shown look alike
_CHECK_THE_KEY = "Check the NHS number, the date of birth and the family name; a family name may have changed."
_NO_PRACTITIONER = "No practitioner can be shown in this answer. Work with this child may be going on all the same."
_OTHER_THAN_A_PRACTITIONER = (
    "What may be shown to you is below; no practitioner can be shown in this answer. "
    "Others may be involved all the same."
)
_NOT_WITH_THE_CHILD = {"LINKED_ADULT": "with an adult linked to the child", "UNBORN": "before the child's birth"}


def plain(text: object) -> str:
    """Return text without what could steer a terminal or reverse its reading: controls and format characters."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "\N{REPLACEMENT CHARACTER}" for c in str(text))


def render_lookup(body: Fields, *, asker: str | None) -> RenderableType:
    """Return what to print for one response body; `asker` heads it where several stand one under another."""
    heading = [_line(f"As {asker}", "bold underline")] if asker else []
    child = (body.get("data") or {}).get("child")
    if not child:
        return Group(*heading, *_refusals(body), Text(""))
    silent = [source for source in _all(child, "sources") if source.get("status") == "NO_ANSWER"]
    incomplete = bool(silent) or child.get("complete") is not True or child.get("outcome") == "INCOMPLETE"
    parts: list[RenderableType] = [
        *heading,
        *(_warning(silent) if incomplete else [_outcome(child)]),
        _line(child.get("advice", ""), ""),
        *([Text(_CHECK_THE_KEY)] if not incomplete and child.get("outcome") == "NOTHING_DISCLOSABLE" else []),
        Text(""),
        *_involvements(child),
        *_deeper(child),
        *_sources(child),
        *_withheld(body),
        *_refusals(body),
    ]
    if incomplete:
        parts += [_line("Remember: this answer is INCOMPLETE.", "bold red"), Text("")]
    parts.append(_line(f"Receipt {child.get('receipt', '')}", "dim"))
    return Group(*parts)


def _line(text: object, style: str) -> Text:
    return Text(plain(text), style=style)


def _all(fields: Fields, name: str) -> Sequence[Fields]:
    return [item for item in fields.get(name) or () if isinstance(item, Mapping)]


def _agency(fields: Fields) -> str:
    return plain((fields.get("agency") or {}).get("name", ""))


def _refusals(body: Fields) -> Iterator[Text]:
    for error in _all(body, "errors"):
        code = (error.get("extensions") or {}).get("code", "ERROR")
        yield _line(f"{code}: {error.get('message', 'the request was refused')}", "bold red")


def _outcome(child: Fields) -> Text:
    style = "bold green" if child.get("outcome") == "DISCLOSED" else "bold yellow"
    return _line(child.get("outcome", ""), style)


def _warning(silent: Sequence[Fields]) -> list[RenderableType]:
    """The frame that cannot be overlooked, in colour or without."""
    said = Text("INCOMPLETE. ", style="bold")
    if silent:
        said.append("No answer from:\n")
        for source in silent:
            said.append(f"  {_agency(source)}: {_reason(source)}\n")
            for number in _safeguarding_lead(source):
                said.append(f"    {number}\n")
    else:
        said.append("At least one source gave no answer.\n")
    said.append("People there may be working with this child. Contact the agency directly, or ask again.")
    return [Panel(said, box=box.HEAVY, border_style="bold red", expand=True)]


def _safeguarding_lead(fields: Fields) -> list[str]:
    """Return how to reach whoever leads on safeguarding at the agency, a line each; none if it gave nothing."""
    lead = (fields.get("agency") or {}).get("safeguardingLead") or {}
    named = (("phone", "safeguarding lead"), ("outOfHours", "out of hours"), ("email", "email"))
    return [plain(f"{label} {lead[name]}") for name, label in named if lead.get(name)]


def _reason(source: Fields) -> str:
    code = source.get("reason")
    if code is None:
        return "no reason given" if source.get("status") == "NO_ANSWER" else ""
    return plain(f"{_REASONS.get(code, 'see the reason')} ({code})")


def _involvements(child: Fields) -> Iterator[RenderableType]:
    rows = _all(child, "involvements")
    if not rows:
        disclosed = child.get("outcome") == "DISCLOSED"
        yield Text(_OTHER_THAN_A_PRACTITIONER if disclosed else _NO_PRACTITIONER)
        yield Text("")
        return
    contact = min(_LONGEST_UNBROKEN, max(_CONTACT_COLUMNS, *(_address_length(row) for row in rows)))
    listing = Listing(
        "Who is involved",
        ("Who", "Agency", "How to reach them", "Since"),
        spaced=True,
        unbroken={"How to reach them": contact, "Since": _DATE_COLUMNS},
    )
    for row in rows:
        listing.add(_who(row), _where(row), _contact(row), _since(row))
    yield listing
    lead = child.get("leadPractitioner") or {}
    if leading := _name(lead, "practitioner"):
        stale = _stale(lead)
        yield _line(f"Lead practitioner: {leading}{f' ({stale})' if stale else ''}", "")
        yield Text("")


def _cell(*lines: object) -> Text:
    return Text("\n".join(plain(line) for line in lines if line))


def _name(fields: Fields, key: str) -> str:
    return str((fields.get(key) or {}).get("name") or "")


def _who(row: Fields) -> Text:
    practitioner = row.get("practitioner") or {}
    registration = practitioner.get("registration") or {}
    number = f"{registration.get('body', '')} {registration.get('number', '')}".strip()
    leads, name = row.get("lead") is True, practitioner.get("name")
    who = _cell(name or ("(lead practitioner, not named)" if leads else "(not named)"), number)
    if leads and name:
        who.append("\n").append_text(_line("lead practitioner", "bold"))
    role = _words(row.get("role") or practitioner.get("role"))
    what = _cell(role, _name(row, "team"), _name(row, "service"), _NOT_WITH_THE_CHILD.get(row.get("relationship", "")))
    return who.append("\n").append_text(what) if what else who


def _words(code: object) -> str:
    """Return a source's word as one reads it: `OFFICER_IN_CASE` is `officer in case`; other text stays."""
    text = str(code or "")
    return text.replace("_", " ").lower() if text.isupper() and "_" in text else text


def _where(row: Fields) -> Text:
    agency = row.get("agency") or {}
    where = _cell(agency.get("name"), str(agency.get("kind") or "").replace("_", " ").lower())
    stale = _stale(row)
    return where.append("\n").append_text(_line(stale, "bold")) if stale else where


def _contact(row: Fields) -> Text:
    contact = row.get("contact") or {}
    mode = contact.get("mode")
    hours = f"out of hours {contact['outOfHours']}" if contact.get("outOfHours") else None
    response = f"replies: {contact['expectedResponse']}" if contact.get("expectedResponse") else None
    given = [line for line in (contact.get("phone"), contact.get("email"), hours) if line]
    through = {"TEAM_ONLY": "through the team", "BROKERED": "through the broker, who makes the contact"}.get(str(mode))
    if not given:
        lead = _safeguarding_lead(row)
        missing = f"{through}; no contact details given" if through else "no contact details given"
        return _cell(f"{missing}; {'ask the agency:' if lead else 'call the agency'}", *lead, response)
    by_day = bool(contact.get("phone") or contact.get("email"))
    first = through and f"{through}{':' if by_day else ' (only out of hours is given):'}"
    return _cell(first, *given, response)


def _stale(row: Fields) -> str | None:
    """Return in words that an entry is not what the agency says now, or None if it is."""
    moment = row.get("staleAsOf")
    if not moment:
        return None
    try:
        said = datetime.fromisoformat(str(moment)).astimezone(_LEGAL_TIME)
    except ValueError:
        return f"as of {moment}, did not answer now"
    return f"as of {said:%H:%M on %Y-%m-%d}, did not answer now"


def _address_length(row: Fields) -> int:
    contact = row.get("contact") or {}
    return max(len(str(contact.get(name) or "")) for name in ("phone", "email"))


def _since(row: Fields) -> Text:
    ended = f"to {row['endedOn']}" if row.get("endedOn") else None
    before = "previous" if row.get("status") == "PREVIOUS" else None
    return _cell(row.get("startedOn") or "not given", ended, before)


def _deeper(child: Fields) -> Iterator[RenderableType]:
    rows = list(section_rows(child))
    if rows:
        listing = Listing("What else you may see", ("What", "Agency", "Entry", "Since"), spaced=False)
        for row in rows:
            listing.add(*(_cell(cell) for cell in row))
        yield listing


def _sources(child: Fields) -> Iterator[RenderableType]:
    sources = _all(child, "sources")
    words = {"ANSWERED": "answered", "NO_ANSWER": "NO ANSWER", "NOT_ASKED": "not asked"}
    counts = {status: sum(s.get("status") == status for s in sources) for status in words}
    title = ", ".join(f"{counts[status]} {word}" for status, word in words.items() if counts[status])
    listing = Listing(f"Sources: {title or 'no source is configured'}", ("Agency", "Answer", "Why"), spaced=False)
    styles = {"NO_ANSWER": "bold red", "NOT_ASKED": "dim"}
    for source in sources:
        status = str(source.get("status", ""))
        as_of = f"as of {source['asOf']}" if source.get("asOf") else ""
        listing.add(
            _cell(_agency(source)),
            _line(words.get(status, status), styles.get(status, "")),
            _cell(_reason(source) or as_of),
        )
    yield listing


def _withheld(body: Fields) -> Iterator[RenderableType]:
    disclosure = (body.get("extensions") or {}).get("disclosure") or {}
    withheld = _all(disclosure, "withheld")
    if not withheld:
        return
    columns = ("What", "Why", "Scope that would be needed")
    listing = Listing("Closed to you, whatever the child", columns, spaced=False)
    for entry in withheld:
        code = str(entry.get("code", ""))
        path = entry.get("path", "")
        listing.add(
            _cell(path if isinstance(path, str) else ".".join(map(str, path))),
            _cell(f"{_WITHHELD.get(code, 'closed')} ({code})"),
            _cell(*(entry.get("requiredScopes") or ())),
        )
    yield listing
