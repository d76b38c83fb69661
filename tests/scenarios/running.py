"""Asks what each scenario asks, over HTTP in this process, of a gateway with the shipped agreements and a town."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from auth.agreement_files import SHIPPED
from connectors.base import Ask, FieldMask
from gateway.audit.events import EventKind
from gateway.federation.sources import Source
from schema.records import Answer, NoAnswer, SubjectRef
from schema.sections import SECTIONS, section_fields
from schema.vocabulary import ContactMode, Scope, SourceReason
from tests.appointments.asking import REGISTER, stated
from tests.fixtures.sources import BORN, Remembering
from tests.fixtures.world import BROKER, Told, World, running_world
from tests.scenarios.holdings import PHRASES, REGISTRATION, TOWN, Child, answer, child_of, connector
from tests.scenarios.reading import Mistake, Scenario, Supposed

COURT: Final = "amber-court"
PARTIES: Final = (
    # id, kind, area
    *((of.organisation, of.kind.value, of.area) for of in TOWN.values()),
    ("amber-adults", "ADULT_SOCIAL_CARE", "amber"),
    ("amber-prison", "PRISON", "amber"),
    ("amber-nursery", "EARLY_YEARS", "amber"),
    ("amber-guardians", "CAFCASS", None),
    ("amber-home", "CHILDRENS_HOME", "amber"),
    ("amber-fire", "FIRE_AND_RESCUE", "amber"),
    ("border", "IMMIGRATION", None),
    (COURT, "OTHER", None),
)
_APPOINTS: Final = ("CAFCASS_S42", "COURT_ORDER", "PREVENT_CHANNEL", "MAPPA_S325")
_OUTCOMES: Final = {"told": "DISCLOSED", "nothing": "NOTHING_DISCLOSABLE", "incomplete": "INCOMPLETE"}
_STANDARD, _STRONG = "urn:contactpoint:acr:standard", "urn:contactpoint:acr:strong"


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of a scenario: its outcome in the words of the files, the fields seen, and how the asker stood."""

    outcome: str
    fields: frozenset[tuple[str, str]] = frozenset()
    not_asked: frozenset[str] = frozenset()
    relationship: str | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class _File:
    """A file of the shipped set, as `running_world` writes agreements."""

    name: str
    text: str

    def toml(self) -> str:
        return self.text


def supposed_files(suppose: Supposed, shipped: Path = SHIPPED) -> list[_File]:
    """Return the shipped files with the town's parties, and with what a scenario supposes."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(shipped.glob("*.toml"))}
    texts["organisations"] = "\n".join(_party(*party) for party in PARTIES)
    for purpose in suppose.commenced:
        texts["lawful-bases"] = _in_basis(texts["lawful-bases"], purpose, r"commenced = \S+", "commenced = 2000-01-01")
    for purpose in suppose.general_regime:
        texts["lawful-bases"] = _in_basis(texts["lawful-bases"], purpose, "DPA_PART_3", "UK_GDPR")
    for name in suppose.lapsed:
        texts[name] = re.sub(r"(?m)^approved_on = .*$", "approved_on = 2000-01-01", texts[name])
        texts[name] = re.sub(r"(?m)^review_on = .*$", "review_on = 2001-01-01", texts[name])
    for name, areas in suppose.areas.items():
        texts[name] = _at_top(texts[name], f"areas = {json.dumps(areas)}")
    for name in suppose.assessed:
        texts[name] = _at_top(texts[name], 'impact_assessment = "DPIA 7"')
    for mistake in suppose.grant:
        texts[mistake.agreement] += _grant(mistake)
    return [_File(name, text) for name, text in texts.items()]


def written(folder: Path, suppose: Supposed, shipped: Path = SHIPPED) -> Path:
    """Write the supposed set into a folder and return it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for file in supposed_files(suppose, shipped):
        (folder / f"{file.name}.toml").write_text(file.text, encoding="utf-8")
    return folder


async def run_all(folder: Path, scenarios: Sequence[Scenario], shipped: Path = SHIPPED) -> dict[str, Seen]:
    """Return what came of each scenario, by name; scenarios that suppose the same share a world."""
    worlds: dict[bytes, list[int]] = {}
    for place, scenario in enumerate(scenarios):
        worlds.setdefault(_key(scenario.suppose), []).append(place)
    found = {}
    for number, places in enumerate(worlds.values()):
        mine = {child_of(place): scenarios[place] for place in places}
        place_of = folder / f"world-{number}"
        place_of.mkdir()
        files: Any = supposed_files(next(iter(mine.values())).suppose, shipped)
        async with running_world(place_of, *_sources(mine), agreements=files) as world:
            for child, scenario in mine.items():
                found[scenario.name] = await _run(world, child, scenario)
    return found


def _key(suppose: Supposed) -> bytes:
    return repr(suppose).encode()


class _NotToday(Remembering):
    """Gives no answer about some children."""

    def __init__(self, inner: Any, silent: frozenset[SubjectRef]) -> None:
        super().__init__(inner)
        self.silent = silent

    async def _answers(self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask) -> Mapping[SubjectRef, Answer]:
        found = dict(await self.inner.involvements(subjects, mask, ask))
        failed = {s: NoAnswer(s, SourceReason.OVERLOADED, "OVERLOADED") for s in subjects if s in self.silent}
        return found | failed


def _sources(mine: Mapping[Child, Scenario]) -> Iterator[Source]:
    for agency in TOWN:
        held = {child: scenario.holds.get(agency, []) for child, scenario in mine.items()}
        answers = {child: answer(agency, child, phrases) for child, phrases in held.items() if phrases}
        silent = frozenset(answers[child].subject for child in answers if "no answer today" in held[child])
        yield Source(_NotToday(connector(agency, answers.values()), silent), True, BROKER)


async def _run(world: World, child: Child, scenario: Scenario) -> Seen:
    claims = _claims(child, scenario)
    if scenario.appointed:
        await _appoint(world, child, scenario, claims)
    access = {"override": {"justification": "A child in danger tonight", "acceptReview": True}}
    told = await world.ask(
        child.number,
        born="1980-01-02" if scenario.an_adult else BORN,
        purpose=scenario.purpose.value,
        select=_select("[PREVIOUS]" if scenario.only_ended_work else "[CURRENT, PREVIOUS]"),
        access=access if scenario.break_glass else None,
        **claims,
    )
    return _seen(world, told, scenario)


def _claims(child: Child, scenario: Scenario) -> dict[str, Any]:
    scopes = {scope.value for scope in Scope} - set(scenario.without_scope)
    if not scenario.break_glass:
        scopes.discard(Scope.OVERRIDE.value)
    person = f"person-{child.number}"
    return {
        "sub": "amber-case-system" if scenario.machine else person,
        "client_id": "amber-case-system",
        "org": scenario.organisation,
        "roles": [scenario.role.value],
        "scope": " ".join(sorted(scopes)),
        "acr": _STRONG if scenario.sign_in == "strong" else _STANDARD,
        "auth_time": int(time.time()) - 60,
        "registration": f"SWE:{REGISTRATION}",
    }


async def _appoint(world: World, child: Child, scenario: Scenario, claims: Mapping[str, Any]) -> None:
    asked = stated(
        nhsNumber=str(child.number),
        appointeeSubject=claims["sub"],
        appointeeOrganisation=scenario.organisation,
        purpose=scenario.purpose.value,
    )
    clerk = {"org": COURT, "sub": "court-clerk", "roles": [], "scope": "appointment:write"}
    told = await world.post(REGISTER, {"stated": asked}, **clerk)
    assert told.code is None, told.body


def _select(statuses: str) -> str:
    deeper = []
    for name, declaration in SECTIONS.items():
        inner = " ".join(
            f"{f.path.rpartition('.')[2]} {{ agency {{ id }} }}" if f.item else f.path.rpartition(".")[2]
            for f in declaration.fields
        )
        deeper.append(inner if declaration.hoisted else f"{name} {{ {inner} }}")
    entry = "agency { id } practitioner { name } contact { mode } status relationship"
    return (
        f"outcome sources {{ agency {{ id }} status reason }} involvements(status: {statuses}) {{ {entry} }} "
        + " ".join(deeper)
    )


def _seen(world: World, told: Told, scenario: Scenario) -> Seen:
    if told.status == 401:
        return Seen("sign in again", text=told.response.text)
    if told.code is not None:
        return Seen({"FORBIDDEN": "forbidden", "BAD_USER_INPUT": "refused"}.get(told.code, told.code))
    words = {outcome: word for word, outcome in _OUTCOMES.items()}
    return Seen(
        outcome=words[told.outcome],
        fields=frozenset((*_entries(told, scenario), *_deeper(told, scenario))),
        not_asked=frozenset(agency for agency, status in told.sources.items() if status.startswith("NOT_ASKED")),
        relationship=world.payload(EventKind.OUTCOME)["relationship"],
        text=told.response.text,
    )


def _entries(told: Told, scenario: Scenario) -> Iterator[tuple[str, str]]:
    clinics = [a for a, phrases in scenario.holds.items() if any(PHRASES[phrase].clinic for phrase in phrases)]
    for entry in told.entries:
        agency = entry["agency"]["id"]
        if entry["contact"]["mode"] == ContactMode.BROKERED:
            # whose clinic it is stands nowhere in the answer
            assert agency == BROKER.id
            yield clinics[0], "involvements.sensitive"
            continue
        if entry["status"] == "PREVIOUS":
            yield agency, "involvements.previous"
        else:
            yield agency, "involvements.linkedAdult" if entry["relationship"] == "LINKED_ADULT" else "involvements"
        if entry["practitioner"]:
            yield agency, "involvements.practitioner"


def _deeper(told: Told, scenario: Scenario) -> Iterator[tuple[str, str]]:
    tracing = [a for a in scenario.holds if "identity" in TOWN[a].sections]
    for each in section_fields():
        value: Any = told.child
        for name in each.path.split("."):
            value = value[name] if value is not None else None
        if value is not None and each.item is not None:
            yield from ((item["agency"]["id"], each.path) for item in value)
        elif value is not None:
            yield tracing[0], each.path


def _party(name: str, kind: str, area: str | None) -> str:
    lines = ["[[organisation]]", f'id = "{name}"', f'name = "{name}"', f'kind = "{kind}"']
    lines += [f'area = "{area}"'] if area else []
    lines += [f"appoints = {json.dumps(list(_APPOINTS))}"] if name == COURT else []
    return "\n".join(lines) + "\n"


def _in_basis(text: str, purpose: str, pattern: str, by: str) -> str:
    head, mark, rest = text.partition(f'purpose = "{purpose}"')
    assert mark, purpose
    mine, end, others = rest.partition("[[basis]]")
    return head + mark + re.sub(pattern, by, mine) + end + others


def _at_top(text: str, line: str) -> str:
    top, mark, grants = text.partition("[[grant]]")
    return f"{top}{line}\n\n{mark}{grants}"


def _grant(mistake: Mistake) -> str:
    named = f"organisations = {_list(mistake.organisations)}\n" if mistake.organisations else ""
    return (
        f"\n[[grant]]\nto = {_list(mistake.to)}\nroles = {_list(mistake.roles)}\npurposes = {_list(mistake.purposes)}\n"
        f'relationship = "{mistake.relationship}"\nassurance = "{mistake.assurance}"\n'
        f"opens = {_list(mistake.opens)}\n{named}"
    )


def _list(words: Iterable[str]) -> str:
    return json.dumps([str(word) for word in words])
