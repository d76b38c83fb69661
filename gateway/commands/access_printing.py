"""Prints a sheet as plain text, as Markdown, and as one HTML page that needs nothing but a browser or a printer."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from gateway.commands.access_sheet import COMMAND, TITLE, Block, Heading, Points, Sentences, Table

_WIDTH, _NARROWEST = 150, 12
_CELL_COLUMNS, _ORGANISATIONS_COLUMNS, _FIELDS_COLUMNS = 160, 20, 28  # a path is 26 at most
_STYLE = (
    "body{font:16px/1.5 sans-serif;margin:2rem;color:#0b0c0c;background:#fff;max-width:75rem}"
    "table{border-collapse:collapse;width:100%;margin-bottom:1.5rem}"
    "caption{text-align:left;font-weight:bold;padding:.25rem 0}"
    "th,td{text-align:left;vertical-align:top;padding:.25rem .75rem .25rem 0;border-bottom:1px solid #505a5f}"
    "th[scope=row]{font-weight:normal}"
    "@media print{@page{size:A4 landscape;margin:10mm}body{font-size:8px;line-height:1.25;margin:0;max-width:none}"
    "h1{font-size:14px;margin:0}h2{font-size:10px;margin:.5em 0 .1em}table{margin-bottom:.3em}"
    "th,td{padding:.05em .6em .05em 0}tr{break-inside:avoid}thead{display:table-header-group}}"
)


def as_text(sheet: Iterable[Block]) -> str:
    """Return the sheet for a terminal, no line longer than 150 characters."""
    return "\n".join((TITLE, "=" * len(TITLE), "", *(line for block in sheet for line in _text(block))))


def as_markdown(sheet: Iterable[Block]) -> str:
    """Return the sheet as a document, with the command that wrote it."""
    written = f"Written by `{COMMAND} --format markdown`. What agreements mean: [agreements.md](agreements.md)."
    return "\n".join((f"# {TITLE}", "", written, "", *(line for block in sheet for line in _markdown(block))))


def as_html(sheet: Iterable[Block]) -> str:
    """Return the sheet as one page: no script, nothing from elsewhere, every header cell with its scope."""
    body = "\n".join(line for block in sheet for line in _html(block))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{TITLE}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{TITLE}</h1>\n{body}\n"
        "</main>\n</body>\n</html>\n"
    )


def cells_as_text(version: str, rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield every open cell for a terminal, rows that differ in the field alone as one."""
    heads = ("custodian", "organisation kind", "role", "purpose", "relationship", "assurance", "organisations")
    grouped: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        grouped.setdefault((*row[:6], row[8]), []).append(row[6])
    widths = [max([len(head), *(len(key[i]) for key in grouped)]) for i, head in enumerate(heads)]
    widths[-1] = min(widths[-1], _ORGANISATIONS_COLUMNS)
    widths.append(max(_FIELDS_COLUMNS, _CELL_COLUMNS - sum(widths) - 2 * len(widths)))
    yield from _row((*heads, "fields"), widths)
    for key, fields in grouped.items():
        yield from _row((*key, " ".join(fields)), widths)
    yield ""
    yield f"{len(rows)} open cells; agreements {version}; what is not printed is closed"


def _text(block: Block) -> Iterator[str]:
    if isinstance(block, Heading):
        yield from (block.text, "-" * len(block.text))
        return
    if isinstance(block, Table):
        yield from _columns(block)
    elif isinstance(block, Points):
        for item in block.items:
            yield from textwrap.wrap(item, _WIDTH, initial_indent="- ", subsequent_indent="  ")
    else:
        yield from textwrap.wrap(block.text, _WIDTH)
    yield ""


def _columns(table: Table) -> Iterator[str]:
    yield from textwrap.wrap(table.caption, _WIDTH)
    yield ""
    widths = _widths(table)
    for row in (table.heads, *table.rows):
        yield from _row(row, widths)


def _row(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    cells = [_wrapped(cell, width) for cell, width in zip(row, widths, strict=True)]
    for number in range(max(map(len, cells))):
        # what does not fit stands under itself, so that a row stays one entry
        line = (cell[number] if number < len(cell) else "" for cell in cells)
        yield "  ".join(f"{text:<{width}}" for text, width in zip(line, widths, strict=True)).rstrip()


def _widths(table: Table) -> list[int]:
    """Return column widths that fit the page: the widest column gives way first."""
    # a head may stand in several lines, a word may not
    heads = [max(map(len, head.split())) for head in table.heads]
    cells = [max(map(len, column)) for column in zip(*table.rows, strict=True)] or heads
    widths = [max(pair) for pair in zip(heads, cells, strict=True)]
    while sum(widths) + 2 * (len(widths) - 1) > _WIDTH and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1
    return widths


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False) or [""]


def _markdown(block: Block) -> Iterator[str]:
    if isinstance(block, Heading):
        yield f"## {block.text}"
    elif isinstance(block, Sentences):
        yield block.text
    elif isinstance(block, Points):
        yield from (f"- {item}" for item in block.items)
    else:
        yield f"{block.caption}."
        yield ""
        yield _markdown_row(block.heads)
        yield "|" + "---|" * len(block.heads)
        yield from (_markdown_row(row) for row in block.rows)
    yield ""


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _html(block: Block) -> Iterator[str]:
    if isinstance(block, Heading):
        yield f"<h2>{html.escape(block.text)}</h2>"
    elif isinstance(block, Sentences):
        yield f"<p>{html.escape(block.text)}</p>"
    elif isinstance(block, Points):
        yield "<ul>" + "".join(f"<li>{html.escape(item)}</li>" for item in block.items) + "</ul>"
    else:
        yield f"<table>\n<caption>{html.escape(block.caption)}</caption>"
        heads = "".join(f'<th scope="col">{html.escape(head)}</th>' for head in block.heads)
        yield f"<thead><tr>{heads}</tr></thead>"
        for group in _groups(block.rows):
            yield from _html_group(group)
        yield "</table>"


def _html_group(group: Sequence[Sequence[str]]) -> Iterator[str]:
    """One row header for all rows that it names."""
    yield "<tbody>"
    for number, (first, *cells) in enumerate(group):
        spans = f' rowspan="{len(group)}"' if len(group) > 1 else ""
        scope = "rowgroup" if len(group) > 1 else "row"
        header = f'<th scope="{scope}"{spans}>{html.escape(first)}</th>' if number == 0 else ""
        yield "<tr>" + header + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>"
    yield "</tbody>"


def _groups(rows: Sequence[Sequence[str]]) -> Iterator[list[Sequence[str]]]:
    group: list[Sequence[str]] = []
    for row in rows:
        if row[0] and group:
            yield group
            group = []
        group.append(row)
    if group:
        yield group
