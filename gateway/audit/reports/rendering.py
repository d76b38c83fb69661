"""Three forms of one report: aligned text, JSON, and one self-contained page of HTML."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from jinja2 import Environment, StrictUndefined

from gateway.audit.reports.report import Cell, Report, Table

_WIDEST = 48
_PAGE = 100


def text(report: Report) -> str:
    """Return the report for a terminal or a printer; what could steer either is taken out."""
    lines = [_plain(report.title), "=" * len(_plain(report.title)), ""]
    width = max((len(name) for name, _ in report.facts), default=0)
    lines += [
        f"{name:<{width}}  {_plain(_shown(value))}" for name, value in (("Made at", report.made_at), *report.facts)
    ]
    for note in report.notes:
        lines += ["", *textwrap.wrap(_plain(note), _PAGE)]
    for table in report.tables:
        lines += ["", *_aligned(table)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def as_json(report: Report) -> str:
    """Return the report for machines."""
    found = {
        "kind": report.kind,
        "title": report.title,
        "madeAt": report.made_at,
        "facts": dict(report.facts),
        "notes": list(report.notes),
        "tables": [
            {"title": t.title, "columns": list(t.columns), "rows": [list(row) for row in t.rows]} for t in report.tables
        ],
    }
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def html(report: Report) -> str:
    """Return the report as one page that loads nothing, runs nothing, and can be printed."""
    return _TEMPLATE.render(report=report, shown=_shown, number=_is_number)


FORMS: Final[Mapping[str, Callable[[Report], str]]] = MappingProxyType({"text": text, "json": as_json, "html": html})


def _aligned(table: Table) -> list[str]:
    if not table.rows:
        return [_plain(table.title), f"  {_plain(table.empty)}"]
    cells = [[_plain(_shown(value)) for value in row] for row in table.rows]
    widths = [
        min(_WIDEST, max(len(column), *(len(row[place]) for row in cells)))
        for place, column in enumerate(table.columns)
    ]
    right = [all(_is_number(row[place]) for row in table.rows) for place in range(len(widths))]
    lines = [_plain(table.title), *_row(table.columns, widths, right), "  " + "  ".join("-" * w for w in widths)]
    for row in cells:
        lines += _row(row, widths, right)
    return lines


def _row(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> list[str]:
    """Return a row; a cell that is too wide goes on below itself."""
    wrapped = [textwrap.wrap(cell, width) or [""] for cell, width in zip(cells, widths, strict=True)]
    height = max(map(len, wrapped))
    return [
        "  "
        + "  ".join(
            f"{part:>{width}}" if aligned else f"{part:<{width}}"
            for part, width, aligned in zip(
                (column[line] if line < len(column) else "" for column in wrapped), widths, right, strict=True
            )
        )
        for line in range(height)
    ]


def _shown(value: Cell) -> str:
    return "" if value is None else str(value)


def _is_number(value: Cell) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _plain(value: str) -> str:
    return "".join(c if c.isprintable() else " " if c.isspace() else "\N{REPLACEMENT CHARACTER}" for c in value)


_TEMPLATE = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True).from_string(
    """\
<!doctype html>
<html lang="en-GB">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="referrer" content="no-referrer">
<meta name="robots" content="noindex">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ report.title }}</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; color: #0b0c0c; background: #fff; margin: 2rem auto; max-width: 75rem;
  padding: 0 1rem }
dl { display: grid; grid-template-columns: max-content auto; gap: .25rem 1.5rem }
dt { font-weight: bold }
dd { margin: 0 }
table { border-collapse: collapse; width: 100%; margin: 2rem 0 }
caption { text-align: left; font-weight: bold; font-size: 1.2rem; padding-bottom: .5rem }
th, td { border-bottom: 1px solid #b1b4b6; padding: .4rem .6rem; text-align: left; vertical-align: top;
  overflow-wrap: anywhere }
.number { text-align: right; font-variant-numeric: tabular-nums }
@media print { body { margin: 0; max-width: none } thead { display: table-header-group } tr { break-inside: avoid } }
</style>
</head>
<body>
<main>
<h1>{{ report.title }}</h1>
<dl>
<dt>Made at</dt><dd>{{ report.made_at }}</dd>
{% for name, value in report.facts %}
<dt>{{ name }}</dt><dd>{{ shown(value) }}</dd>
{% endfor %}
</dl>
{% for note in report.notes %}
<p>{{ note }}</p>
{% endfor %}
{% for table in report.tables %}
<table>
<caption>{{ table.title }}</caption>
<thead><tr>{% for column in table.columns %}<th scope="col">{{ column }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in table.rows %}
<tr>{% for value in row %}<td{% if number(value) %} class="number"{% endif %}>{{ shown(value) }}</td>{% endfor %}</tr>
{% else %}
<tr><td colspan="{{ table.columns | length }}">{{ table.empty }}</td></tr>
{% endfor %}
</tbody>
</table>
{% endfor %}
</main>
</body>
</html>
"""
)
