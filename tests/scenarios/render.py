"""Writes docs/scenarios.md from the scenario files: `python -m tests.scenarios.render`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from auth.access_words import PURPOSE_MARKS, custodian_words, field_words, kind_words, role_words
from schema.vocabulary import AgencyKind
from tests.scenarios.holdings import TOWN
from tests.scenarios.reading import Mistake, Scenario, Theme, themes
from tests.scenarios.running import PARTIES

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "scenarios.md"
_AGENCIES: Final[Mapping[str, str]] = {
    "council": "council",
    "brook": "neighbouring council",
    "trust": "health trust",
    "youth": "youth justice",
}
_PARTIES: Final[Mapping[str, str]] = {
    "amber-council": "the council",
    "brook-council": "the neighbouring council",
    "elsewhere-council": "a council that is no party",
    "elm-school": "the school",
    "border": "immigration",
    "amber-nhs": "the health trust",
}
_OUTCOMES: Final[Mapping[str, str]] = {
    "told": "told",
    "nothing": "nothing can be disclosed",
    "incomplete": "incomplete: an agency did not answer",
    "forbidden": "refused: no lookup",
    "sign in again": "asked to sign in again, more strongly",
    "refused": "refused: no adult is looked up",
}


def rendered(found: Mapping[str, Theme]) -> str:
    """Return the document."""
    count = sum(len(theme.scenario) for theme in found.values())
    lines = [
        "# Scenarios",
        "",
        f"What {count} askers see and must not see, in the words of [who sees what](who-sees-what.md). Each is asked "
        "over HTTP of a gateway that runs in the test, with the shipped agreements and the parties and agencies of a "
        "small town; what is seen must be exactly what stands here. Where a power has not commenced in the shipped "
        "set, or where somebody is supposed to have changed an agreement, the scenario says so.",
        "",
        "Written by `python -m tests.scenarios.render` from `tests/scenarios/*.toml`. To add one, copy another and "
        'change it: `make test ARGS="-k scenarios"` says whether it holds. How to use them: '
        "[security-team.md](security-team.md).",
        "",
    ]
    for theme in found.values():
        lines += [f"## {theme.title}", "", theme.about, ""]
        lines += ["| scenario | who asks, and for what | what is held | what is seen | what is not, and why |"]
        lines += ["|---|---|---|---|---|"]
        lines += [_row(scenario) for scenario in theme.scenario]
        lines.append("")
    return "\n".join(lines)


def _row(scenario: Scenario) -> str:
    cells = (scenario.name, _asks(scenario), _holds(scenario), _sees(scenario), _why(scenario))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _asks(scenario: Scenario) -> str:
    party = _PARTIES.get(scenario.organisation) or _kind_of(scenario.organisation)
    parts = [f"{role_words(scenario.role)}, {party}; {PURPOSE_MARKS[scenario.purpose]} ({scenario.purpose})"]
    parts += [f"{scenario.sign_in} sign-in"]
    parts += ["appointed to the case"] * scenario.appointed + ["by break-glass"] * scenario.break_glass
    parts += ["a system that names nobody"] * scenario.machine + ["ended work alone"] * scenario.only_ended_work
    parts += [f"without the scope {scope}" for scope in scenario.without_scope]
    return "; ".join((*parts, *_supposed(scenario)))


def _kind_of(organisation: str) -> str:
    return next(kind_words(AgencyKind(kind)) for name, kind, _ in PARTIES if name == organisation).lower()


def _supposed(scenario: Scenario) -> Iterator[str]:
    suppose = scenario.suppose
    for purpose in suppose.commenced:
        yield f"supposing that {PURPOSE_MARKS[purpose]} has commenced"
    for name in suppose.lapsed:
        yield f"supposing that the agreement {name} has lapsed"
    for name, areas in suppose.areas.items():
        yield f"supposing that the agreement {name} is for {', '.join(areas)} alone"
    for name in suppose.assessed:
        yield f"supposing that the agreement {name} has an impact assessment"
    for purpose in suppose.general_regime:
        yield f"supposing that {PURPOSE_MARKS[purpose]} is said to be under UK GDPR"
    for mistake in suppose.grant:
        yield _mistake(mistake)


def _mistake(mistake: Mistake) -> str:
    fields = ", ".join(field_words(path) for path in mistake.opens)
    who = ", ".join(kind_words(kind) for kind in mistake.to)
    named = f", naming {', '.join(mistake.organisations)}" if mistake.organisations else ""
    return f"supposing a grant of {mistake.agreement} to {who}{named}, relationship {mistake.relationship}: {fields}"


def _holds(scenario: Scenario) -> str:
    return "; ".join(f"{_agency(agency)}: {', '.join(phrases)}" for agency, phrases in scenario.holds.items())


def _sees(scenario: Scenario) -> str:
    seen = "; ".join(f"{_agency(agency)}: {', '.join(fields)}" for agency, fields in scenario.sees.items())
    not_asked = f"not asked: {', '.join(map(_agency, scenario.not_asked))}" if scenario.not_asked else ""
    return ". ".join(filter(None, (f"**{_OUTCOMES[scenario.outcome]}**", seen, not_asked)))


def _why(scenario: Scenario) -> str:
    hidden = "; ".join(f"{_agency(agency)}: {', '.join(fields)}" for agency, fields in scenario.must_not_see.items())
    rule = f" Hard rule: {scenario.rule}." if scenario.rule else ""
    return (f"{hidden}. " if hidden else "") + scenario.because + rule


def _agency(agency: str) -> str:
    return _AGENCIES.get(agency) or custodian_words(f"kind:{TOWN[agency].kind}").lower()


if __name__ == "__main__":
    DOCUMENT.write_text(rendered(themes()), encoding="utf-8")
