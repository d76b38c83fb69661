"""What a police force answers, member by member. Source: wire interfaces, "Police"."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

import msgspec

from schema.sections import CODE, NotificationRecipient

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Word = Annotated[str, msgspec.Meta(pattern=rf"\A{CODE}\Z")]


class _Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    pass


class Alias(_Form, frozen=True):
    """Another name of the nominal."""

    family_name: Text
    given_names: tuple[Text, ...]


class Person(_Form, frozen=True):
    """Who the force holds the nominal to be."""

    family_name: Text
    given_names: tuple[Text, ...]
    date_of_birth: date | None
    aliases: tuple[Alias, ...]
    roles: tuple[Text, ...]


class Flags(_Form, frozen=True):
    """What the force says of sharing the nominal; the handling code is a word that may be new to us."""

    restricted: bool
    handling_code: Text


class Officer(_Form, frozen=True):
    """An officer. The collar number is the force's own, not a professional registration."""

    name: Text
    collar: Text | None = None
    rank: Text | None = None


class Unit(_Form, frozen=True):
    """A unit and how it is reached."""

    name: Text
    code: Text | None = None
    phone: Text | None = None
    email: Text | None = None
    out_of_hours: Text | None = None


class Disclosure(_Form, frozen=True):
    """The protective marking of one entry, and the force's stop."""

    marking: Text
    do_not_disclose: bool


class PoliceInvolvement(_Form, frozen=True):
    """A unit's work with the nominal. `event_type` comes with `include: events`, `officer` with `officers`."""

    id: Text
    role: Text
    unit: Unit
    began: date = msgspec.field(name="from")
    ended: date | None = msgspec.field(name="to")
    status: Literal["OPEN", "CLOSED"]
    disclosure: Disclosure
    event_type: Word | None = None
    officer: Officer | None = None
    last_confirmed_at: Moment | None = None


class Order(_Form, frozen=True):
    """A protection power or civil order, and the unit that answers for it; comes only with `include: orders`."""

    kind: Word
    began: date = msgspec.field(name="from")
    ended: date | None = msgspec.field(name="to")
    unit: Unit | None
    disclosure: Disclosure


class Notification(_Form, frozen=True):
    """That the force told an agency of a kind something; comes only with `include: notifications`."""

    kind: Word
    sent_on: date
    recipient: NotificationRecipient
    disclosure: Disclosure


class Match(_Form, frozen=True):
    """One nominal record."""

    nominal_id: Text
    nhs_number: str
    match_score: float
    person: Person
    flags: Flags
    involvements: tuple[PoliceInvolvement, ...]
    orders: tuple[Order, ...] = ()
    notifications: tuple[Notification, ...] = ()


class Result(_Form, frozen=True):
    """What is held about one subject. The matches stay unread until their number has been compared."""

    nhs_number: str
    complete: bool
    count: Count
    matches: list[dict[str, Any]]


class Force(_Form, frozen=True):
    """Which force answered."""

    code: Text
    name: Text


class Envelope(_Form, frozen=True):
    """The whole answer; `count` is of all its matches. Results stay unread, so that a fault in one is that one's."""

    request_id: str
    force: Force
    complete: bool
    count: Count
    results: list[dict[str, Any]]


class Restricted(_Form, frozen=True):
    """The body of a 423: the one nominal that was asked about is restricted, and nothing else is said of it."""

    request_id: str
    nhs_number: str
    code: Literal["RESTRICTED_NOMINAL"]


class Health(_Form, frozen=True):
    """The answer of the health call."""

    status: Literal["ok"]
